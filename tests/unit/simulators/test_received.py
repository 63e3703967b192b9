"""What simulators remember."""

import pytest

from simulators.received import KEPT, Mailbox, listing


def filled(count: int) -> Mailbox:
    mailbox = Mailbox()
    for number in range(count):
        recipient = "Asha@example.com" if number % 2 else "brian@example.com"
        mailbox.add(recipient=recipient, subject=f"{number}", body="", reference="")
    return mailbox


def test_messages_are_listed_newest_first() -> None:
    assert [message.subject for message in filled(3).list()] == ["2", "1", "0"]


def test_only_the_last_thousand_are_kept() -> None:
    messages = filled(KEPT + 5).list(limit=KEPT)
    assert len(messages) == KEPT
    assert messages[-1].subject == "5"


def test_a_recipient_is_found_whatever_the_case() -> None:
    found = filled(4).list(recipient="asha@EXAMPLE.com")
    assert [message.subject for message in found] == ["3", "1"]


def test_older_messages_follow_a_known_one() -> None:
    mailbox = filled(5)
    newest = mailbox.list(limit=2)
    rest = mailbox.list(before=newest[-1].id)
    assert [message.subject for message in rest] == ["2", "1", "0"]


def test_ids_rise_even_within_a_microsecond() -> None:
    ids = [message.id for message in filled(500).list(limit=500)]
    assert ids == sorted(set(ids), reverse=True)


def test_the_listing_names_what_a_test_needs() -> None:
    [message] = listing(filled(1), {"recipient": "brian@example.com", "limit": "5"})["messages"]
    assert set(message) == {"id", "recipient", "subject", "body", "receiveTime", "reference"}


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "many"}, {"before": "-1"}]
)
def test_odd_numbers_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        listing(Mailbox(), query)

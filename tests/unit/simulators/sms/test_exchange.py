"""How the SMS simulator answers."""

import pytest

from simulators.sms.exchange import Fault, Faults, answer_for, parse_fault, segments, summary


def test_a_message_to_a_number_is_taken() -> None:
    recipient = answer_for("+254712345678", "Hello", None)
    assert recipient.is_taken
    answer = recipient.to_json()
    assert (answer["statusCode"], answer["status"], answer["cost"]) == (
        101,
        "Success",
        "KES 0.8000",
    )
    assert answer["messageId"].startswith("ATXid_")


@pytest.mark.parametrize("number", ["0712345678", "+0712345678", "hello", ""])
def test_what_is_no_number_is_refused(number: str) -> None:
    recipient = answer_for(number, "Hello", None)
    assert (recipient.status, recipient.message_id) == ("InvalidPhoneNumber", "None")


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("ñ" * 70, 1), ("ñ" * 71, 2), ("a" * 307, 3)],
)
def test_long_texts_cost_more(text: str, count: int) -> None:
    assert segments(text) == count
    assert answer_for("+254712345678", text, None).cost == f"KES {count * 0.8:.4f}"


def test_the_summary_counts_what_was_taken() -> None:
    recipients = [answer_for(number, "Hi", None) for number in ("+254712345678", "nobody")]
    assert summary(recipients) == "Sent to 1/2 Total Cost: KES 0.8000"


def test_a_counted_fault_ends_by_itself() -> None:
    faults = Faults()
    faults.on.append(Fault("UserInBlacklist", remaining=2))
    taken = [faults.take("+254712345678") for _ in range(3)]
    assert [fault is not None for fault in taken] == [True, True, False]


def test_a_fault_of_one_number_spares_the_others() -> None:
    faults = Faults()
    faults.on.append(Fault("UserInBlacklist", recipient="+254700000000"))
    assert faults.take("+254712345678") is None
    assert faults.take("+254700000000") is not None


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        {},
        {"fault": "flood"},
        {"fault": "silent", "count": 0},
        {"fault": "slow", "delaySeconds": -1},
        {"fault": "slow", "colour": "red"},
    ],
)
def test_odd_faults_are_refused(wanted: object) -> None:
    with pytest.raises(ValueError):
        parse_fault(wanted)

"""Whatever the provider does, money is where it belongs: through the real mesh, with the simulator's faults."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.books import trial_balance
from tests.e2e.client import minor, new_key
from tests.e2e.mesh import Mesh, wait_until
from tests.e2e.people import People, Person, any_phone
from tests.e2e.provider import MobileMoney

pytestmark = pytest.mark.chaos

START = 1000_00


@pytest.fixture(scope="module")
def provider(mesh: Mesh) -> MobileMoney:
    return MobileMoney(mesh)


@pytest.fixture
def person(people: People) -> Person:
    """Somebody with KES 1,000.00."""
    return people.sign_up("Zawadi", money="1000")


@pytest.fixture(scope="module")
def staff(people: People) -> list[Person]:
    """Two people who may decide together."""
    return [people.staff(name, "staff") for name in ("First", "Second")]


HARMLESS = [
    pytest.param("duplicate", {"copies": 3}, id="duplicate"),
    pytest.param("accept_then_drop", {}, id="answer lost"),
    pytest.param("late", {"seconds": 2.5}, id="late", marks=pytest.mark.slow),
    pytest.param("out_of_order", {}, id="callback before answer", marks=pytest.mark.slow),
    pytest.param("slow", {"seconds": 2.0}, id="slow answer", marks=pytest.mark.slow),
    pytest.param(
        "server_error", {"when": "after"}, id="error after taking", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("kind", "details"), HARMLESS)
def test_a_deposit_comes_in_once_whatever_the_callback_does(
    mesh: Mesh, provider: MobileMoney, person: Person, kind: str, details: dict[str, Any]
) -> None:
    phone = any_phone()
    provider.fault(kind, phone, **details)

    transaction = person.start_deposit("100", phone=phone)
    done = person.await_state(transaction["id"], "COMPLETED")

    assert done["providerReceipt"]
    assert _amounts(person) == [100_00, START]
    assert len(provider.payments(phone)) == 1, "the provider was asked once"
    trial_balance(mesh)


@pytest.mark.parametrize(("kind", "details"), HARMLESS)
def test_a_withdrawal_goes_out_once_whatever_the_callback_does(
    mesh: Mesh, provider: MobileMoney, person: Person, kind: str, details: dict[str, Any]
) -> None:
    phone = any_phone()
    provider.fault(kind, phone, **details)

    transaction = person.start_withdrawal("100", phone=phone)
    person.await_state(transaction["id"], "COMPLETED")

    assert _amounts(person) == [-100_00, START]
    assert _pending(person) == 0
    assert len(provider.payments(phone)) == 1, "the provider was asked once"
    trial_balance(mesh)


def test_a_silent_provider_releases_nothing_and_is_believed_when_it_speaks(
    mesh: Mesh, provider: MobileMoney, person: Person
) -> None:
    phone_in, phone_out = any_phone(), any_phone()
    provider.fault("silent", phone_in)
    provider.fault("silent", phone_out)

    coming = person.start_deposit("50", phone=phone_in)["id"]
    going = person.start_withdrawal("200", phone=phone_out)["id"]
    wait_until(
        "the provider has ended both without a word",
        lambda: (
            all(
                one["end_time"]
                for phone in (phone_in, phone_out)
                for one in provider.payments(phone)
            )
            and provider.payments(phone_in)
            and provider.payments(phone_out)
        ),
    )

    assert person.transaction(coming)["state"] in {"PROCESSING", "UNKNOWN"}
    assert person.transaction(going)["state"] in {"PROCESSING", "UNKNOWN"}
    assert (person.balance(), _pending(person)) == (START, 200_00)

    provider.speak()
    person.await_state(coming, "COMPLETED")
    person.await_state(going, "COMPLETED")
    assert (person.balance(), _pending(person)) == (START + 50_00 - 200_00, 0)
    trial_balance(mesh)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_refusal_of_the_provider_moves_nothing(
    mesh: Mesh, provider: MobileMoney, person: Person, direction: str
) -> None:
    phone = any_phone()
    provider.fault("failed", phone)

    start = person.start_deposit if direction == "in" else person.start_withdrawal
    ended = person.await_state(start("100", phone=phone)["id"], "FAILED")

    assert ended["failureReason"] and ended["failureMessage"]
    assert (_amounts(person), _pending(person)) == ([START], 0)
    trial_balance(mesh)


def test_a_late_success_of_a_failed_deposit_completes_it(
    mesh: Mesh, provider: MobileMoney, person: Person
) -> None:
    phone = any_phone()
    provider.fault("failed_then_success", phone, seconds=2.0)

    transaction = person.start_deposit("100", phone=phone)["id"]
    person.await_state(transaction, "FAILED")
    assert person.balance() == START
    person.await_state(transaction, "COMPLETED")

    assert _amounts(person) == [100_00, START]
    trial_balance(mesh)


def test_a_late_success_of_a_failed_withdrawal_takes_what_is_there(
    mesh: Mesh, provider: MobileMoney, people: People
) -> None:
    """What is missing is owed by the house's receivables, and a person looks at it."""
    person, friend = people.sign_up("Zawadi", money="1000"), people.sign_up("Friend")
    phone = any_phone()
    before = trial_balance(mesh)["KES"].get("SYSTEM:RECEIVABLE", 0)
    provider.fault("failed_then_success", phone, seconds=4.0)

    transaction = person.start_withdrawal("900", phone=phone)["id"]
    person.await_state(transaction, "FAILED")
    assert _pending(person) == 0
    person.transfer(friend, "600.00")
    person.await_state(transaction, "COMPLETED")

    assert person.balance() == 0
    books = trial_balance(mesh)["KES"]
    assert books["SYSTEM:RECEIVABLE"] == before - 500_00


def test_another_amount_than_asked_waits_in_suspense_until_two_people_decide(
    mesh: Mesh, provider: MobileMoney, person: Person, staff: list[Person]
) -> None:
    first, second = staff
    phone = any_phone()
    before = trial_balance(mesh)["KES"].get("SYSTEM:SUSPENSE", 0)
    provider.fault("wrong_amount", phone, amount=40)

    transaction = person.start_deposit("100", phone=phone)["id"]
    waiting = person.await_state(transaction, "MANUAL_REVIEW")

    assert waiting["failureReason"] == "PROVIDER_AMOUNT_MISMATCH"
    assert person.balance() == START
    assert trial_balance(mesh)["KES"]["SYSTEM:SUSPENSE"] == before + 40_00
    case = _case(first, transaction)
    assert case["reason"] == "PROVIDER_AMOUNT_MISMATCH"
    assert any("40" in evidence["body"] for evidence in case["evidence"])

    proposal = first.client.post(
        f"/api/v1/transactions/{transaction}:resolve",
        {"outcome": "COMPLETED", "note": "the statement says 40"},
        key=new_key(),
    ).ok()["review"]
    confirm = f"/api/v1/reviews/{proposal['id']}:confirm"
    alone = first.client.post(confirm, {}, key=new_key())
    assert alone.refusal().reason == "SECOND_PERSON_REQUIRED"
    member = person.client.post(confirm, {}, key=new_key())
    assert member.refusal().reason == "PERMISSION_MISSING"
    second.client.post(confirm, {}, key=new_key()).ok()

    person.await_state(transaction, "COMPLETED")
    assert _amounts(person) == [40_00, START]
    assert trial_balance(mesh)["KES"]["SYSTEM:SUSPENSE"] == before


def test_staff_undo_a_transfer_together(mesh: Mesh, people: People, staff: list[Person]) -> None:
    first, second = staff
    payer, payee = people.sign_up("Payer", money="300"), people.sign_up("Payee")
    paid = payer.transfer(payee, "120.00")["id"]

    proposal = first.client.post(
        f"/api/v1/transactions/{paid}:reverse", {"note": "sent by mistake"}, key=new_key()
    ).ok()["review"]
    confirmed = second.client.post(
        f"/api/v1/reviews/{proposal['id']}:confirm", {}, key=new_key()
    ).ok()

    assert confirmed["transaction"]["kind"] == "REVERSAL"
    assert payer.await_state(paid, "REVERSED")["reversalTransactionId"]
    assert (payer.balance(), payee.balance()) == (300_00, 0)
    trial_balance(mesh)


def _case(reviewer: Person, transaction_id: str) -> dict[str, Any]:
    token = ""
    while True:
        query = {"pageToken": token} if token else {}
        page = reviewer.client.get("/api/v1/reviewCases", pageSize=100, **query).ok()
        for case in page["reviewCases"]:
            if case.get("transaction", {}).get("id") == transaction_id:
                return dict(case)
        token = page["nextPageToken"]
        assert token, f"no review case is about {transaction_id}"


def _amounts(person: Person) -> list[int]:
    """Every entry of their shilling wallet, newest first."""
    entries = person.client.get(f"/api/v1/wallets/{person.wallet()['id']}/entries").ok()["entries"]
    return [minor(entry["amount"]) for entry in entries]


def _pending(person: Person) -> int:
    return minor(person.wallet()["pending"])

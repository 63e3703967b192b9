"""Deposits and withdrawals with the real ledger and the real simulator: whatever goes wrong, money is where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from hazina.payments.v1 import review_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.factories.payments import deposit_request, withdrawal_request
from tests.harness import Person, Running
from tests.integration.payments.conftest import Mesh, payments_of, reviews_of, until

QUICK = {"HAZINA_PAYMENTS_QUERY_SCALE": "0.00002"}
"""A day of questions in two seconds."""


@pytest.fixture
async def running(mesh: Mesh) -> AsyncIterator[Running]:
    """The payments service, asking a hundred times as often."""
    async with mesh.payments() as running:
        yield running


async def deposit(running: Running, user: Person, wallet: UUID, phone: str, amount: int) -> str:
    """Ask for money; answers the transaction's id."""
    request = deposit_request(wallet, amount, phone=phone)
    answer = await payments_of(running, user).CreateDeposit(request, key="deposit")
    return str(answer.transaction.id)


async def withdraw(running: Running, user: Person, wallet: UUID, phone: str, amount: int) -> str:
    """Take money out; answers the transaction's id."""
    request = withdrawal_request(wallet, amount, phone=phone)
    answer = await payments_of(running, user).CreateWithdrawal(request, key="withdrawal")
    return str(answer.transaction.id)


async def cases(running: Running, staff: Person) -> list[Any]:
    """What waits for a person."""
    answer = await reviews_of(running, staff).ListReviewCases(
        review_service_pb2.ListReviewCasesRequest()
    )
    return list(answer.review_cases)


def two_of_staff(mesh: Mesh) -> tuple[Person, Person]:
    """Who proposes and who confirms."""
    return mesh.harness.person(roles=["staff"]), mesh.harness.person(roles=["staff"])


async def resolve(
    running: Running, staff: tuple[Person, Person], transaction_id: str, outcome: Any
) -> Transaction:
    """Two people decide."""
    proposed = await reviews_of(running, staff[0]).ResolveTransaction(
        review_service_pb2.ResolveTransactionRequest(
            transaction_id=transaction_id, outcome=outcome, note="looked at the statement"
        ),
        key="resolve",
    )
    confirmed = await reviews_of(running, staff[1]).ConfirmReview(
        review_service_pb2.ConfirmReviewRequest(review_id=proposed.review.id), key="confirm"
    )
    ended: Transaction = confirmed.transaction
    return ended


# --- deposits ---------------------------------------------------------------------------------------------------------


async def test_a_deposit_is_credited_when_the_provider_says_that_it_was_paid(
    mesh: Mesh, running: Running, phone: str
) -> None:
    asha, wallet = await mesh.person("Asha")
    made = await deposit(running, asha, wallet, phone, 500_000)
    done = await until(running, asha, made, "COMPLETED", seconds=5)
    assert done.provider_receipt == mesh.simulator.payments(phone)[0]["receipt"]
    assert await mesh.balance(wallet) == 500_000
    assert (await mesh.books())["EXTERNAL:mpesa"] == -500_000


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("late", {"seconds": 1.5}),
        ("duplicate", {"copies": 4}),
        ("out_of_order", {}),
        ("accept_then_drop", {}),
        ("server_error", {"when": "after"}),
        ("slow", {"seconds": 1.0}),
    ],
)
async def test_a_disturbed_deposit_is_credited_once(
    mesh: Mesh, running: Running, phone: str, kind: str, facts: dict[str, Any]
) -> None:
    mesh.simulator.fault(kind, phone=phone, **facts)
    asha, wallet = await mesh.person("Asha")
    made = await deposit(running, asha, wallet, phone, 500_000)
    await until(running, asha, made, "COMPLETED")
    await asyncio.sleep(0.5)
    assert await mesh.balance(wallet) == 500_000
    assert (await mesh.books())["EXTERNAL:mpesa"] == -500_000
    assert await cases(running, two_of_staff(mesh)[0]) == []


async def test_a_deposit_that_the_payer_refused_has_failed(
    mesh: Mesh, running: Running, phone: str
) -> None:
    mesh.simulator.fault("failed", phone=phone, code=1032)
    asha, wallet = await mesh.person("Asha")
    made = await deposit(running, asha, wallet, phone, 500_000)
    failed = await until(running, asha, made, "FAILED")
    assert failed.failure_reason == "PAYER_CANCELLED"
    assert await mesh.balance(wallet) == 0


async def test_a_deposit_that_failed_first_is_credited_when_it_succeeds_after_all(
    mesh: Mesh, running: Running, phone: str
) -> None:
    mesh.simulator.fault("failed_then_success", phone=phone, code=1037, seconds=1.5)
    asha, wallet = await mesh.person("Asha")
    made = await deposit(running, asha, wallet, phone, 500_000)
    await until(running, asha, made, "FAILED")
    await until(running, asha, made, "COMPLETED")
    assert await mesh.balance(wallet) == 500_000


async def test_a_deposit_of_which_the_provider_says_nothing_is_unknown_until_it_speaks(
    mesh: Mesh, running: Running, phone: str
) -> None:
    mesh.simulator.fault("silent", phone=phone)
    mesh.simulator.fault("accept_then_drop", phone=phone)
    asha, wallet = await mesh.person("Asha")
    made = await deposit(running, asha, wallet, phone, 500_000)
    await until(running, asha, made, "UNKNOWN")
    assert await mesh.balance(wallet) == 0
    [case] = await cases(running, two_of_staff(mesh)[0])
    assert case.reason == "PROVIDER_SILENT" and case.transaction.id == made
    mesh.simulator.speak()
    await until(running, asha, made, "COMPLETED")
    assert await mesh.balance(wallet) == 500_000
    assert await cases(running, two_of_staff(mesh)[0]) == []


async def test_a_deposit_that_the_provider_never_took_brings_nothing_and_waits_for_a_person(
    mesh: Mesh, phone: str
) -> None:
    async with mesh.payments(**QUICK) as running:
        mesh.simulator.fault("server_error", phone=phone)
        asha, wallet = await mesh.person("Asha")
        made = await deposit(running, asha, wallet, phone, 500_000)
        await until(running, asha, made, "MANUAL_REVIEW", seconds=30)
        assert await mesh.balance(wallet) == 0
        ended = await resolve(running, two_of_staff(mesh), made, Transaction.FAILED)
        assert ended.state == Transaction.FAILED
        assert await mesh.balance(wallet) == 0 and await cases(running, two_of_staff(mesh)[0]) == []


@pytest.mark.parametrize(("outcome", "credited"), [("COMPLETED", 9_000), ("FAILED", 0)])
async def test_a_deposit_of_another_amount_lies_in_suspense_until_two_people_decide(
    mesh: Mesh, running: Running, phone: str, outcome: str, credited: int
) -> None:
    mesh.simulator.fault("wrong_amount", phone=phone, amount=90)
    asha, wallet = await mesh.person("Asha")
    made = await deposit(running, asha, wallet, phone, 10_000)
    waiting = await until(running, asha, made, "MANUAL_REVIEW")
    assert waiting.failure_reason == "PROVIDER_AMOUNT_MISMATCH"
    assert await mesh.balance(wallet) == 0
    assert (await mesh.books())["SYSTEM:SUSPENSE"] == 9_000
    staff = two_of_staff(mesh)
    [case] = await cases(running, staff[0])
    assert case.reason == "PROVIDER_AMOUNT_MISMATCH" and len(case.evidence) >= 3
    ended = await resolve(running, staff, made, Transaction.State.Value(outcome))
    assert ended.state == Transaction.State.Value(outcome)
    assert await mesh.balance(wallet) == credited
    assert (await mesh.books())["SYSTEM:SUSPENSE"] == 9_000 - credited


# --- withdrawals ------------------------------------------------------------------------------------------------------


async def test_a_withdrawal_leaves_the_wallet_when_the_provider_says_that_it_paid(
    mesh: Mesh, running: Running, phone: str
) -> None:
    asha, wallet = await mesh.person("Asha", 100_000)
    made = await withdraw(running, asha, wallet, phone, 20_000)
    assert await mesh.held(wallet) == 20_000 or await mesh.balance(wallet) == 80_000
    await until(running, asha, made, "COMPLETED", seconds=5)
    assert await mesh.balance(wallet) == 80_000 and await mesh.held(wallet) == 0
    assert [one["moved"] for one in mesh.simulator.payments(phone)] == [200]
    assert (await mesh.books())["EXTERNAL:mpesa"] == 20_000


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("late", {"seconds": 1.5}),
        ("duplicate", {"copies": 4}),
        ("out_of_order", {}),
        ("accept_then_drop", {}),
        ("server_error", {"when": "after"}),
        ("slow", {"seconds": 1.0}),
    ],
)
async def test_a_disturbed_withdrawal_is_paid_once(
    mesh: Mesh, running: Running, phone: str, kind: str, facts: dict[str, Any]
) -> None:
    mesh.simulator.fault(kind, phone=phone, **facts)
    asha, wallet = await mesh.person("Asha", 100_000)
    made = await withdraw(running, asha, wallet, phone, 20_000)
    await until(running, asha, made, "COMPLETED")
    await asyncio.sleep(0.5)
    assert await mesh.balance(wallet) == 80_000 and await mesh.held(wallet) == 0
    assert [one["moved"] for one in mesh.simulator.payments(phone)] == [200]
    assert (await mesh.books())["EXTERNAL:mpesa"] == 20_000


async def test_a_withdrawal_that_the_provider_refused_frees_the_money(
    mesh: Mesh, running: Running, phone: str
) -> None:
    mesh.simulator.fault("failed", phone=phone, code=2001)
    asha, wallet = await mesh.person("Asha", 100_000)
    made = await withdraw(running, asha, wallet, phone, 20_000)
    failed = await until(running, asha, made, "FAILED")
    assert failed.failure_reason == "PROVIDER_DECLINED"
    assert await mesh.balance(wallet) == 100_000 and await mesh.held(wallet) == 0


async def test_silence_never_frees_the_money_of_a_withdrawal(mesh: Mesh, phone: str) -> None:
    async with mesh.payments(**QUICK) as running:
        mesh.simulator.fault("silent", phone=phone)
        asha, wallet = await mesh.person("Asha", 100_000)
        made = await withdraw(running, asha, wallet, phone, 20_000)
        await until(running, asha, made, "MANUAL_REVIEW", seconds=30)
        assert await mesh.held(wallet) == 20_000
        mesh.simulator.speak()
        await until(running, asha, made, "COMPLETED")
        assert await mesh.balance(wallet) == 80_000 and await mesh.held(wallet) == 0


@pytest.mark.parametrize(("outcome", "left"), [("COMPLETED", 80_000), ("FAILED", 100_000)])
async def test_two_people_end_a_withdrawal_that_the_provider_does_not_know(
    mesh: Mesh, phone: str, outcome: str, left: int
) -> None:
    async with mesh.payments(**QUICK) as running:
        mesh.simulator.fault("server_error", phone=phone)
        asha, wallet = await mesh.person("Asha", 100_000)
        made = await withdraw(running, asha, wallet, phone, 20_000)
        await until(running, asha, made, "MANUAL_REVIEW", seconds=30)
        assert await mesh.held(wallet) == 20_000
        await resolve(running, two_of_staff(mesh), made, Transaction.State.Value(outcome))
        assert await mesh.balance(wallet) == left and await mesh.held(wallet) == 0
        await mesh.books()


async def test_a_withdrawal_that_failed_first_takes_what_is_there_and_the_rest_is_owed(
    mesh: Mesh, running: Running, phone: str
) -> None:
    mesh.simulator.fault("failed_then_success", phone=phone, seconds=2.0)
    asha, wallet = await mesh.person("Asha", 30_000)
    made = await withdraw(running, asha, wallet, phone, 20_000)
    await until(running, asha, made, "FAILED")
    await mesh.move(str(wallet), "EXTERNAL:opening", 25_000)
    await until(running, asha, made, "COMPLETED")
    assert await mesh.balance(wallet) == 0
    books = await mesh.books()
    assert books["SYSTEM:RECEIVABLE"] == -15_000 and books["EXTERNAL:mpesa"] == 20_000
    staff = two_of_staff(mesh)
    [case] = await cases(running, staff[0])
    assert case.reason == "PROVIDER_LATE_SUCCESS"
    await resolve(running, staff, made, Transaction.COMPLETED)
    assert await cases(running, staff[0]) == []


@pytest.mark.parametrize(("paid", "left", "owed"), [(150, 85_000, 0), (260, 80_000, 6_000)])
async def test_a_withdrawal_of_another_amount_stays_held_until_two_people_decide(
    mesh: Mesh, running: Running, phone: str, paid: int, left: int, owed: int
) -> None:
    mesh.simulator.fault("wrong_amount", phone=phone, amount=paid)
    asha, wallet = await mesh.person("Asha", 100_000)
    made = await withdraw(running, asha, wallet, phone, 20_000)
    await until(running, asha, made, "MANUAL_REVIEW")
    assert await mesh.held(wallet) == 20_000
    await resolve(running, two_of_staff(mesh), made, Transaction.COMPLETED)
    assert await mesh.balance(wallet) == left and await mesh.held(wallet) == 0
    books = await mesh.books()
    assert books["EXTERNAL:mpesa"] == paid * 100
    assert books.get("SYSTEM:RECEIVABLE", 0) == -owed

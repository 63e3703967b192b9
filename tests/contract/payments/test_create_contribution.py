"""CreateContribution: a member pays into a group."""

import asyncio
from typing import Any

import pytest

from hazina.payments.v1 import group_payment_service_pb2_grpc
from hazina.payments.v1.payment_service_pb2 import ListTransactionsRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from hazina.wallet.v1 import ledger_pb2
from services.kit.errors import ServiceUnavailable
from tests.contract.payments.conftest import World
from tests.factories.group_payments import clock, contribution, old_id, open_group
from tests.harness import assert_refused


def stub(world: World) -> Any:
    return world.running.stub(
        group_payment_service_pb2_grpc.GroupPaymentServiceStub, through_mesh_as="groups"
    )


async def test_a_wallet_pays_and_it_is_done_when_answered(world: World) -> None:
    group = open_group(world.ledger)
    request = contribution(world.asha.id, group, 12_000, source_wallet_id=world.asha_wallet)
    answer = await stub(world).CreateContribution(request)
    made = answer.transaction
    assert made.state == Transaction.COMPLETED and made.kind == Transaction.CONTRIBUTION
    assert made.id == request.transaction_id
    assert world.ledger.balance(group) == 12_000
    listed = await world.payments(world.asha).ListTransactions(ListTransactionsRequest())
    assert [(one.id, one.counterparty_name) for one in listed.transactions] == [(made.id, "Umoja")]


async def test_a_phone_is_asked_by_a_job(world: World) -> None:
    group = open_group(world.ledger)
    request = contribution(world.asha.id, group, phone="0712 345 678")
    answer = await stub(world).CreateContribution(request)
    assert answer.transaction.state == Transaction.PENDING and answer.transaction.rail == "mpesa"
    listed = await world.payments(world.asha).ListTransactions(ListTransactionsRequest())
    assert len(listed.transactions) == 1, "who is asked to pay sees it"


async def test_a_repeated_id_pays_once_also_at_the_same_time(world: World) -> None:
    group = open_group(world.ledger)
    request = contribution(world.asha.id, group, source_wallet_id=world.asha_wallet)
    answers = await asyncio.gather(*(stub(world).CreateContribution(request) for _ in range(12)))
    assert {one.transaction.state for one in answers} == {Transaction.COMPLETED}
    assert world.ledger.balance(group) == 10_000


async def test_a_lost_ledger_answer_is_found_again_by_the_same_id(world: World) -> None:
    group = open_group(world.ledger)
    request = contribution(world.asha.id, group, source_wallet_id=world.asha_wallet)
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await stub(world).CreateContribution(request)
    await asyncio.sleep(0)
    answer = await stub(world).CreateContribution(request, timeout=10)
    assert answer.transaction.state == Transaction.COMPLETED
    assert world.ledger.balance(group) == 10_000


async def test_a_wallet_that_holds_too_little_is_refused_each_time(world: World) -> None:
    group = open_group(world.ledger)
    request = contribution(world.brian.id, group, source_wallet_id=world.brian_wallet)
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            await stub(world).CreateContribution(request)


async def test_an_id_belongs_to_one_content(world: World) -> None:
    group = open_group(world.ledger)
    transaction_id = str(clock.new_id())
    facts = {"source_wallet_id": world.asha_wallet, "transaction_id": transaction_id}
    await stub(world).CreateContribution(contribution(world.asha.id, group, 100, **facts))
    with assert_refused("ALREADY_EXISTS", "TRANSACTION_EXISTS"):
        await stub(world).CreateContribution(contribution(world.asha.id, group, 101, **facts))


async def test_only_the_members_own_wallet_pays(world: World) -> None:
    group = open_group(world.ledger)
    for wallet, target in ((world.brian_wallet, group), (world.asha_wallet, world.brian_wallet)):
        with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
            await stub(world).CreateContribution(
                contribution(world.asha.id, target, source_wallet_id=wallet)
            )


async def test_a_frozen_wallet_cannot_pay(world: World) -> None:
    group = open_group(world.ledger)
    world.ledger.freeze(world.asha_wallet)
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await stub(world).CreateContribution(
            contribution(world.asha.id, group, source_wallet_id=world.asha_wallet)
        )


async def test_the_amount_is_in_the_currency_of_the_group(world: World) -> None:
    group = open_group(world.ledger)
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await stub(world).CreateContribution(
            contribution(world.asha.id, group, source_wallet_id=world.asha_wallet, currency="USD")
        )


async def test_an_id_that_is_too_old_is_given_up(world: World) -> None:
    group = open_group(world.ledger)
    with assert_refused("FAILED_PRECONDITION", "TRANSACTION_TOO_OLD"):
        await stub(world).CreateContribution(
            contribution(
                world.asha.id,
                group,
                source_wallet_id=world.asha_wallet,
                transaction_id=old_id(),
            )
        )


@pytest.mark.parametrize(
    ("amount", "phone", "currency", "code", "reason"),
    [
        (10_050, "0712345678", "KES", "INVALID_ARGUMENT", "AMOUNT_NOT_PAYABLE"),
        (10**12, "0712345678", "KES", "INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"),
        (10_000, "+15551234567", "KES", "INVALID_ARGUMENT", "PHONE_INVALID"),
        (10_000, "0712345678", "USD", "UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"),
    ],
)
async def test_what_a_phone_cannot_pay_is_refused(
    world: World, amount: int, phone: str, currency: str, code: str, reason: str
) -> None:
    group = open_group(world.ledger)
    with assert_refused(code, reason):
        await stub(world).CreateContribution(
            contribution(world.asha.id, group, amount, phone=phone, currency=currency)
        )


async def test_an_amount_that_no_account_can_hold_is_refused(world: World) -> None:
    group = open_group(world.ledger, balance=2**63 - 1_000)
    rich = world.ledger.open(world.asha.id, balance=2**62, kind=ledger_pb2.Account.USER)
    with assert_refused("OUT_OF_RANGE", "AMOUNT_OVERFLOW"):
        await stub(world).CreateContribution(
            contribution(world.asha.id, group, 2**61, source_wallet_id=rich)
        )


async def test_a_group_wallet_that_is_gone_is_not_found(world: World) -> None:
    with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
        await stub(world).CreateContribution(
            contribution(world.asha.id, clock.new_id(), source_wallet_id=world.asha_wallet)
        )


async def test_amounts_are_more_than_zero(world: World) -> None:
    group = open_group(world.ledger)
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="amount"):
        await stub(world).CreateContribution(
            contribution(world.asha.id, group, 0, source_wallet_id=world.asha_wallet)
        )


async def test_only_groups_may_call(world: World) -> None:
    group = open_group(world.ledger)
    request = contribution(world.asha.id, group, source_wallet_id=world.asha_wallet)
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await world.running.stub(
            group_payment_service_pb2_grpc.GroupPaymentServiceStub, through_mesh_as="wallet"
        ).CreateContribution(request)

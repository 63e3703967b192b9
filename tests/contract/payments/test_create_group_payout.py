"""CreateGroupPayout: a group pays out what it held."""

import asyncio
from typing import Any

import pytest

from hazina.payments.v1 import group_payment_service_pb2_grpc
from hazina.payments.v1.payment_service_pb2 import ListTransactionsRequest
from hazina.payments.v1.review_service_pb2 import FeeSchedule, SetFeeScheduleRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from services.kit.errors import ServiceUnavailable
from tests.contract.payments.conftest import World
from tests.factories.group_payments import clock, free, hold, old_id, open_group, payout
from tests.harness import assert_refused


def stub(world: World) -> Any:
    return world.running.stub(
        group_payment_service_pb2_grpc.GroupPaymentServiceStub, through_mesh_as="groups"
    )


async def test_a_wallet_gets_what_was_held(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 40_000, world.brian_wallet)
    request = payout(world.asha.id, group, held, 40_000, destination_wallet_id=world.brian_wallet)
    made = (await stub(world).CreateGroupPayout(request)).transaction
    assert made.state == Transaction.COMPLETED and made.kind == Transaction.GROUP_PAYOUT
    assert world.ledger.balance(world.brian_wallet) == 40_000
    assert world.ledger.balance(group) == 60_000 and world.ledger.held(group) == 0
    for person, name in ((world.asha, "B****"), (world.brian, "Umoja")):
        listed = await world.payments(person).ListTransactions(ListTransactionsRequest())
        assert [one.counterparty_name for one in listed.transactions] == [name]


async def test_for_a_phone_the_hold_of_the_group_becomes_one_without_end(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 40_000)
    request = payout(world.asha.id, group, held, 40_000, phone="0712345678")
    for _ in range(2):
        made = (await stub(world).CreateGroupPayout(request)).transaction
        assert made.state == Transaction.PENDING and made.rail == "mpesa"
    assert world.ledger.held(group) == 40_000
    free(world.ledger, held)
    assert world.ledger.held(group) == 40_000, "the group cannot take it back any more"


async def test_a_fee_is_taken_on_top(world: World) -> None:
    schedule = FeeSchedule(rail="", kind=Transaction.GROUP_PAYOUT, currency="KES")
    schedule.fee.basis_points = 100
    await world.reviews(world.chris).SetFeeSchedule(
        SetFeeScheduleRequest(fee_schedule=schedule), key="fee"
    )
    group = open_group(world.ledger, 10_100)
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    request = payout(world.asha.id, group, held, destination_wallet_id=world.brian_wallet)
    made = (await stub(world).CreateGroupPayout(request)).transaction
    assert made.fee.minor_units == 100
    assert world.ledger.balance(group) == 0 and world.ledger.balance("SYSTEM:FEES") == 100


async def test_a_fee_that_is_not_there_refuses_the_payout_and_the_hold_stands(
    world: World,
) -> None:
    schedule = FeeSchedule(rail="", kind=Transaction.GROUP_PAYOUT, currency="KES")
    schedule.fee.basis_points = 100
    await world.reviews(world.chris).SetFeeSchedule(
        SetFeeScheduleRequest(fee_schedule=schedule), key="fee"
    )
    group = open_group(world.ledger, 10_000)
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    request = payout(world.asha.id, group, held, destination_wallet_id=world.brian_wallet)
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            await stub(world).CreateGroupPayout(request)
    assert world.ledger.held(group) == 10_000 and world.ledger.balance(world.brian_wallet) == 0


async def test_a_repeated_id_pays_once_also_at_the_same_time(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    request = payout(world.asha.id, group, held, destination_wallet_id=world.brian_wallet)
    answers = await asyncio.gather(*(stub(world).CreateGroupPayout(request) for _ in range(12)))
    assert {one.transaction.state for one in answers} == {Transaction.COMPLETED}
    assert world.ledger.balance(world.brian_wallet) == 10_000


async def test_a_lost_ledger_answer_is_found_again_by_the_same_id(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    request = payout(world.asha.id, group, held, destination_wallet_id=world.brian_wallet)
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await stub(world).CreateGroupPayout(request)
    answer = await stub(world).CreateGroupPayout(request)
    assert answer.transaction.state == Transaction.COMPLETED


@pytest.mark.parametrize("phone", ["", "0712345678"])
async def test_a_hold_that_has_ended_pays_nothing(world: World, phone: str) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    free(world.ledger, held)
    target: dict[str, Any] = (
        {"phone": phone} if phone else {"destination_wallet_id": world.brian_wallet}
    )
    request = payout(world.asha.id, group, held, **target)
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
            await stub(world).CreateGroupPayout(request)
    assert world.ledger.balance(group) == 100_000 and world.ledger.held(group) == 0


async def test_an_id_belongs_to_one_content(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    transaction_id = str(clock.new_id())
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    facts: dict[str, Any] = {
        "destination_wallet_id": world.brian_wallet,
        "transaction_id": transaction_id,
    }
    await stub(world).CreateGroupPayout(payout(world.asha.id, group, held, **facts))
    with assert_refused("ALREADY_EXISTS", "TRANSACTION_EXISTS"):
        await stub(world).CreateGroupPayout(payout(world.asha.id, group, held, 9_999, **facts))


async def test_who_cannot_be_found_is_not_paid(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    with assert_refused("NOT_FOUND", "RECIPIENT_NOT_FOUND"):
        await stub(world).CreateGroupPayout(
            payout(world.asha.id, group, str(clock.new_id()), destination_wallet_id=clock.new_id())
        )


async def test_a_group_cannot_pay_itself(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    with assert_refused("INVALID_ARGUMENT", "RECIPIENT_IS_SOURCE"):
        await stub(world).CreateGroupPayout(
            payout(world.asha.id, group, str(clock.new_id()), destination_wallet_id=group)
        )


async def test_only_groups_pay_out(world: World) -> None:
    with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
        await stub(world).CreateGroupPayout(
            payout(
                world.asha.id,
                world.asha_wallet,
                str(clock.new_id()),
                destination_wallet_id=world.brian_wallet,
            )
        )


async def test_the_amount_is_in_the_currency_of_the_group(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    dollars = world.ledger.open(world.brian.id, currency="USD")
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await stub(world).CreateGroupPayout(
            payout(
                world.asha.id,
                group,
                str(clock.new_id()),
                destination_wallet_id=dollars,
                currency="USD",
            )
        )


async def test_a_frozen_group_wallet_gives_no_new_hold(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 10_000)
    world.ledger.freeze(group)
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await stub(world).CreateGroupPayout(payout(world.asha.id, group, held, phone="0712345678"))


async def test_an_id_that_is_too_old_is_given_up(world: World) -> None:
    group = open_group(world.ledger, 100_000)
    held = hold(world.ledger, group, 10_000, world.brian_wallet)
    with assert_refused("FAILED_PRECONDITION", "TRANSACTION_TOO_OLD"):
        await stub(world).CreateGroupPayout(
            payout(
                world.asha.id,
                group,
                held,
                destination_wallet_id=world.brian_wallet,
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
async def test_what_cannot_go_to_a_phone_is_refused(
    world: World, amount: int, phone: str, currency: str, code: str, reason: str
) -> None:
    group = open_group(world.ledger, 100_000)
    with assert_refused(code, reason):
        await stub(world).CreateGroupPayout(
            payout(
                world.asha.id,
                group,
                str(clock.new_id()),
                amount,
                phone=phone,
                currency=currency,
            )
        )


async def test_an_amount_that_no_account_can_hold_is_refused(world: World) -> None:
    schedule = FeeSchedule(rail="", kind=Transaction.GROUP_PAYOUT, currency="KES")
    schedule.fee.basis_points = 100
    await world.reviews(world.chris).SetFeeSchedule(
        SetFeeScheduleRequest(fee_schedule=schedule), key="fee"
    )
    group = open_group(world.ledger, 100_000)
    with assert_refused("OUT_OF_RANGE", "AMOUNT_OVERFLOW"):
        await stub(world).CreateGroupPayout(
            payout(
                world.asha.id,
                group,
                str(clock.new_id()),
                2**63 - 1,
                destination_wallet_id=world.brian_wallet,
            )
        )


async def test_amounts_are_more_than_zero(world: World) -> None:
    group = open_group(world.ledger)
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="amount"):
        await stub(world).CreateGroupPayout(
            payout(
                world.asha.id, group, str(clock.new_id()), 0, destination_wallet_id=clock.new_id()
            )
        )

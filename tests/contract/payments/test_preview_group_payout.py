"""PreviewGroupPayout: what a payout would cost, and whether it could be carried out at all."""

from typing import Any

import pytest

from hazina.payments.v1 import group_payment_service_pb2_grpc
from hazina.payments.v1.review_service_pb2 import FeeSchedule, SetFeeScheduleRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.group_payments import clock, open_group, preview
from tests.harness import assert_refused


def stub(world: World) -> Any:
    return world.running.stub(
        group_payment_service_pb2_grpc.GroupPaymentServiceStub, through_mesh_as="groups"
    )


async def set_fee(world: World) -> None:
    schedule = FeeSchedule(rail="", kind=Transaction.GROUP_PAYOUT, currency="KES")
    schedule.fee.basis_points = 150
    await world.reviews(world.chris).SetFeeSchedule(
        SetFeeScheduleRequest(fee_schedule=schedule), key="fee"
    )


@pytest.mark.parametrize("phone", ["", "0712 345 678"])
async def test_without_a_schedule_it_costs_nothing(world: World, phone: str) -> None:
    group = open_group(world.ledger)
    target = {"phone": phone} if phone else {"destination_wallet_id": world.brian_wallet}
    answer = await stub(world).PreviewGroupPayout(preview(group, **target))
    assert (answer.fee.currency, answer.fee.minor_units) == ("KES", 0)


async def test_the_fee_is_that_of_the_schedule(world: World) -> None:
    await set_fee(world)
    group = open_group(world.ledger)
    answer = await stub(world).PreviewGroupPayout(
        preview(group, 10_000, destination_wallet_id=world.brian_wallet)
    )
    assert answer.fee.minor_units == 150


async def test_nobody_is_paid_who_is_not_here(world: World) -> None:
    group = open_group(world.ledger)
    stranger = world.ledger.open(world.harness.person().id)
    for wallet in (clock.new_id(), stranger):
        with assert_refused("NOT_FOUND", "RECIPIENT_NOT_FOUND"):
            await stub(world).PreviewGroupPayout(preview(group, destination_wallet_id=wallet))


async def test_a_group_cannot_pay_itself(world: World) -> None:
    group = open_group(world.ledger)
    with assert_refused("INVALID_ARGUMENT", "RECIPIENT_IS_SOURCE"):
        await stub(world).PreviewGroupPayout(preview(group, destination_wallet_id=group))


async def test_another_group_can_be_paid(world: World) -> None:
    group, other = open_group(world.ledger), open_group(world.ledger)
    await stub(world).PreviewGroupPayout(preview(group, destination_wallet_id=other))


async def test_only_groups_pay_out(world: World) -> None:
    with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
        await stub(world).PreviewGroupPayout(
            preview(world.asha_wallet, destination_wallet_id=world.brian_wallet)
        )


async def test_the_amount_is_in_the_currency_of_the_group(world: World) -> None:
    group, dollars = open_group(world.ledger), world.ledger.open(world.brian.id, currency="USD")
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await stub(world).PreviewGroupPayout(
            preview(group, destination_wallet_id=dollars, currency="USD")
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
    group = open_group(world.ledger)
    with assert_refused(code, reason):
        await stub(world).PreviewGroupPayout(preview(group, amount, phone=phone, currency=currency))


async def test_an_amount_that_no_account_can_hold_is_refused(world: World) -> None:
    await set_fee(world)
    group = open_group(world.ledger)
    with assert_refused("OUT_OF_RANGE", "AMOUNT_OVERFLOW"):
        await stub(world).PreviewGroupPayout(
            preview(group, 2**63 - 1, destination_wallet_id=world.brian_wallet)
        )


async def test_amounts_are_more_than_zero(world: World) -> None:
    group = open_group(world.ledger)
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="amount"):
        await stub(world).PreviewGroupPayout(
            preview(group, 0, destination_wallet_id=world.brian_wallet)
        )

"""SetFeeSchedule: what a movement costs from now on."""

import pytest

from hazina.payments.v1.payment_service_pb2 import FeeRule
from hazina.payments.v1.review_service_pb2 import FeeSchedule, SetFeeScheduleRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.payments import deposit_request, money
from tests.harness import assert_refused


def schedule(
    kind: Transaction.Kind.ValueType = Transaction.WITHDRAWAL,
    *,
    rail: str = "mpesa",
    currency: str = "KES",
    **rule: int,
) -> SetFeeScheduleRequest:
    """A fee to set."""
    return SetFeeScheduleRequest(
        fee_schedule=FeeSchedule(rail=rail, kind=kind, currency=currency, fee=FeeRule(**rule))
    )


async def test_a_fee_holds_from_now_on_and_can_be_changed(world: World) -> None:
    reviews = world.reviews(world.dina)
    request = schedule(basis_points=150, fee_min=1_500, fee_max=10_000)
    answer = await reviews.SetFeeSchedule(request)
    assert answer.fee_schedule == request.fee_schedule
    changed = await reviews.SetFeeSchedule(schedule(basis_points=10))
    assert changed.fee_schedule.fee == FeeRule(basis_points=10)


async def test_transactions_that_exist_keep_their_fee(world: World) -> None:
    payments = world.payments(world.asha)
    first = await payments.CreateDeposit(deposit_request(world.asha_wallet), key="k")
    await world.reviews(world.dina).SetFeeSchedule(schedule(Transaction.DEPOSIT, fee_min=2_050))
    assert await payments.CreateDeposit(deposit_request(world.asha_wallet), key="k") == first
    second = await payments.CreateDeposit(deposit_request(world.asha_wallet), key="k-2")
    # The payer pays amount and fee together, in whole shillings.
    assert second.transaction.fee == money(2_100)
    assert second.transaction.total == money(502_100)


async def test_a_minimum_above_the_maximum_is_refused(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "FEE_SCHEDULE_INVALID"):
        await world.reviews(world.dina).SetFeeSchedule(schedule(fee_min=2, fee_max=1))


@pytest.mark.parametrize(
    ("kind", "rail", "currency"),
    [
        (Transaction.WITHDRAWAL, "card", "KES"),
        (Transaction.WITHDRAWAL, "", "KES"),
        (Transaction.WITHDRAWAL, "mpesa", "BTC"),
        (Transaction.TRANSFER, "mpesa", "KES"),
    ],
)
async def test_only_what_is_installed_can_cost_something(
    world: World, kind: Transaction.Kind.ValueType, rail: str, currency: str
) -> None:
    with assert_refused("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"):
        await world.reviews(world.dina).SetFeeSchedule(schedule(kind, rail=rail, currency=currency))


async def test_staff_without_the_permission_sets_no_fee(world: World) -> None:
    staff = world.harness.person(roles=["staff"])
    with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        await world.reviews(staff).SetFeeSchedule(schedule())


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("feeSchedule.fee.basisPoints", {"basis_points": 10_001}),
        ("feeSchedule.fee.feeMin", {"fee_min": -1}),
        ("feeSchedule.fee.feeMax", {"fee_max": -1}),
    ],
)
async def test_bad_input_is_refused_with_its_field(
    world: World, field: str, rule: dict[str, int]
) -> None:
    fee = FeeRule(**rule)
    request = schedule()
    request.fee_schedule.fee.CopyFrom(fee)
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await world.reviews(world.dina).SetFeeSchedule(request)

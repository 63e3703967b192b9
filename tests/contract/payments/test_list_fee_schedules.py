"""ListFeeSchedules: what movements cost in the tenant."""

from hazina.payments.v1.review_service_pb2 import ListFeeSchedulesRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.contract.payments.test_set_fee_schedule import schedule
from tests.harness import assert_refused


async def test_fees_come_in_pages_by_rail_kind_and_currency(world: World) -> None:
    reviews = world.reviews(world.dina)
    for request in (
        schedule(Transaction.WITHDRAWAL, fee_min=1),
        schedule(Transaction.TRANSFER, rail="", currency="BTC", fee_min=2),
        schedule(Transaction.TRANSFER, rail="", fee_min=3),
        schedule(Transaction.DEPOSIT, fee_min=4),
    ):
        await reviews.SetFeeSchedule(request)
    seen, token = [], ""
    for _ in range(2):
        answer = await reviews.ListFeeSchedules(
            ListFeeSchedulesRequest(page_size=3, page_token=token)
        )
        seen += [one.fee.fee_min for one in answer.fee_schedules]
        token = answer.next_page_token
    assert seen == [2, 3, 4, 1] and token == ""


async def test_a_tenant_sees_its_own_fees(world: World) -> None:
    await world.reviews(world.dina).SetFeeSchedule(schedule(fee_min=1))
    stranger = world.harness.person(roles=["staff"], tenant="other")
    answer = await world.reviews(stranger).ListFeeSchedules(ListFeeSchedulesRequest())
    assert not answer.fee_schedules


async def test_bad_input_is_refused_with_its_field(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.reviews(world.dina).ListFeeSchedules(ListFeeSchedulesRequest(page_size=-1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await world.reviews(world.dina).ListFeeSchedules(ListFeeSchedulesRequest(page_token="x"))

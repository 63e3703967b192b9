"""ListRails: every way in and out, installed or not."""

from hazina.payments.v1 import payment_service_pb2, review_service_pb2
from hazina.payments.v1.payment_service_pb2 import ListRailsRequest, Rail
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.payments import money
from tests.harness import assert_refused


async def test_mobile_money_is_installed_and_the_rest_is_named(world: World) -> None:
    answer = await world.payments(world.asha).ListRails(ListRailsRequest())
    ways = {(one.currency, one.method, one.direction): one for one in answer.rails}
    assert len(ways) == len(answer.rails) == 5 and answer.next_page_token == ""
    for direction in (Rail.IN, Rail.OUT):
        mpesa = ways["KES", Rail.MOBILE_MONEY, direction]
        assert mpesa.id == "mpesa" and mpesa.installed and mpesa.amount_step == 100
        assert (mpesa.amount_min, mpesa.amount_max) == (money(1_000), money(25_000_000))
        assert not ways["BTC", Rail.LIGHTNING, direction].installed
    assert not ways["KES", Rail.CARD, Rail.IN].installed


async def test_a_currency_chooses(world: World) -> None:
    answer = await world.payments(world.asha).ListRails(ListRailsRequest(currency="BTC"))
    assert {one.id for one in answer.rails} == {"lightning"}


async def test_the_fees_of_the_tenant_are_shown(world: World) -> None:
    rule = payment_service_pb2.FeeRule(basis_points=150, fee_min=1_500, fee_max=10_000)
    await world.reviews(world.dina).SetFeeSchedule(
        review_service_pb2.SetFeeScheduleRequest(
            fee_schedule=review_service_pb2.FeeSchedule(
                rail="mpesa", kind=Transaction.WITHDRAWAL, currency="KES", fee=rule
            )
        )
    )
    answer = await world.payments(world.asha).ListRails(ListRailsRequest(currency="KES"))
    fees = {one.direction: one.fee for one in answer.rails if one.id == "mpesa"}
    assert fees[Rail.OUT] == rule and fees[Rail.IN] == payment_service_pb2.FeeRule()


async def test_rails_come_in_pages(world: World) -> None:
    payments = world.payments(world.asha)
    seen, token = [], ""
    for _ in range(3):
        answer = await payments.ListRails(ListRailsRequest(page_size=2, page_token=token))
        seen += [(one.id, one.direction) for one in answer.rails]
        token = answer.next_page_token
    assert token == "" and len(seen) == len(set(seen)) == 5


async def test_bad_input_is_refused_with_its_field(world: World) -> None:
    for field, request in (
        ("currency", ListRailsRequest(currency="EUR")),
        ("pageSize", ListRailsRequest(page_size=-1)),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
            await world.payments(world.asha).ListRails(request)

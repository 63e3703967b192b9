"""CreateDeposit: accepted at once, asked of the phone by a job."""

import pytest

from hazina.payments.v1 import payment_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.payments import deposit_request, money
from tests.harness import assert_refused


async def test_a_deposit_is_pending_when_answered_and_moves_nothing_yet(world: World) -> None:
    answer = await world.payments(world.asha).CreateDeposit(
        deposit_request(world.asha_wallet, 500_000), key="k"
    )
    made = answer.transaction
    assert made.kind == Transaction.DEPOSIT and made.state == Transaction.PENDING
    assert made.rail == "mpesa" and made.destination_wallet_id == str(world.asha_wallet)
    assert made.source_wallet_id == "" and made.total == money(500_000)
    assert world.ledger.balance(world.asha_wallet) == 500_000 and world.ledger.calls == 0


async def test_a_replayed_deposit_is_the_first_one(world: World) -> None:
    payments = world.payments(world.asha)
    first = await payments.CreateDeposit(deposit_request(world.asha_wallet), key="k")
    call = payments.CreateDeposit(deposit_request(world.asha_wallet), key="k")
    assert await call == first
    assert ("idempotent-replayed", "true") in tuple(await call.initial_metadata())


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    payments = world.payments(world.asha)
    await payments.CreateDeposit(deposit_request(world.asha_wallet), key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await payments.CreateDeposit(deposit_request(world.brian_wallet), key="k")


async def test_another_persons_wallet_gets_no_deposit(world: World) -> None:
    with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
        await world.payments(world.asha).CreateDeposit(deposit_request(world.brian_wallet), key="k")


async def test_the_amount_is_in_the_currency_of_the_wallet(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await world.payments(world.asha).CreateDeposit(
            deposit_request(world.asha_wallet, currency="USD"), key="k"
        )


async def test_mobile_money_takes_whole_shillings(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "AMOUNT_NOT_PAYABLE") as refusal:
        await world.payments(world.asha).CreateDeposit(
            deposit_request(world.asha_wallet, 10_050), key="k"
        )
    assert refusal.metadata["amountStep"] == "100"


@pytest.mark.parametrize("minor_units", [900, 25_000_100])
async def test_the_rail_has_limits_and_tells_them(world: World, minor_units: int) -> None:
    with assert_refused("INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE") as refusal:
        await world.payments(world.asha).CreateDeposit(
            deposit_request(world.asha_wallet, minor_units), key="k"
        )
    assert (refusal.metadata["amountMin"], refusal.metadata["amountMax"]) == ("1000", "25000000")


@pytest.mark.parametrize("phone", ["0612345678", "+44 7911 123456", "07123456789"])
async def test_only_kenyan_mobile_numbers_are_reached(world: World, phone: str) -> None:
    with assert_refused("INVALID_ARGUMENT", "PHONE_INVALID"):
        await world.payments(world.asha).CreateDeposit(
            deposit_request(world.asha_wallet, phone=phone), key="k"
        )


@pytest.mark.parametrize("method", ["card", "lightning"])
async def test_rails_that_are_not_installed_say_so(world: World, method: str) -> None:
    request = payment_service_pb2.CreateDepositRequest(
        wallet_id=str(world.asha_wallet), amount=money(10_000)
    )
    getattr(request, method).SetInParent()
    with assert_refused("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"):
        await world.payments(world.asha).CreateDeposit(request, key="k")


async def test_mobile_money_has_no_bitcoin(world: World) -> None:
    wallet = world.ledger.open(world.asha.id, currency="BTC")
    with assert_refused("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"):
        await world.payments(world.asha).CreateDeposit(
            deposit_request(wallet, 10_000, currency="BTC"), key="k"
        )


async def test_an_amount_beyond_every_limit_is_refused_as_such(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "AMOUNT_OUT_OF_RANGE"):
        await world.payments(world.asha).CreateDeposit(
            deposit_request(world.asha_wallet, (2**63 - 1) // 100 * 100), key="k"
        )


async def test_a_method_is_required(world: World) -> None:
    request = payment_service_pb2.CreateDepositRequest(
        wallet_id=str(world.asha_wallet), amount=money(10_000)
    )
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="method"):
        await world.payments(world.asha).CreateDeposit(request, key="k")

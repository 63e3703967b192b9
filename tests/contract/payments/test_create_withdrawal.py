"""CreateWithdrawal: the money is held when this answers."""

import pytest

from hazina.payments.v1 import payment_service_pb2, review_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.payments import money, withdrawal_request
from tests.harness import assert_refused


async def test_amount_and_fee_are_held_at_once(world: World) -> None:
    await world.reviews(world.dina).SetFeeSchedule(
        review_service_pb2.SetFeeScheduleRequest(
            fee_schedule=review_service_pb2.FeeSchedule(
                rail="mpesa",
                kind=Transaction.WITHDRAWAL,
                currency="KES",
                fee=payment_service_pb2.FeeRule(basis_points=100, fee_min=1_500),
            )
        )
    )
    answer = await world.payments(world.asha).CreateWithdrawal(
        withdrawal_request(world.asha_wallet, 20_000), key="k"
    )
    made = answer.transaction
    assert made.kind == Transaction.WITHDRAWAL and made.state == Transaction.PENDING
    assert (made.fee, made.total) == (money(1_500), money(21_500))
    assert world.ledger.held(world.asha_wallet) == 21_500
    assert world.ledger.balance(world.asha_wallet) == 500_000


async def test_a_replayed_withdrawal_holds_once(world: World) -> None:
    payments = world.payments(world.asha)
    first = await payments.CreateWithdrawal(withdrawal_request(world.asha_wallet), key="k")
    call = payments.CreateWithdrawal(withdrawal_request(world.asha_wallet), key="k")
    assert await call == first
    assert ("idempotent-replayed", "true") in tuple(await call.initial_metadata())
    assert world.ledger.held(world.asha_wallet) == 20_000


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    payments = world.payments(world.asha)
    await payments.CreateWithdrawal(withdrawal_request(world.asha_wallet), key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await payments.CreateWithdrawal(withdrawal_request(world.asha_wallet, 30_000), key="k")


async def test_what_is_not_there_cannot_be_withdrawn_and_the_refusal_is_replayed(
    world: World,
) -> None:
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            await world.payments(world.asha).CreateWithdrawal(
                withdrawal_request(world.asha_wallet, 500_100), key="k"
            )
    assert world.ledger.held(world.asha_wallet) == 0


async def test_held_money_cannot_be_withdrawn_again(world: World) -> None:
    payments = world.payments(world.asha)
    await payments.CreateWithdrawal(withdrawal_request(world.asha_wallet, 300_000), key="k-1")
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await payments.CreateWithdrawal(withdrawal_request(world.asha_wallet, 300_000), key="k-2")


async def test_another_persons_wallet_gives_nothing(world: World) -> None:
    with assert_refused("NOT_FOUND", "WALLET_NOT_FOUND"):
        await world.payments(world.brian).CreateWithdrawal(
            withdrawal_request(world.asha_wallet), key="k"
        )


async def test_a_frozen_wallet_gives_nothing(world: World) -> None:
    world.ledger.freeze(world.asha_wallet)
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await world.payments(world.asha).CreateWithdrawal(
            withdrawal_request(world.asha_wallet), key="k"
        )


@pytest.mark.parametrize(
    ("minor_units", "reason"),
    [
        (10_050, "AMOUNT_NOT_PAYABLE"),
        (900, "AMOUNT_OUT_OF_RANGE"),
        (25_000_100, "AMOUNT_OUT_OF_RANGE"),
    ],
)
async def test_the_rail_takes_whole_shillings_within_limits(
    world: World, minor_units: int, reason: str
) -> None:
    with assert_refused("INVALID_ARGUMENT", reason):
        await world.payments(world.asha).CreateWithdrawal(
            withdrawal_request(world.asha_wallet, minor_units), key="k"
        )


async def test_the_currency_is_that_of_the_wallet(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await world.payments(world.asha).CreateWithdrawal(
            withdrawal_request(world.asha_wallet, currency="USD"), key="k"
        )


async def test_only_kenyan_mobile_numbers_are_paid(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "PHONE_INVALID"):
        await world.payments(world.asha).CreateWithdrawal(
            withdrawal_request(world.asha_wallet, phone="+1 202 555 0100"), key="k"
        )


async def test_lightning_is_not_installed(world: World) -> None:
    request = payment_service_pb2.CreateWithdrawalRequest(
        wallet_id=str(world.asha_wallet),
        amount=money(10_000),
        lightning=payment_service_pb2.LightningWithdrawal(address="asha@example.org"),
    )
    with assert_refused("UNIMPLEMENTED", "RAIL_NOT_AVAILABLE"):
        await world.payments(world.asha).CreateWithdrawal(request, key="k")

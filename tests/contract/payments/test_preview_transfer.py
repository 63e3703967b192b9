"""PreviewTransfer: who would get it and what it would cost; nothing moves."""

import pytest

from hazina.payments.v1 import payment_service_pb2, review_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from tests.contract.payments.conftest import World
from tests.factories.payments import destination, money
from tests.harness import assert_refused


def preview(to: object, minor_units: int = 120_050) -> payment_service_pb2.PreviewTransferRequest:
    """A transfer to think about."""
    return payment_service_pb2.PreviewTransferRequest(
        destination=destination(to),  # type: ignore[arg-type]
        amount=money(minor_units),
    )


async def set_fee(world: World, **rule: int) -> None:
    """Let transfers cost something."""
    await world.reviews(world.dina).SetFeeSchedule(
        review_service_pb2.SetFeeScheduleRequest(
            fee_schedule=review_service_pb2.FeeSchedule(
                kind=Transaction.TRANSFER,
                currency="KES",
                fee=payment_service_pb2.FeeRule(**rule),
            )
        )
    )


@pytest.mark.parametrize("by", ["identifier", "wallet"])
async def test_the_name_is_masked_and_nothing_moves(world: World, by: str) -> None:
    target = "+254722000111" if by == "identifier" else world.brian_wallet
    answer = await world.payments(world.asha).PreviewTransfer(preview(target))
    assert answer.recipient_name == "B****"
    assert (answer.fee, answer.total) == (money(0), money(120_050))
    assert world.ledger.calls == 0


async def test_the_fee_is_told_and_is_what_the_transfer_costs(world: World) -> None:
    await set_fee(world, basis_points=50)
    answer = await world.payments(world.asha).PreviewTransfer(preview("+254722000111", 1_100))
    assert (answer.fee, answer.total) == (money(6), money(1_106))
    made = await world.payments(world.asha).CreateTransfer(
        payment_service_pb2.CreateTransferRequest(
            source_wallet_id=str(world.asha_wallet),
            destination=destination(world.brian_wallet),
            amount=money(1_100),
        ),
        key="k",
    )
    assert made.transaction.fee == money(6)
    assert world.ledger.balance("SYSTEM:FEES") == 6
    assert world.ledger.balance(world.asha_wallet) == 500_000 - 1_106


async def test_nobody_of_that_name_can_be_previewed(world: World) -> None:
    with assert_refused("NOT_FOUND", "RECIPIENT_NOT_FOUND"):
        await world.payments(world.asha).PreviewTransfer(preview("nobody@example.org"))


async def test_an_amount_whose_total_leaves_64_bits_is_refused(world: World) -> None:
    await set_fee(world, basis_points=1)
    with assert_refused("OUT_OF_RANGE", "AMOUNT_OVERFLOW"):
        await world.payments(world.asha).PreviewTransfer(preview("+254722000111", 2**63 - 1))


async def test_a_destination_is_required(world: World) -> None:
    request = payment_service_pb2.PreviewTransferRequest(amount=money(1))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="destination"):
        await world.payments(world.asha).PreviewTransfer(request)

"""ReverseTransaction: one person proposes to undo a completed transaction."""

from hazina.payments.v1.review_service_pb2 import ReverseTransactionRequest, Review
from services.kit.clock import Clock
from tests.contract.payments.conftest import World
from tests.factories.payments import transfer_request
from tests.harness import Person, assert_refused


async def completed(world: World, minor_units: int = 120_050) -> str:
    """Asha has paid Brian."""
    made = await world.payments(world.asha).CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet, minor_units), key="completed"
    )
    return str(made.transaction.id)


async def propose_reversal(
    world: World,
    user: Person,
    transaction_id: str,
    *,
    key: str = "reverse",
    note: str = "paid twice",
) -> Review:
    """Propose to undo it."""
    answer = await world.reviews(user).ReverseTransaction(
        ReverseTransactionRequest(transaction_id=transaction_id, note=note), key=key
    )
    review: Review = answer.review
    return review


async def test_a_proposal_moves_nothing(world: World) -> None:
    made = await completed(world)
    review = await propose_reversal(world, world.chris, made)
    assert review.state == Review.PROPOSED and review.action == Review.REVERSE
    assert world.ledger.balance(world.brian_wallet) == 120_050


async def test_a_replayed_proposal_is_the_first_one(world: World) -> None:
    made = await completed(world)
    first = await propose_reversal(world, world.chris, made)
    assert await propose_reversal(world, world.chris, made) == first
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await propose_reversal(world, world.chris, made, note="another reason")


async def test_one_proposal_waits_at_a_time(world: World) -> None:
    made = await completed(world)
    await propose_reversal(world, world.chris, made)
    with assert_refused("FAILED_PRECONDITION", "REVIEW_ALREADY_PROPOSED"):
        await propose_reversal(world, world.dina, made)


async def test_only_what_is_completed_can_be_reversed(world: World) -> None:
    stuck = await world.stuck_withdrawal()
    with assert_refused("FAILED_PRECONDITION", "TRANSACTION_NOT_REVERSIBLE"):
        await propose_reversal(world, world.chris, stuck)


async def test_what_does_not_exist_is_not_found(world: World) -> None:
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await propose_reversal(world, world.chris, str(Clock().new_id()))


async def test_bad_input_is_refused_with_its_field(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="note"):
        await propose_reversal(world, world.chris, str(Clock().new_id()), note="x")

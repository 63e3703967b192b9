"""ResolveTransaction: one person proposes how a waiting transaction ended."""

from hazina.payments.v1.review_service_pb2 import ResolveTransactionRequest, Review
from hazina.payments.v1.transaction_pb2 import Transaction
from services.kit.clock import Clock
from tests.contract.payments.conftest import World
from tests.factories.payments import transfer_request
from tests.harness import Person, assert_refused


def resolve_request(
    transaction_id: str, outcome: Transaction.State.ValueType = Transaction.FAILED
) -> ResolveTransactionRequest:
    """A proposal."""
    return ResolveTransactionRequest(
        transaction_id=transaction_id, outcome=outcome, note="not on the statement"
    )


async def propose(
    world: World,
    user: Person,
    transaction_id: str,
    outcome: Transaction.State.ValueType = Transaction.FAILED,
    *,
    key: str = "resolve",
) -> Review:
    """Propose how it ended."""
    answer = await world.reviews(user).ResolveTransaction(
        resolve_request(transaction_id, outcome), key=key
    )
    review: Review = answer.review
    return review


async def test_a_proposal_waits_for_a_second_person_and_moves_nothing(world: World) -> None:
    stuck = await world.stuck_withdrawal()
    review = await propose(world, world.chris, stuck)
    assert review.state == Review.PROPOSED and review.action == Review.FAIL
    assert review.proposer_id == str(world.chris.id) and review.decider_id == ""
    assert review.transaction_id == stuck and review.note == "not on the statement"
    assert world.ledger.held(world.asha_wallet) == 20_000


async def test_a_replayed_proposal_is_the_first_one(world: World) -> None:
    stuck = await world.stuck_withdrawal()
    assert await propose(world, world.chris, stuck) == await propose(world, world.chris, stuck)
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await propose(world, world.chris, stuck, Transaction.COMPLETED)


async def test_one_proposal_waits_at_a_time(world: World) -> None:
    stuck = await world.stuck_withdrawal()
    await propose(world, world.chris, stuck)
    with assert_refused("FAILED_PRECONDITION", "REVIEW_ALREADY_PROPOSED"):
        await propose(world, world.dina, stuck)


async def test_only_what_waits_can_be_resolved(world: World) -> None:
    made = await world.payments(world.asha).CreateTransfer(
        transfer_request(world.asha_wallet, world.brian_wallet), key="k"
    )
    with assert_refused("FAILED_PRECONDITION", "TRANSACTION_NOT_IN_REVIEW"):
        await propose(world, world.chris, made.transaction.id)


async def test_what_does_not_exist_or_belongs_to_another_tenant_is_not_found(world: World) -> None:
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await propose(world, world.chris, str(Clock().new_id()))
    stuck = await world.stuck_withdrawal()
    stranger = world.harness.person(roles=["staff"], tenant="other")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await propose(world, stranger, stuck)


async def test_members_cannot_propose(world: World) -> None:
    with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        await propose(world, world.asha, str(Clock().new_id()))


async def test_bad_input_is_refused_with_its_field(world: World) -> None:
    made = str(Clock().new_id())
    for field, request in (
        ("outcome", resolve_request(made, Transaction.REVERSED)),
        (
            "note",
            ResolveTransactionRequest(transaction_id=made, outcome=Transaction.COMPLETED, note="x"),
        ),
        ("transactionId", resolve_request("7")),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
            await world.reviews(world.chris).ResolveTransaction(request, key="k")

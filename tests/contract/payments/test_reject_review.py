"""RejectReview: a proposal ends without effect."""

from hazina.payments.v1.review_service_pb2 import RejectReviewRequest, Review
from services.kit.clock import Clock
from tests.contract.payments.conftest import World
from tests.contract.payments.test_resolve_transaction import propose
from tests.harness import assert_refused


async def test_a_rejected_proposal_moves_nothing_and_makes_room_for_another(world: World) -> None:
    stuck = await world.stuck_withdrawal()
    review = await propose(world, world.chris, stuck)
    answer = await world.reviews(world.dina).RejectReview(
        RejectReviewRequest(review_id=review.id, note="it is on the statement")
    )
    assert answer.review.state == Review.REJECTED
    assert answer.review.decider_id == str(world.dina.id) and answer.review.HasField("decide_time")
    assert world.ledger.held(world.asha_wallet) == 20_000
    again = await propose(world, world.chris, stuck, key="again")
    assert again.state == Review.PROPOSED


async def test_who_proposed_may_reject_once(world: World) -> None:
    review = await propose(world, world.chris, await world.stuck_withdrawal())
    request = RejectReviewRequest(review_id=review.id, note="a mistake")
    await world.reviews(world.chris).RejectReview(request)
    with assert_refused("FAILED_PRECONDITION", "REVIEW_CLOSED"):
        await world.reviews(world.chris).RejectReview(request)


async def test_an_unknown_proposal_is_not_found(world: World) -> None:
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.reviews(world.chris).RejectReview(
            RejectReviewRequest(review_id=str(Clock().new_id()), note="nothing there")
        )


async def test_a_note_is_required(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="note"):
        await world.reviews(world.chris).RejectReview(
            RejectReviewRequest(review_id=str(Clock().new_id()))
        )

"""ConfirmReview: a second person carries a proposal out."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hazina.payments.v1.payment_service_pb2 import FeeRule, GetTransactionRequest
from hazina.payments.v1.review_service_pb2 import (
    ConfirmReviewRequest,
    FeeSchedule,
    ListReviewCasesRequest,
    RejectReviewRequest,
    Review,
    SetFeeScheduleRequest,
)
from hazina.payments.v1.transaction_pb2 import Transaction
from services.kit.clock import Clock
from tests.contract.payments.conftest import World
from tests.contract.payments.test_resolve_transaction import propose
from tests.contract.payments.test_reverse_transaction import completed, propose_reversal
from tests.harness import Person, assert_refused


async def confirm(world: World, user: Person, review: Review, *, key: str = "confirm") -> Any:
    """Confirm a proposal."""
    return await world.reviews(user).ConfirmReview(
        ConfirmReviewRequest(review_id=review.id), key=key
    )


async def state_of(world: World, user: Person, transaction_id: str) -> Transaction:
    """A transaction as its party sees it."""
    found: Transaction = await world.payments(user).GetTransaction(
        GetTransactionRequest(transaction_id=transaction_id)
    )
    return found


@pytest.mark.parametrize(
    ("outcome", "left"), [(Transaction.COMPLETED, 480_000), (Transaction.FAILED, 500_000)]
)
async def test_a_withdrawal_ends_as_two_people_say(
    world: World, outcome: Transaction.State.ValueType, left: int
) -> None:
    stuck = await world.stuck_withdrawal()
    review = await propose(world, world.chris, stuck, outcome)
    answer = await confirm(world, world.dina, review)
    assert answer.review.state == Review.CONFIRMED
    assert answer.review.decider_id == str(world.dina.id)
    assert answer.transaction.id == stuck and answer.transaction.state == outcome
    assert world.ledger.balance(world.asha_wallet) == left
    assert world.ledger.held(world.asha_wallet) == 0 and world.ledger.is_balanced()
    cases = await world.reviews(world.dina).ListReviewCases(ListReviewCasesRequest())
    assert not cases.review_cases


@pytest.mark.parametrize(
    ("outcome", "left"), [(Transaction.COMPLETED, 480_000), (Transaction.FAILED, 500_000)]
)
async def test_a_withdrawal_can_still_be_ended_when_its_ledger_ids_are_too_old(
    world: World, outcome: Transaction.State.ValueType, left: int
) -> None:
    stuck = await world.old_withdrawal(timedelta(days=3))
    answer = await confirm(world, world.dina, await propose(world, world.chris, stuck, outcome))
    assert answer.transaction.state == outcome
    assert world.ledger.balance(world.asha_wallet) == left
    assert world.ledger.held(world.asha_wallet) == 0


async def test_a_reversal_is_a_transaction_of_its_own_that_undoes_amount_and_fee(
    world: World,
) -> None:
    await world.reviews(world.dina).SetFeeSchedule(
        SetFeeScheduleRequest(
            fee_schedule=FeeSchedule(
                kind=Transaction.TRANSFER, currency="KES", fee=FeeRule(fee_min=100)
            )
        )
    )
    made = await completed(world)
    assert world.ledger.balance("SYSTEM:FEES") == 100
    answer = await confirm(world, world.dina, await propose_reversal(world, world.chris, made))
    reversal = answer.transaction
    assert reversal.kind == Transaction.REVERSAL and reversal.state == Transaction.COMPLETED
    assert reversal.reversal_transaction_id == made
    undone = await state_of(world, world.asha, made)
    assert undone.state == Transaction.REVERSED
    assert undone.reversal_transaction_id == reversal.id
    assert world.ledger.balance(world.asha_wallet) == 500_000
    assert world.ledger.balance(world.brian_wallet) == 0
    assert world.ledger.balance("SYSTEM:FEES") == 0
    seen = await state_of(world, world.brian, reversal.id)
    assert seen.source_wallet_id == str(world.brian_wallet)


async def test_a_replayed_confirmation_acts_once_and_answers_the_same(world: World) -> None:
    made = await completed(world)
    review = await propose_reversal(world, world.chris, made)
    answers = await asyncio.gather(*(confirm(world, world.dina, review) for _ in range(5)))
    assert len({one.SerializeToString(deterministic=True) for one in answers}) == 1
    assert world.ledger.balance(world.asha_wallet) == 500_000
    other = await propose(world, world.chris, await world.stuck_withdrawal())
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await confirm(world, world.dina, other)


async def test_who_proposed_cannot_confirm(world: World) -> None:
    review = await propose(world, world.chris, await world.stuck_withdrawal())
    with assert_refused("PERMISSION_DENIED", "SECOND_PERSON_REQUIRED"):
        await confirm(world, world.chris, review)
    answer = await confirm(world, world.dina, review)
    assert answer.review.state == Review.CONFIRMED


async def test_a_decided_proposal_is_closed(world: World) -> None:
    review = await propose(world, world.chris, await world.stuck_withdrawal())
    await world.reviews(world.chris).RejectReview(
        RejectReviewRequest(review_id=review.id, note="a mistake")
    )
    with assert_refused("FAILED_PRECONDITION", "REVIEW_CLOSED"):
        await confirm(world, world.dina, review)


async def test_money_that_is_spent_cannot_be_reversed_and_the_refusal_is_replayed(
    world: World,
) -> None:
    made = await completed(world)
    world.ledger.spend(world.brian_wallet, 1)
    review = await propose_reversal(world, world.chris, made)
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            await confirm(world, world.dina, review)
    assert (await state_of(world, world.asha, made)).state == Transaction.COMPLETED
    assert world.ledger.balance(world.brian_wallet) == 120_049
    again = await propose_reversal(world, world.chris, made, key="again")
    assert again.state == Review.PROPOSED


async def test_a_frozen_receiver_gives_nothing_back(world: World) -> None:
    made = await completed(world)
    world.ledger.freeze(world.brian_wallet)
    review = await propose_reversal(world, world.chris, made)
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await confirm(world, world.dina, review)


async def test_a_transaction_is_reversed_once(world: World) -> None:
    made = await completed(world)
    await confirm(world, world.dina, await propose_reversal(world, world.chris, made))
    with assert_refused("FAILED_PRECONDITION", "TRANSACTION_NOT_REVERSIBLE"):
        await propose_reversal(world, world.chris, made, key="again")


async def test_an_unknown_proposal_is_not_found(world: World) -> None:
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await confirm(world, world.dina, Review(id=str(Clock().new_id())))


async def test_a_proposal_of_another_tenant_is_not_found(world: World) -> None:
    review = await propose(world, world.chris, await world.stuck_withdrawal())
    stranger = world.harness.person(roles=["staff"], tenant="other")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await confirm(world, stranger, review)


async def test_an_id_is_a_uuid(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="reviewId"):
        await confirm(world, world.dina, Review(id="7"))

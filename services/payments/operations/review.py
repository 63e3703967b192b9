"""Staff decides what machines cannot: one person proposes, a second one confirms. And staff sets fees."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.kit import idempotency
from services.kit.database import Session
from services.kit.errors import NotFound
from services.kit.identity import Call
from services.payments import domain, store
from services.payments.domain import (
    Action,
    Direction,
    FeeSchedule,
    Kind,
    Review,
    ReviewCase,
    ReviewState,
    State,
    Transaction,
)
from services.payments.errors import (
    RailNotAvailable,
    ReviewAlreadyProposed,
    ReviewClosed,
    SecondPersonRequired,
    TransactionNotInReview,
    TransactionNotReversible,
)
from services.payments.operations import orders, steps
from services.payments.operations.desk import Desk

__all__ = [
    "confirm_review",
    "list_cases",
    "list_fees",
    "propose_outcome",
    "propose_reversal",
    "reject_review",
    "set_fee",
]

_IN_REVIEW = (State.UNKNOWN, State.MANUAL_REVIEW)


# --- proposing --------------------------------------------------------------------------------------------------------


async def propose_outcome(
    desk: Desk, call: Call, transaction_id: UUID, *, completed: bool, note: str
) -> Review:
    """Propose how a waiting transaction ended. A completed one with an open case (money is owed) is only acknowledged."""
    action = Action.COMPLETE if completed else Action.FAIL
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        made = await _claim(desk, session, call)
        if not isinstance(made, UUID):
            return made
        transaction = await store.find_transaction(session, transaction_id, lock=True)
        if transaction is None:
            raise NotFound
        if transaction.state not in _IN_REVIEW and not (
            completed
            and transaction.state is State.COMPLETED
            and await store.find_case_reason(session, transaction_id)
        ):
            raise TransactionNotInReview
        return await _propose(desk, session, call, made, transaction, action, note)


async def propose_reversal(desk: Desk, call: Call, transaction_id: UUID, *, note: str) -> Review:
    """Propose to undo a completed transaction."""
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        made = await _claim(desk, session, call)
        if not isinstance(made, UUID):
            return made
        transaction = await store.find_transaction(session, transaction_id, lock=True)
        if transaction is None:
            raise NotFound
        if not domain.is_reversible(transaction):
            raise TransactionNotReversible
        review = await _propose(desk, session, call, made, transaction, Action.REVERSE, note)
        if await store.find_case_reason(session, transaction_id) is None:
            await store.open_case(
                session,
                call.tenant_id,
                new_id=desk.clock.new_id(),
                transaction_id=transaction_id,
                reason="REVERSAL_PROPOSED",
                now=review.create_time,
            )
        return review


async def _claim(desk: Desk, session: Session, call: Call) -> UUID | Review:
    """The id for a new proposal, or the one that an earlier call with this key made, as it was then."""
    claim = await idempotency.claim(session, call, resource_id=desk.clock.new_id())
    if claim.is_new:
        return claim.resource_id
    review = await store.find_review(session, claim.resource_id)
    assert review is not None, "a key is written with its proposal"
    return replace(
        review, state=ReviewState.PROPOSED, decider_id=None, decide_time=None, decision_note=""
    )


async def _propose(
    desk: Desk,
    session: Session,
    call: Call,
    review_id: UUID,
    transaction: Transaction,
    action: Action,
    note: str,
) -> Review:
    review = Review(
        id=review_id,
        tenant_id=call.tenant_id,
        transaction_id=transaction.id,
        action=action,
        state=ReviewState.PROPOSED,
        note=note,
        proposer_id=call.signed_in.id,
        create_time=desk.clock.now(),
    )
    if not await store.insert_review(session, review):
        raise ReviewAlreadyProposed
    return review


# --- deciding ---------------------------------------------------------------------------------------------------------


async def confirm_review(desk: Desk, call: Call, review_id: UUID) -> tuple[Review, Transaction]:
    """Carry out somebody else's proposal. Answers the transaction afterwards; for a reversal, the one that undid it."""
    lease_id = desk.clock.new_id()
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        claim = await idempotency.claim(session, call, resource_id=review_id)
        review = await store.find_review(session, review_id, lock=True)
        if review is None:
            raise NotFound
        if claim.is_new:
            review = await _decide(desk, session, call, review, lease_id)
    transaction_id = review.reversal_transaction_id or review.transaction_id
    if review.action is Action.REVERSE:
        if claim.is_new:
            reversal = await steps.load(desk, call.tenant_id, transaction_id)
            steps.reach(reversal, "after_t1")
            await steps.drive(desk, call.tenant_id, transaction_id, lease_id=lease_id)
            transaction = await orders.answer(desk, call, transaction_id)
        else:
            transaction = await orders.again(desk, call, transaction_id)
    else:
        await steps.drive(desk, call.tenant_id, transaction_id, lease_id=lease_id)
        transaction = await orders.answer(desk, call, transaction_id)
    return replace(review, state=ReviewState.CONFIRMED), transaction


async def _decide(
    desk: Desk, session: Session, call: Call, review: Review, lease_id: UUID
) -> Review:
    """T1 of a confirmation: the decision, and with it all that the next steps need."""
    if review.state is not ReviewState.PROPOSED:
        raise ReviewClosed
    if review.proposer_id == call.signed_in.id:
        raise SecondPersonRequired
    transaction = await store.find_transaction(session, review.transaction_id, lock=True)
    assert transaction is not None, "proposals are about transactions"
    now = desk.clock.now()
    decided = replace(
        review, state=ReviewState.CONFIRMED, decider_id=call.signed_in.id, decide_time=now
    )
    if review.action is Action.REVERSE:
        decided = await _begin_reversal(desk, session, call, decided, transaction, lease_id)
    elif transaction.state in _IN_REVIEW:
        completed = review.action is Action.COMPLETE
        after = domain.resolved(transaction, completed=completed)
        await steps.save(desk, session, transaction, after)
        await steps.defer_drive(desk, session, after)
    elif transaction.state is State.COMPLETED and review.action is Action.COMPLETE:
        await store.close_case(session, transaction.id, now)
    else:
        raise TransactionNotInReview
    await store.update_review(session, decided)
    return decided


async def _begin_reversal(
    desk: Desk,
    session: Session,
    call: Call,
    review: Review,
    original: Transaction,
    lease_id: UUID,
) -> Review:
    """The row of a reversal. The original names it at once, so that there is only one."""
    if not domain.is_reversible(original):
        raise TransactionNotReversible
    now = desk.clock.now()
    reversal = Transaction(
        tenant_id=call.tenant_id,
        id=desk.clock.new_id(),
        kind=Kind.REVERSAL,
        state=State.PENDING,
        currency=original.currency,
        amount_minor=original.amount_minor,
        fee_minor=0,
        payer=original.payee,
        payee=original.payer,
        actor=call.actor,
        create_time=now,
        update_time=now,
        note=original.note,
        reversal_transaction_id=original.id,
    )
    await steps.begin(desk, session, reversal, lease_id=lease_id)
    await steps.save(
        desk, session, original, replace(original, reversal_transaction_id=reversal.id)
    )
    await store.close_case(session, original.id, now)
    return replace(review, reversal_transaction_id=reversal.id)


async def reject_review(desk: Desk, call: Call, review_id: UUID, *, note: str) -> Review:
    """End a proposal without effect. Who proposed may do so too."""
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        review = await store.find_review(session, review_id, lock=True)
        if review is None:
            raise NotFound
        if review.state is not ReviewState.PROPOSED:
            raise ReviewClosed
        now = desk.clock.now()
        rejected = replace(
            review,
            state=ReviewState.REJECTED,
            decider_id=call.signed_in.id,
            decide_time=now,
            decision_note=note,
        )
        await store.update_review(session, rejected)
        if review.action is Action.REVERSE:
            await _close_reversal_case(session, review.transaction_id, now)
        return rejected


async def _close_reversal_case(session: Session, transaction_id: UUID, now: datetime) -> None:
    if await store.find_case_reason(session, transaction_id) == "REVERSAL_PROPOSED":
        await store.close_case(session, transaction_id, now)


async def list_cases(
    desk: Desk, call: Call, *, after_id: UUID | None, size: int
) -> Sequence[ReviewCase]:
    """What waits for a person in the tenant, oldest first."""
    async with desk.database.unit(call.tenant_id) as session:
        return await store.list_cases(session, after_id=after_id, size=size)


# --- fees -------------------------------------------------------------------------------------------------------------


async def list_fees(
    desk: Desk, call: Call, *, after: tuple[str, str, str] | None, size: int
) -> Sequence[FeeSchedule]:
    """What movements cost in the tenant, by rail, kind and currency."""
    async with desk.database.unit(call.tenant_id) as session:
        return await store.list_fees(session, after=after, size=size)


async def set_fee(desk: Desk, call: Call, schedule: FeeSchedule) -> FeeSchedule:
    """Set what a movement costs from now on. Raises FeeScheduleInvalid or RailNotAvailable."""
    schedule.rule.check()
    directions = {Kind.DEPOSIT: Direction.IN, Kind.WITHDRAWAL: Direction.OUT}
    wanted = directions.get(schedule.kind)
    is_served = (
        schedule.rail == ""
        if wanted is None
        else any(
            offer.installed
            and (offer.rail, offer.direction, offer.currency)
            == (schedule.rail, wanted, schedule.currency)
            for offer in desk.rails.offers()
        )
    )
    if not is_served:
        raise RailNotAvailable(rail=schedule.rail, kind=schedule.kind)
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        await store.set_fee(
            session, call.tenant_id, schedule, actor=call.actor, now=desk.clock.now()
        )
    return schedule

"""All SQL of the payments service. Functions take a session, answer domain objects, decide and commit nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, delete, insert, literal, or_, select, text, tuple_, union, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kit.database import Session
from services.kit.identity import Call
from services.payments.domain import (
    FREE,
    Action,
    Evidence,
    FeeRule,
    FeeSchedule,
    Kind,
    Outcome,
    Party,
    Review,
    ReviewCase,
    ReviewState,
    Source,
    State,
    Transaction,
)
from services.payments.tables import (
    callback,
    evidence,
    fee_schedule,
    idempotency_key,
    provider_receipt,
    provider_request,
    review,
    review_case,
    transaction,
)

_TENANT = text("current_setting('hazina.tenant_id', true)")

# --- transactions -----------------------------------------------------------------------------------------------------


async def insert_transaction(
    session: Session,
    made: Transaction,
    *,
    lease_id: UUID | None = None,
    lease_end_time: datetime | None = None,
) -> None:
    """Write a new transaction; its maker may hold the lease of the first ledger step."""
    await session.execute(
        insert(transaction).values(
            **_transaction_values(made), lease_id=lease_id, lease_end_time=lease_end_time
        )
    )


async def update_transaction(session: Session, changed: Transaction) -> None:
    """Write a transaction as it is now; its row was locked before in this session."""
    await session.execute(
        update(transaction)
        .where(transaction.c.tenant_id == changed.tenant_id, transaction.c.id == changed.id)
        .values(**_transaction_values(changed))
    )


async def find_transaction(
    session: Session, transaction_id: UUID, *, lock: bool = False
) -> Transaction | None:
    """A transaction of the session's tenant."""
    query = select(transaction).where(transaction.c.id == transaction_id, _own_tenant())
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _transaction(row)


async def lock_new(session: Session, transaction_id: UUID) -> bool:
    """Whether the id is still free; a twin that uses it at the same time is waited for."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))"), {"id": str(transaction_id)}
    )
    return await find_transaction(session, transaction_id) is None


async def take_lease(
    session: Session, transaction_id: UUID, *, lease_id: UUID, now: datetime, lease: timedelta
) -> Transaction | None:
    """Take the lease of a PENDING transaction for its first ledger step; None while somebody else has it."""
    query = (
        update(transaction)
        .where(
            transaction.c.id == transaction_id,
            _own_tenant(),
            transaction.c.state == State.PENDING,
            or_(
                transaction.c.lease_id.is_(None),
                transaction.c.lease_id == lease_id,
                transaction.c.lease_end_time < now,
            ),
        )
        .values(lease_id=lease_id, lease_end_time=now + lease)
        .returning(transaction)
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _transaction(row)


async def release_lease(session: Session, transaction_id: UUID) -> None:
    """Let somebody else go on with the transaction."""
    await session.execute(
        update(transaction)
        .where(transaction.c.id == transaction_id, _own_tenant())
        .values(lease_id=None, lease_end_time=None)
    )


async def has_lease(
    session: Session, transaction_id: UUID, *, lease_id: UUID, now: datetime
) -> bool:
    """Whether the lease is still ours."""
    return bool(
        await session.scalar(
            select(
                and_(transaction.c.lease_id == lease_id, transaction.c.lease_end_time > now)
            ).where(transaction.c.id == transaction_id, _own_tenant())
        )
    )


async def list_transactions(
    session: Session,
    user_id: UUID,
    *,
    wallet_id: UUID | None = None,
    state: State | None = None,
    kind: Kind | None = None,
    before_id: UUID | None = None,
    size: int,
) -> list[Transaction]:
    """Transactions that a person may see, newest first; `before_id` is the last one of the page before."""
    common = [_own_tenant()]
    if state is not None:
        common.append(transaction.c.state == state)
    if kind is not None:
        common.append(transaction.c.kind == kind)
    if before_id is not None:
        common.append(transaction.c.id < before_id)
    paid = [transaction.c.payer_user_id == user_id]
    got = [transaction.c.payee_user_id == user_id, _payee_may_see()]
    if wallet_id is not None:
        paid.append(transaction.c.payer_wallet_id == wallet_id)
        got.append(transaction.c.payee_wallet_id == wallet_id)
    sides = [
        select(transaction)
        .where(*side, *common)
        .order_by(transaction.c.id.desc())
        .limit(size)
        .subquery()
        for side in (paid, got)
    ]
    both = union(*(select(side) for side in sides)).subquery()
    rows = await session.execute(select(both).order_by(both.c.id.desc()).limit(size))
    return [_transaction(row) for row in rows]


def _payee_may_see() -> Any:
    """Somebody who is paid sees what came; attempts that brought nothing are the payer's own affair."""
    return or_(
        transaction.c.payer_user_id.is_(None),
        transaction.c.state.in_([State.COMPLETED, State.REVERSED]),
    )


def _own_tenant() -> Any:
    """The tenant of the session. Row-level security says the same; this lets the primary key be used."""
    return transaction.c.tenant_id == _TENANT


def _transaction_values(t: Transaction) -> dict[str, Any]:
    return {
        "tenant_id": t.tenant_id,
        "id": t.id,
        "kind": t.kind,
        "state": t.state,
        "version": t.version,
        "currency": t.currency,
        "amount_minor": t.amount_minor,
        "fee_minor": t.fee_minor,
        "payer_user_id": t.payer.user_id,
        "payer_wallet_id": t.payer.wallet_id,
        "payer_name": t.payer.name,
        "payer_masked_name": t.payer.masked_name,
        "payee_user_id": t.payee.user_id,
        "payee_wallet_id": t.payee.wallet_id,
        "payee_name": t.payee.name,
        "payee_masked_name": t.payee.masked_name,
        "actor": t.actor,
        "rail": t.rail,
        "phone": t.phone,
        "note": t.note,
        "anchor_id": t.anchor_id,
        "send_attempt_time": t.send_attempt_time,
        "provider_request_id": t.provider_request_id,
        "provider_conversation_id": t.provider_conversation_id,
        "provider_receipt": t.provider_receipt,
        "ask_count": t.ask_count,
        "outcome": t.outcome,
        "outcome_minor": t.outcome_minor,
        "charge_minor": t.charge_minor,
        "suspended": t.suspended,
        "receivable_minor": t.receivable_minor,
        "failure_reason": t.failure_reason,
        "failure_message": t.failure_message,
        "reversal_transaction_id": t.reversal_transaction_id,
        "hold_id": t.hold_id,
        "create_time": t.create_time,
        "update_time": t.update_time,
        "complete_time": t.complete_time,
    }


def _transaction(row: Row[Any]) -> Transaction:
    return Transaction(
        tenant_id=row.tenant_id,
        id=row.id,
        kind=Kind(row.kind),
        state=State(row.state),
        version=row.version,
        currency=row.currency,
        amount_minor=row.amount_minor,
        fee_minor=row.fee_minor,
        payer=Party(row.payer_user_id, row.payer_wallet_id, row.payer_name, row.payer_masked_name),
        payee=Party(row.payee_user_id, row.payee_wallet_id, row.payee_name, row.payee_masked_name),
        actor=row.actor,
        rail=row.rail,
        phone=row.phone,
        note=row.note,
        anchor_id=row.anchor_id,
        send_attempt_time=row.send_attempt_time,
        provider_request_id=row.provider_request_id,
        provider_conversation_id=row.provider_conversation_id,
        provider_receipt=row.provider_receipt,
        ask_count=row.ask_count,
        outcome=Outcome(row.outcome) if row.outcome else None,
        outcome_minor=row.outcome_minor,
        charge_minor=row.charge_minor,
        suspended=row.suspended,
        receivable_minor=row.receivable_minor,
        failure_reason=row.failure_reason,
        failure_message=row.failure_message,
        reversal_transaction_id=row.reversal_transaction_id,
        hold_id=row.hold_id,
        create_time=row.create_time,
        update_time=row.update_time,
        complete_time=row.complete_time,
    )


# --- idempotency keys -------------------------------------------------------------------------------------------------


async def find_key(
    session: Session, call: Call
) -> tuple[bytes, UUID, dict[str, Any] | None] | None:
    """What a call with this key led to before: fingerprint, resource, first answer."""
    c = idempotency_key.c
    row = (
        await session.execute(
            select(c.fingerprint, c.resource_id, c.answer).where(
                c.tenant_id == call.tenant_id,
                c.caller == call.actor,
                c.method == call.method,
                c.key == call.idempotency_key,
            )
        )
    ).one_or_none()
    return None if row is None else (bytes(row.fingerprint), row.resource_id, row.answer)


# --- providers --------------------------------------------------------------------------------------------------------


async def insert_provider_request(
    session: Session, made: Transaction, *, due_time: datetime
) -> None:
    """Note whose transaction it is, and when a sweep should look after it."""
    await session.execute(
        insert(provider_request).values(
            transaction_id=made.id, tenant_id=made.tenant_id, rail=made.rail, due_time=due_time
        )
    )


async def postpone_provider_request(
    session: Session, transaction_id: UUID, due_time: datetime
) -> None:
    """Something else will look after the transaction until then."""
    await session.execute(
        update(provider_request)
        .where(provider_request.c.transaction_id == transaction_id)
        .values(due_time=due_time)
    )


async def close_provider_request(session: Session, transaction_id: UUID) -> None:
    """The transaction has come to its end; callbacks still find it."""
    await session.execute(
        update(provider_request)
        .where(provider_request.c.transaction_id == transaction_id)
        .values(open=False)
    )


async def find_tenant(session: Session, transaction_id: UUID) -> str | None:
    """Whose transaction a callback speaks of. For a unit of all tenants."""
    tenant_id: str | None = await session.scalar(
        select(provider_request.c.tenant_id).where(
            provider_request.c.transaction_id == transaction_id
        )
    )
    return tenant_id


async def list_due_requests(
    session: Session, now: datetime, *, size: int
) -> list[tuple[str, UUID]]:
    """Tenant and id of open transactions that nobody seems to look after. For a unit of all tenants."""
    rows = await session.execute(
        select(provider_request.c.tenant_id, provider_request.c.transaction_id)
        .where(provider_request.c.open, provider_request.c.due_time < now)
        .order_by(provider_request.c.due_time)
        .limit(size)
        .with_for_update(skip_locked=True)
    )
    return [(row.tenant_id, row.transaction_id) for row in rows]


async def claim_receipt(session: Session, rail: str, receipt: str, owner: Transaction) -> bool:
    """Take a provider's receipt for a transaction. False: it completed another one."""
    taken = await session.scalar(
        upsert(provider_receipt)
        .values(rail=rail, receipt=receipt, tenant_id=owner.tenant_id, transaction_id=owner.id)
        .on_conflict_do_nothing()
        .returning(provider_receipt.c.transaction_id)
    )
    if taken is not None:
        return True
    holder = await session.scalar(
        select(provider_receipt.c.transaction_id).where(
            provider_receipt.c.rail == rail, provider_receipt.c.receipt == receipt
        )
    )
    return bool(holder == owner.id)


async def insert_callback(
    session: Session,
    *,
    new_id: UUID,
    rail: str,
    transaction_id: UUID | None,
    answers_question: bool,
    body: bytes,
    now: datetime,
) -> None:
    """Keep a callback as it came."""
    await session.execute(
        insert(callback).values(
            id=new_id,
            rail=rail,
            transaction_id=transaction_id,
            answers_question=answers_question,
            body=body,
            create_time=now,
        )
    )


async def find_callback(
    session: Session, callback_id: UUID
) -> tuple[str, UUID | None, bool, bytes] | None:
    """Rail, transaction, whether it answers a question, and body of a callback that waits; None if it was dealt with."""
    row = (
        await session.execute(
            select(callback)
            .where(callback.c.id == callback_id, callback.c.process_time.is_(None))
            .with_for_update()
        )
    ).one_or_none()
    return None if row is None else (row.rail, row.transaction_id, row.answers_question, row.body)


async def finish_callback(session: Session, callback_id: UUID, now: datetime) -> None:
    """The callback was dealt with."""
    await session.execute(
        update(callback).where(callback.c.id == callback_id).values(process_time=now)
    )


async def purge_callbacks(session: Session, before: datetime) -> None:
    """Forget callbacks that were dealt with; what they said stands in the evidence."""
    await session.execute(delete(callback).where(callback.c.process_time < before))


async def insert_evidence(
    session: Session,
    tenant_id: str,
    *,
    new_id: UUID,
    source: Source,
    body: str,
    now: datetime,
    transaction_id: UUID | None = None,
    review_case_id: UUID | None = None,
) -> None:
    """Keep what the provider said, for the people who decide."""
    await session.execute(
        insert(evidence).values(
            tenant_id=tenant_id,
            id=new_id,
            transaction_id=transaction_id,
            review_case_id=review_case_id,
            source=source,
            body=body,
            create_time=now,
        )
    )


# --- review -----------------------------------------------------------------------------------------------------------

_EVIDENCE_MAX = 20


async def open_case(
    session: Session,
    tenant_id: str,
    *,
    new_id: UUID,
    transaction_id: UUID | None,
    reason: str,
    now: datetime,
) -> None:
    """Have a person look at something; a case that is open for the transaction gets the newer reason."""
    query = upsert(review_case).values(
        tenant_id=tenant_id,
        id=new_id,
        transaction_id=transaction_id,
        reason=reason,
        create_time=now,
    )
    if transaction_id is not None:
        query = query.on_conflict_do_update(
            index_elements=["tenant_id", "transaction_id"],
            index_where=review_case.c.close_time.is_(None)
            & review_case.c.transaction_id.is_not(None),
            set_={"reason": reason},
        )
    await session.execute(query)


async def close_case(session: Session, transaction_id: UUID, now: datetime) -> None:
    """Nobody needs to look any more."""
    await session.execute(
        update(review_case)
        .where(
            review_case.c.tenant_id == _TENANT,
            review_case.c.transaction_id == transaction_id,
            review_case.c.close_time.is_(None),
        )
        .values(close_time=now)
    )


async def find_case_reason(session: Session, transaction_id: UUID) -> str | None:
    """Why a transaction waits for a person; None if it does not."""
    reason: str | None = await session.scalar(
        select(review_case.c.reason).where(
            review_case.c.tenant_id == _TENANT,
            review_case.c.transaction_id == transaction_id,
            review_case.c.close_time.is_(None),
        )
    )
    return reason


async def list_cases(session: Session, *, after_id: UUID | None, size: int) -> list[ReviewCase]:
    """Open cases, oldest first, each with its transaction, evidence and open proposal."""
    query = (
        select(review_case)
        .where(review_case.c.close_time.is_(None))
        .order_by(review_case.c.id)
        .limit(size)
    )
    if after_id is not None:
        query = query.where(review_case.c.id > after_id)
    rows = (await session.execute(query)).all()
    ids = [row.transaction_id for row in rows if row.transaction_id is not None]
    transactions = await _by_id(session, ids)
    reviews = await _open_reviews(session, ids)
    return [
        ReviewCase(
            id=row.id,
            reason=row.reason,
            create_time=row.create_time,
            transaction=transactions.get(row.transaction_id),
            evidence=await _evidence(session, row.id, row.transaction_id),
            review=reviews.get(row.transaction_id),
        )
        for row in rows
    ]


async def _by_id(session: Session, ids: Sequence[UUID]) -> dict[UUID, Transaction]:
    if not ids:
        return {}
    rows = await session.execute(
        select(transaction).where(transaction.c.id.in_(ids), _own_tenant())
    )
    return {row.id: _transaction(row) for row in rows}


async def _open_reviews(session: Session, ids: Sequence[UUID]) -> dict[UUID, Review]:
    if not ids:
        return {}
    rows = await session.execute(
        select(review).where(
            review.c.transaction_id.in_(ids), review.c.state == ReviewState.PROPOSED
        )
    )
    return {row.transaction_id: _review(row) for row in rows}


async def _evidence(
    session: Session, case_id: UUID, transaction_id: UUID | None
) -> tuple[Evidence, ...]:
    belongs = evidence.c.review_case_id == case_id
    if transaction_id is not None:
        belongs = or_(belongs, evidence.c.transaction_id == transaction_id)
    rows = await session.execute(
        select(evidence).where(belongs).order_by(evidence.c.id.desc()).limit(_EVIDENCE_MAX)
    )
    return tuple(Evidence(Source(row.source), row.body, row.create_time) for row in rows)


async def insert_review(session: Session, made: Review) -> bool:
    """Write a proposal. False: another one for the transaction waits already."""
    inserted = await session.scalar(
        upsert(review)
        .values(
            tenant_id=made.tenant_id,
            id=made.id,
            transaction_id=made.transaction_id,
            action=made.action,
            state=made.state,
            note=made.note,
            proposer_id=made.proposer_id,
            create_time=made.create_time,
        )
        .on_conflict_do_nothing(
            index_elements=["tenant_id", "transaction_id"],
            index_where=review.c.state == ReviewState.PROPOSED.value,
        )
        .returning(review.c.id)
    )
    return inserted is not None


async def find_review(session: Session, review_id: UUID, *, lock: bool = False) -> Review | None:
    """A proposal of the session's tenant."""
    query = select(review).where(review.c.id == review_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _review(row)


async def find_review_of(session: Session, transaction_id: UUID) -> Review | None:
    """The proposal for a transaction that waits for a second person."""
    return (await _open_reviews(session, [transaction_id])).get(transaction_id)


async def update_review(session: Session, changed: Review) -> None:
    """Write a proposal as it is now."""
    await session.execute(
        update(review)
        .where(review.c.id == changed.id)
        .values(
            state=changed.state,
            decider_id=changed.decider_id,
            decide_time=changed.decide_time,
            decision_note=changed.decision_note,
            reversal_transaction_id=changed.reversal_transaction_id,
        )
    )


async def overtake_reviews(session: Session, transaction_id: UUID, now: datetime) -> None:
    """End proposals that events have overtaken."""
    await session.execute(
        update(review)
        .where(review.c.transaction_id == transaction_id, review.c.state == ReviewState.PROPOSED)
        .values(state=ReviewState.REJECTED, decide_time=now, decision_note="overtaken")
    )


async def find_review_for_reversal(session: Session, reversal_id: UUID) -> Review | None:
    """The proposal that a reversal carries out."""
    row = (
        await session.execute(select(review).where(review.c.reversal_transaction_id == reversal_id))
    ).one_or_none()
    return None if row is None else _review(row)


def _review(row: Row[Any]) -> Review:
    return Review(
        id=row.id,
        tenant_id=row.tenant_id,
        transaction_id=row.transaction_id,
        action=Action(row.action),
        state=ReviewState(row.state),
        note=row.note,
        proposer_id=row.proposer_id,
        create_time=row.create_time,
        decider_id=row.decider_id,
        decide_time=row.decide_time,
        decision_note=row.decision_note,
        reversal_transaction_id=row.reversal_transaction_id,
    )


# --- fees -------------------------------------------------------------------------------------------------------------


async def find_fee(session: Session, rail: str, kind: Kind, currency: str) -> FeeRule:
    """What a movement costs; nothing if nobody said otherwise."""
    row = (
        await session.execute(
            select(fee_schedule).where(
                fee_schedule.c.rail == rail,
                fee_schedule.c.kind == kind,
                fee_schedule.c.currency == currency,
            )
        )
    ).one_or_none()
    return FREE if row is None else FeeRule(row.basis_points, row.fee_min, row.fee_max)


async def list_fees(
    session: Session, *, after: tuple[str, str, str] | None = None, size: int = 1000
) -> list[FeeSchedule]:
    """Fees of the tenant by rail, kind and currency."""
    key = (fee_schedule.c.rail, fee_schedule.c.kind, fee_schedule.c.currency)
    query = select(fee_schedule).order_by(*key).limit(size)
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*(literal(part) for part in after)))
    return [
        FeeSchedule(
            row.rail,
            Kind(row.kind),
            row.currency,
            FeeRule(row.basis_points, row.fee_min, row.fee_max),
        )
        for row in await session.execute(query)
    ]


async def set_fee(
    session: Session, tenant_id: str, schedule: FeeSchedule, *, actor: str, now: datetime
) -> None:
    """Set what a movement costs from now on."""
    values = {
        "basis_points": schedule.rule.basis_points,
        "fee_min": schedule.rule.fee_min,
        "fee_max": schedule.rule.fee_max,
        "actor": actor,
        "update_time": now,
    }
    await session.execute(
        upsert(fee_schedule)
        .values(
            tenant_id=tenant_id,
            rail=schedule.rail,
            kind=schedule.kind,
            currency=schedule.currency,
            **values,
        )
        .on_conflict_do_update(
            index_elements=["tenant_id", "rail", "kind", "currency"], set_=values
        )
    )

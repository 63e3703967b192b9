"""Withdrawals and approvals."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.groups.domain import (
    Approval,
    Decision,
    Destination,
    State,
    Withdrawal,
    WithdrawalKind,
)
from services.groups.store.groups import own_tenant
from services.groups.tables import approval, withdrawal
from services.kit.database import Session

_OPEN = (State.PENDING, State.APPROVED, State.PROCESSING)


async def insert_withdrawal(session: Session, made: Withdrawal) -> None:
    """Write a new withdrawal."""
    await session.execute(insert(withdrawal).values(**_values(made)))


async def update_withdrawal(session: Session, changed: Withdrawal) -> None:
    """Write a withdrawal as it is now; its row was locked before in this session."""
    await session.execute(
        update(withdrawal)
        .where(own_tenant(withdrawal), withdrawal.c.id == changed.id)
        .values(**_values(changed))
    )


async def find_withdrawal(
    session: Session, withdrawal_id: UUID, *, lock: bool = False
) -> Withdrawal | None:
    """A withdrawal of the session's tenant. Its row lock orders all that people and time do to it."""
    query = select(withdrawal).where(own_tenant(withdrawal), withdrawal.c.id == withdrawal_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _withdrawal(row)


async def list_withdrawals(
    session: Session, group_id: UUID, *, state: State | None, before_id: UUID | None, size: int
) -> list[Withdrawal]:
    """Withdrawals of a group that were held, newest first; `before_id` is the last one of the page before."""
    query = (
        select(withdrawal)
        .where(own_tenant(withdrawal), withdrawal.c.group_id == group_id, withdrawal.c.is_held)
        .order_by(withdrawal.c.id.desc())
        .limit(size)
    )
    if state is not None:
        query = query.where(withdrawal.c.state == state)
    if before_id is not None:
        query = query.where(withdrawal.c.id < before_id)
    return [_withdrawal(row) for row in await session.execute(query)]


async def lock_waiting(session: Session, group_id: UUID) -> list[Withdrawal]:
    """Withdrawals of a group that wait for people, locked, oldest first."""
    rows = await session.execute(
        select(withdrawal)
        .where(
            own_tenant(withdrawal),
            withdrawal.c.group_id == group_id,
            withdrawal.c.state.in_([State.PENDING, State.APPROVED]),
            withdrawal.c.is_held,
        )
        .order_by(withdrawal.c.id)
        .with_for_update()
    )
    return [_withdrawal(row) for row in rows]


async def count_open(session: Session, group_id: UUID, requester_id: UUID) -> int:
    """How many withdrawals of a member are under way."""
    found = await session.scalar(
        select(func.count()).where(
            own_tenant(withdrawal),
            withdrawal.c.group_id == group_id,
            withdrawal.c.requester_id == requester_id,
            withdrawal.c.state.in_(_OPEN),
        )
    )
    return int(found or 0)


async def put_approval(session: Session, owner: Withdrawal, said: Approval) -> None:
    """Write what somebody said; what they said before is written over."""
    values = {
        "tenant_id": owner.tenant_id,
        "withdrawal_id": owner.id,
        "user_id": said.user_id,
        "name": said.name,
        "decision": said.decision,
        "create_time": said.create_time,
    }
    query = upsert(approval).values(**values)
    await session.execute(
        query.on_conflict_do_update(
            index_elements=["tenant_id", "withdrawal_id", "user_id"],
            set_={name: query.excluded[name] for name in ("name", "decision", "create_time")},
        )
    )


async def list_approvals(
    session: Session, withdrawal_ids: Sequence[UUID]
) -> dict[UUID, list[Approval]]:
    """What was said of each of these withdrawals, oldest first; one query for all."""
    found: dict[UUID, list[Approval]] = {one: [] for one in withdrawal_ids}
    rows = await session.execute(
        select(approval)
        .where(own_tenant(approval), approval.c.withdrawal_id.in_(withdrawal_ids))
        .order_by(approval.c.create_time, approval.c.user_id)
    )
    for row in rows:
        said = Approval(row.user_id, row.name, Decision(row.decision), row.create_time)
        found[row.withdrawal_id].append(said)
    return found


def _values(one: Withdrawal) -> dict[str, Any]:
    return {
        "tenant_id": one.tenant_id,
        "id": one.id,
        "group_id": one.group_id,
        "kind": one.kind,
        "state": one.state,
        "requester_id": one.requester_id,
        "requester_name": one.requester_name,
        "currency": one.currency,
        "amount_minor": one.amount_minor,
        "wallet_id": one.destination.wallet_id,
        "identifier": one.destination.identifier,
        "phone": one.destination.phone,
        "named_wallet": one.destination.named_wallet,
        "reason": one.reason,
        "required": one.required,
        "version": one.version,
        "is_held": one.is_held,
        "is_free": one.is_free,
        "failure_reason": one.failure_reason,
        "create_time": one.create_time,
        "expire_time": one.expire_time,
    }


def _withdrawal(row: Row[Any]) -> Withdrawal:
    return Withdrawal(
        tenant_id=row.tenant_id,
        id=row.id,
        group_id=row.group_id,
        kind=WithdrawalKind(row.kind),
        requester_id=row.requester_id,
        requester_name=row.requester_name,
        currency=row.currency,
        amount_minor=row.amount_minor,
        destination=Destination(
            row.wallet_id, row.identifier, row.phone, named_wallet=row.named_wallet
        ),
        reason=row.reason,
        required=row.required,
        create_time=row.create_time,
        expire_time=row.expire_time,
        state=State(row.state),
        version=row.version,
        is_held=row.is_held,
        is_free=row.is_free,
        failure_reason=row.failure_reason,
    )

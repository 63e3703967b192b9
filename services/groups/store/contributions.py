"""Contributions."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, update

from services.groups.domain import Contribution, ContributionState, Method
from services.groups.store.groups import own_tenant
from services.groups.tables import contribution
from services.kit.database import Session


async def insert_contribution(session: Session, made: Contribution) -> None:
    """Write a new contribution."""
    await session.execute(insert(contribution).values(**_values(made)))


async def update_contribution(session: Session, changed: Contribution) -> None:
    """Write a contribution as it is now; its row was locked before in this session."""
    await session.execute(
        update(contribution)
        .where(own_tenant(contribution), contribution.c.id == changed.id)
        .values(**_values(changed))
    )


async def find_contribution(
    session: Session, contribution_id: UUID, *, lock: bool = False
) -> Contribution | None:
    """A contribution of the session's tenant."""
    query = select(contribution).where(
        own_tenant(contribution), contribution.c.id == contribution_id
    )
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _contribution(row)


async def list_contributions(
    session: Session, group_id: UUID, *, before_id: UUID | None, size: int
) -> list[Contribution]:
    """Contributions of a group, newest first; `before_id` is the last one of the page before."""
    query = (
        select(contribution)
        .where(own_tenant(contribution), contribution.c.group_id == group_id)
        .order_by(contribution.c.id.desc())
        .limit(size)
    )
    if before_id is not None:
        query = query.where(contribution.c.id < before_id)
    return [_contribution(row) for row in await session.execute(query)]


async def count_moving(session: Session, group_id: UUID, user_id: UUID) -> int:
    """How many contributions of a member are on their way; cash that was not confirmed yet is not."""
    found = await session.scalar(
        select(func.count()).where(
            own_tenant(contribution),
            contribution.c.group_id == group_id,
            contribution.c.user_id == user_id,
            contribution.c.state == ContributionState.PENDING,
            (contribution.c.method != Method.CASH) | contribution.c.booking_id.is_not(None),
        )
    )
    return int(found or 0)


async def drop_unconfirmed_cash(session: Session, group_id: UUID, user_id: UUID) -> None:
    """Cash that a leaving member never confirmed did not come."""
    await session.execute(
        update(contribution)
        .where(
            own_tenant(contribution),
            contribution.c.group_id == group_id,
            contribution.c.user_id == user_id,
            contribution.c.state == ContributionState.PENDING,
            contribution.c.method == Method.CASH,
            contribution.c.booking_id.is_(None),
        )
        .values(state=ContributionState.FAILED)
    )


def _values(one: Contribution) -> dict[str, Any]:
    return {
        "tenant_id": one.tenant_id,
        "id": one.id,
        "group_id": one.group_id,
        "user_id": one.user_id,
        "name": one.name,
        "method": one.method,
        "state": one.state,
        "currency": one.currency,
        "amount_minor": one.amount_minor,
        "recorder_id": one.recorder_id,
        "source_wallet_id": one.source_wallet_id,
        "phone": one.phone,
        "booking_id": one.booking_id,
        "confirmer_id": one.confirmer_id,
        "failure_reason": one.failure_reason,
        "create_time": one.create_time,
        "complete_time": one.complete_time,
    }


def _contribution(row: Row[Any]) -> Contribution:
    return Contribution(
        tenant_id=row.tenant_id,
        id=row.id,
        group_id=row.group_id,
        user_id=row.user_id,
        name=row.name,
        method=Method(row.method),
        currency=row.currency,
        amount_minor=row.amount_minor,
        recorder_id=row.recorder_id,
        create_time=row.create_time,
        state=ContributionState(row.state),
        source_wallet_id=row.source_wallet_id,
        phone=row.phone,
        booking_id=row.booking_id,
        confirmer_id=row.confirmer_id,
        failure_reason=row.failure_reason,
        complete_time=row.complete_time,
    )

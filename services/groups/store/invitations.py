"""Invitations."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, insert, select, update

from services.groups.domain import Invitation, InvitationState, InvitationView, MemberState, Role
from services.groups.store.groups import own_tenant
from services.groups.tables import invitation, member, savings_group
from services.kit.database import Session


async def insert_invitation(session: Session, made: Invitation) -> None:
    """Write a new invitation."""
    await session.execute(insert(invitation).values(**_values(made)))


async def update_invitation(session: Session, changed: Invitation) -> None:
    """Write an invitation as it is now; its row was locked before in this session."""
    await session.execute(
        update(invitation)
        .where(own_tenant(invitation), invitation.c.id == changed.id)
        .values(**_values(changed))
    )


async def find_invitation(
    session: Session, invitation_id: UUID, *, lock: bool = False
) -> Invitation | None:
    """An invitation of the session's tenant."""
    query = select(invitation).where(own_tenant(invitation), invitation.c.id == invitation_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _invitation(row)


async def find_waiting(session: Session, group_id: UUID, identifier: str) -> Invitation | None:
    """The invitation of an address to a group that was not answered yet, though it may be too old; locked."""
    row = (
        await session.execute(
            select(invitation)
            .where(
                own_tenant(invitation),
                invitation.c.group_id == group_id,
                invitation.c.identifier == identifier,
                invitation.c.state == InvitationState.PENDING,
            )
            .with_for_update()
        )
    ).one_or_none()
    return None if row is None else _invitation(row)


async def find_view(session: Session, invitation_id: UUID) -> InvitationView | None:
    """An invitation with what it shows of its group."""
    row = (await session.execute(_views().where(invitation.c.id == invitation_id))).one_or_none()
    return None if row is None else _view(row)


async def list_waiting(
    session: Session,
    identifiers: Collection[str],
    *,
    now: datetime,
    before_id: UUID | None,
    size: int,
) -> list[InvitationView]:
    """Invitations that wait for somebody with these addresses, newest first."""
    query = (
        _views()
        .where(
            invitation.c.identifier.in_(identifiers),
            invitation.c.state == InvitationState.PENDING,
            invitation.c.expire_time > now,
        )
        .order_by(invitation.c.id.desc())
        .limit(size)
    )
    if before_id is not None:
        query = query.where(invitation.c.id < before_id)
    return [_view(row) for row in await session.execute(query)]


def _views() -> Any:
    count = (
        select(func.count())
        .where(
            member.c.tenant_id == invitation.c.tenant_id,
            member.c.group_id == invitation.c.group_id,
            member.c.state == MemberState.ACTIVE,
        )
        .scalar_subquery()
    )
    return (
        select(invitation, savings_group.c.name.label("group_name"), count.label("member_count"))
        .join_from(
            invitation,
            savings_group,
            and_(
                savings_group.c.tenant_id == invitation.c.tenant_id,
                savings_group.c.id == invitation.c.group_id,
            ),
        )
        .where(own_tenant(invitation))
    )


def _values(one: Invitation) -> dict[str, Any]:
    return {
        "tenant_id": one.tenant_id,
        "id": one.id,
        "group_id": one.group_id,
        "identifier": one.identifier,
        "role": one.role,
        "state": one.state,
        "inviter_id": one.inviter_id,
        "inviter_name": one.inviter_name,
        "user_id": one.user_id,
        "create_time": one.create_time,
        "expire_time": one.expire_time,
    }


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        tenant_id=row.tenant_id,
        id=row.id,
        group_id=row.group_id,
        identifier=row.identifier,
        role=Role(row.role),
        inviter_id=row.inviter_id,
        inviter_name=row.inviter_name,
        create_time=row.create_time,
        expire_time=row.expire_time,
        state=InvitationState(row.state),
        user_id=row.user_id,
    )


def _view(row: Row[Any]) -> InvitationView:
    return InvitationView(_invitation(row), row.group_name, row.member_count)

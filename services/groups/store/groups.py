"""Groups and their members."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, and_, func, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.groups.domain import (
    RIGHTS,
    ApprovalPolicy,
    ExitRule,
    Group,
    GroupView,
    Member,
    MemberState,
    Period,
    PolicyKind,
    PolicyStep,
    Right,
    Role,
    Schedule,
    State,
    Totals,
)
from services.groups.tables import idempotency_key, member, savings_group, withdrawal
from services.kit.database import Session
from services.kit.identity import Call

_TENANT = text("current_setting('hazina.tenant_id', true)")


def own_tenant(table: Table) -> Any:
    """The tenant of the session. Row-level security says the same; this lets the primary key be used."""
    return table.c.tenant_id == _TENANT


# --- groups -----------------------------------------------------------------------------------------------------------


async def insert_group(session: Session, made: Group) -> None:
    """Write a new group."""
    await session.execute(insert(savings_group).values(**_group_values(made)))


async def update_group(session: Session, changed: Group) -> None:
    """Write a group as it is now; its row was locked before in this session."""
    await session.execute(
        update(savings_group)
        .where(own_tenant(savings_group), savings_group.c.id == changed.id)
        .values(**_group_values(changed))
    )


async def find_group(session: Session, group_id: UUID, *, lock: bool = False) -> Group | None:
    """A group of the session's tenant, with or without its wallet."""
    query = select(savings_group).where(own_tenant(savings_group), savings_group.c.id == group_id)
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _group(row)


async def find_view(session: Session, group_id: UUID, user_id: UUID) -> GroupView | None:
    """A group as one of its active members sees it; None for everybody else."""
    views = await list_views(session, user_id, group_ids=[group_id], after=None, size=1)
    return views[0] if views else None


async def list_views(
    session: Session,
    user_id: UUID,
    *,
    group_ids: Collection[UUID] | None = None,
    after: tuple[str, UUID] | None,
    size: int,
) -> list[GroupView]:
    """Groups of a member by name; `after` is name and id of the last one of the page before."""
    others = member.alias("others")
    count = (
        select(func.count())
        .where(
            others.c.tenant_id == member.c.tenant_id,
            others.c.group_id == member.c.group_id,
            others.c.state == MemberState.ACTIVE,
        )
        .scalar_subquery()
    )
    query = (
        select(savings_group, member.c.role, count.label("member_count"))
        .join_from(
            member,
            savings_group,
            and_(
                savings_group.c.tenant_id == member.c.tenant_id,
                savings_group.c.id == member.c.group_id,
            ),
        )
        .where(
            own_tenant(member),
            member.c.user_id == user_id,
            member.c.state == MemberState.ACTIVE,
            savings_group.c.is_open,
        )
        .order_by(savings_group.c.name, savings_group.c.id)
        .limit(size)
    )
    if group_ids is not None:
        query = query.where(member.c.group_id.in_(group_ids))
    if after is not None:
        query = query.where(tuple_(savings_group.c.name, savings_group.c.id) > after)
    return [
        GroupView(_group(row), Role(row.role), row.member_count)
        for row in await session.execute(query)
    ]


async def count_members(session: Session, group_id: UUID) -> int:
    """How many members a group has."""
    found = await session.scalar(
        select(func.count()).where(
            own_tenant(member),
            member.c.group_id == group_id,
            member.c.state == MemberState.ACTIVE,
        )
    )
    return int(found or 0)


async def mark_reminded(session: Session, group_id: UUID, day: date) -> int | None:
    """Note that members are reminded of a due day; answers the number of the reminder, None if it was noted before."""
    number: int | None = await session.scalar(
        update(savings_group)
        .where(
            own_tenant(savings_group),
            savings_group.c.id == group_id,
            or_(savings_group.c.reminded_day.is_(None), savings_group.c.reminded_day < day),
        )
        .values(reminded_day=day, reminder_count=savings_group.c.reminder_count + 1)
        .returning(savings_group.c.reminder_count)
    )
    return number


async def number_reminders(session: Session, group_id: UUID, more: int) -> None:
    """Count further reminder events of one day."""
    await session.execute(
        update(savings_group)
        .where(own_tenant(savings_group), savings_group.c.id == group_id)
        .values(reminder_count=savings_group.c.reminder_count + more)
    )


async def group_totals(
    session: Session, group_ids: Sequence[UUID], user_id: UUID
) -> dict[UUID, Totals]:
    """What groups got and paid, without what they hold; one query for all."""
    got = (
        select(
            member.c.group_id,
            func.sum(member.c.contributed_minor).label("contributed"),
            func.sum(member.c.cash_minor).label("cash"),
            func.sum(member.c.contributed_minor + member.c.cash_minor)
            .filter(member.c.user_id == user_id)
            .label("own"),
        )
        .where(own_tenant(member), member.c.group_id.in_(group_ids))
        .group_by(member.c.group_id)
        .subquery()
    )
    paid = (
        select(withdrawal.c.group_id, func.sum(withdrawal.c.amount_minor).label("paid"))
        .where(
            own_tenant(withdrawal),
            withdrawal.c.group_id.in_(group_ids),
            withdrawal.c.state == State.COMPLETED,
        )
        .group_by(withdrawal.c.group_id)
        .subquery()
    )
    rows = await session.execute(
        select(
            savings_group.c.id,
            savings_group.c.currency,
            got.c.contributed,
            got.c.cash,
            got.c.own,
            paid.c.paid,
        )
        .join_from(savings_group, got, got.c.group_id == savings_group.c.id)
        .outerjoin(paid, paid.c.group_id == savings_group.c.id)
        .where(own_tenant(savings_group))
    )
    return {
        row.id: Totals(
            group_id=row.id,
            currency=row.currency,
            contributed_minor=int(row.contributed or 0),
            cash_minor=int(row.cash or 0),
            paid_out_minor=int(row.paid or 0),
            own_minor=int(row.own or 0),
        )
        for row in rows
    }


# --- members ----------------------------------------------------------------------------------------------------------


async def put_member(session: Session, made: Member) -> None:
    """Write a member; who was there before is written over."""
    values = _member_values(made)
    query = upsert(member).values(**values)
    await session.execute(
        query.on_conflict_do_update(
            index_elements=["tenant_id", "group_id", "user_id"],
            set_={
                name: query.excluded[name]
                for name in values
                if name not in ("tenant_id", "group_id", "user_id")
            },
        )
    )


async def find_member(
    session: Session, group_id: UUID, user_id: UUID, *, lock: bool = False
) -> Member | None:
    """A person in a group, or one who was."""
    query = select(member).where(
        own_tenant(member), member.c.group_id == group_id, member.c.user_id == user_id
    )
    row = (await session.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _member(row)


async def list_members(
    session: Session,
    group_id: UUID,
    *,
    after: tuple[str, UUID] | None = None,
    size: int | None = None,
) -> list[Member]:
    """Active members by name; `after` is name and id of the last one of the page before."""
    query = (
        select(member)
        .where(
            own_tenant(member),
            member.c.group_id == group_id,
            member.c.state == MemberState.ACTIVE,
        )
        .order_by(member.c.name, member.c.user_id)
    )
    if after is not None:
        query = query.where(tuple_(member.c.name, member.c.user_id) > after)
    if size is not None:
        query = query.limit(size)
    return [_member(row) for row in await session.execute(query)]


async def list_officers(session: Session, group_id: UUID, right: Right) -> dict[UUID, Role]:
    """Active members whose role has a right, with their roles."""
    roles = [role for role, rights in RIGHTS.items() if right in rights]
    rows = await session.execute(
        select(member.c.user_id, member.c.role)
        .where(
            own_tenant(member),
            member.c.group_id == group_id,
            member.c.state == MemberState.ACTIVE,
            member.c.role.in_(roles),
        )
        .order_by(member.c.user_id)
    )
    return {row.user_id: Role(row.role) for row in rows}


async def add_totals(
    session: Session,
    group_id: UUID,
    user_id: UUID,
    *,
    contributed_minor: int = 0,
    cash_minor: int = 0,
) -> None:
    """Add to what a member contributed."""
    await session.execute(
        update(member)
        .where(own_tenant(member), member.c.group_id == group_id, member.c.user_id == user_id)
        .values(
            contributed_minor=member.c.contributed_minor + contributed_minor,
            cash_minor=member.c.cash_minor + cash_minor,
        )
    )


async def begin_schedule(session: Session, group_id: UUID) -> None:
    """From now on a new schedule counts: nobody is behind."""
    await session.execute(
        update(member)
        .where(own_tenant(member), member.c.group_id == group_id)
        .values(base_minor=member.c.contributed_minor + member.c.cash_minor)
    )


async def rename(session: Session, user_id: UUID, name: str) -> None:
    """A person has another name now, in all their groups of the tenant."""
    await session.execute(
        update(member).where(own_tenant(member), member.c.user_id == user_id).values(name=name)
    )


# --- keys -------------------------------------------------------------------------------------------------------------


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


# --- rows -------------------------------------------------------------------------------------------------------------


def _group_values(group: Group) -> dict[str, Any]:
    schedule = group.schedule
    return {
        "tenant_id": group.tenant_id,
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "currency": group.currency,
        "policy_kind": group.policy.kind,
        "approvals_needed": group.policy.approvals_needed,
        "policy_steps": [
            [step.amount_minor_max, step.approvals_needed] for step in group.policy.steps
        ],
        "schedule_amount_minor": schedule.amount_minor if schedule else None,
        "schedule_period": schedule.period if schedule else None,
        "schedule_due_day": schedule.due_day if schedule else None,
        "schedule_time": group.schedule_time,
        "exit_rule": group.exit_rule,
        "is_open": group.is_open,
        "version": group.version,
        "create_time": group.create_time,
    }


def _group(row: Row[Any]) -> Group:
    schedule = None
    if row.schedule_period is not None:
        schedule = Schedule(
            row.schedule_amount_minor, Period(row.schedule_period), row.schedule_due_day
        )
    return Group(
        tenant_id=row.tenant_id,
        id=row.id,
        name=row.name,
        description=row.description,
        currency=row.currency,
        policy=ApprovalPolicy(
            PolicyKind(row.policy_kind),
            row.approvals_needed,
            tuple(PolicyStep(amount, needed) for amount, needed in row.policy_steps),
        ),
        schedule=schedule,
        schedule_time=row.schedule_time,
        exit_rule=ExitRule(row.exit_rule),
        create_time=row.create_time,
        is_open=row.is_open,
        version=row.version,
    )


def _member_values(one: Member) -> dict[str, Any]:
    return {
        "tenant_id": one.tenant_id,
        "group_id": one.group_id,
        "user_id": one.user_id,
        "name": one.name,
        "role": one.role,
        "state": one.state,
        "contributed_minor": one.contributed_minor,
        "cash_minor": one.cash_minor,
        "settled_minor": one.settled_minor,
        "base_minor": one.base_minor,
        "exit_id": one.exit_id,
        "join_time": one.join_time,
    }


def _member(row: Row[Any]) -> Member:
    return Member(
        tenant_id=row.tenant_id,
        group_id=row.group_id,
        user_id=row.user_id,
        name=row.name,
        role=Role(row.role),
        join_time=row.join_time,
        state=MemberState(row.state),
        contributed_minor=row.contributed_minor,
        cash_minor=row.cash_minor,
        settled_minor=row.settled_minor,
        base_minor=row.base_minor,
        exit_id=row.exit_id,
    )

"""Groups: made, shown, changed."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.groups import domain
from services.groups.domain import (
    Group,
    GroupView,
    Member,
    Right,
    Role,
    Totals,
)
from services.groups.errors import CurrencyMismatch, EtagMismatch
from services.groups.operations import keys, reminders
from services.groups.operations.desk import Desk
from services.groups.store import groups as store
from services.kit import crash, idempotency
from services.kit.database import Session
from services.kit.errors import NotFound, ServiceUnavailable
from services.kit.identity import Call

__all__ = [
    "OPEN_JOB",
    "batch_get_group_totals",
    "check_currency",
    "create_group",
    "get_group",
    "list_groups",
    "open_group",
    "require_view",
    "update_group",
]

OPEN_JOB = "groups.open"


async def create_group(desk: Desk, call: Call, wanted: Group) -> GroupView:
    """Make a group with its wallet; the caller owns it. `wanted` has no id and no time yet."""
    group_id = await keys.earlier(desk, call)
    if group_id is None:
        _check(wanted)
        user_id = call.signed_in.id
        person = (await desk.directory.people(call.tenant_id, [user_id])).get(user_id)
        if person is None:
            raise NotFound  # a token may outlive its owner's place in the tenant
        now = desk.clock.now()
        made = replace(wanted, id=desk.clock.new_id(), create_time=now)
        made = replace(made, schedule_time=now if made.schedule else None)
        owner = Member(call.tenant_id, made.id, user_id, person.name, Role.OWNER, now)
        async with desk.database.unit(call.tenant_id, user_id=user_id) as session:
            claim = await idempotency.claim(session, call, resource_id=made.id)
            if claim.is_new:
                await store.insert_group(session, made)
                await store.put_member(session, owner)
                await desk.jobs.defer(
                    session,
                    OPEN_JOB,
                    run_at=now + keys.RECOVERY,
                    tenant_id=call.tenant_id,
                    group_id=str(made.id),
                )
                await reminders.plan(desk, session, made)
        group_id = claim.resource_id
        crash.reach("groups.group.after_t1")
    await open_group(desk, call.tenant_id, group_id)
    return await _answer(desk, call, group_id)


async def open_group(desk: Desk, tenant_id: str, group_id: UUID) -> None:
    """Give a group its wallet, unless it has it. Also the job after a crash."""
    async with desk.database.unit(tenant_id) as session:
        group = await store.find_group(session, group_id)
    assert group is not None, "groups are never deleted"
    if group.is_open:
        return
    await desk.ledger.open_wallet(group)
    crash.reach("groups.group.after_wallet")
    async with desk.database.unit(tenant_id) as session:
        group = await store.find_group(session, group_id, lock=True)
        assert group is not None, "it was there a moment ago"
        if not group.is_open:
            await store.update_group(session, replace(group, is_open=True))


async def _answer(desk: Desk, call: Call, group_id: UUID) -> GroupView:
    """The group as it stood when it was made, for the first answer and for repeats."""
    async with desk.database.unit(call.tenant_id) as session:
        group = await store.find_group(session, group_id)
        known = await store.find_key(session, call)
        assert group is not None and known is not None, "T1 wrote both"
        if not group.is_open:
            raise ServiceUnavailable
        remembered = known[2]
        if remembered is None:
            remembered = {"version": group.version}
            await idempotency.remember_answer(session, call, remembered)
    return GroupView(replace(group, version=remembered["version"]), Role.OWNER, 1)


async def list_groups(
    desk: Desk, call: Call, *, after: tuple[str, UUID] | None, size: int
) -> Sequence[GroupView]:
    """Groups of the caller, by name."""
    async with desk.database.unit(call.tenant_id) as session:
        return await store.list_views(session, call.signed_in.id, after=after, size=size)


async def get_group(desk: Desk, call: Call, group_id: UUID) -> GroupView:
    """A group of the caller. Raises NotFound."""
    async with desk.database.unit(call.tenant_id) as session:
        return await require_view(session, group_id, call.signed_in.id)


async def require_view(session: Session, group_id: UUID, user_id: UUID) -> GroupView:
    """A group as one of its members sees it. Raises NotFound for everybody else."""
    view = await store.find_view(session, group_id, user_id)
    if view is None:
        raise NotFound
    return view


async def update_group(
    desk: Desk, call: Call, group_id: UUID, changes: dict[str, Any], *, etag: str
) -> GroupView:
    """Change some fields of a group. Raises EtagMismatch if it changed since it was read."""
    user_id = call.signed_in.id
    async with desk.database.unit(call.tenant_id, user_id=user_id) as session:
        before = await store.find_group(session, group_id, lock=True)
        view = await require_view(session, group_id, user_id)
        assert before is not None, "its members see it"
        domain.require(view.role, Right.CHANGE_GROUP)
        if etag not in ("", before.etag):
            raise EtagMismatch(etag=before.etag)
        after = replace(before, **changes)
        _check(after)
        if after == before:
            return view
        after = replace(after, version=before.version + 1)
        if after.schedule != before.schedule:
            now = desk.clock.now()
            after = replace(after, schedule_time=now if after.schedule else None)
            await store.begin_schedule(session, group_id)
        await store.update_group(session, after)
        if after.schedule != before.schedule:
            await reminders.plan(desk, session, after)
    return replace(view, group=after)


def _check(group: Group) -> None:
    """Raises ApprovalPolicyInvalid."""
    group.policy.check()


async def batch_get_group_totals(
    desk: Desk, call: Call, group_ids: Sequence[UUID]
) -> Sequence[Totals]:
    """Totals in the order that was asked. Raises NotFound if the caller does not belong to one of the groups."""
    user_id = call.signed_in.id
    wanted: Collection[UUID] = set(group_ids)
    async with desk.database.unit(call.tenant_id) as session:
        views = await store.list_views(
            session, user_id, group_ids=wanted, after=None, size=len(wanted)
        )
        if len(views) < len(wanted):
            raise NotFound
        totals = await store.group_totals(session, list(wanted), user_id)
    wallet_ids = {view.group.id: view.group.wallet_id for view in views}
    wallets = await desk.ledger.wallets(call.tenant_id, list(wallet_ids.values()))
    return [
        replace(totals[one], available_minor=wallets[wallet_ids[one]].available_minor)
        for one in group_ids
    ]


def check_currency(group: Group, currency: str) -> None:
    """Raises CurrencyMismatch."""
    if currency != group.currency:
        raise CurrencyMismatch(groupCurrency=group.currency)

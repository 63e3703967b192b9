"""Members: listed, and given other roles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from services.groups import domain
from services.groups.domain import Group, Member, MemberState, Right, Role
from services.groups.operations import withdrawals
from services.groups.operations.desk import Desk
from services.groups.operations.groups import require_view
from services.groups.store import groups as store
from services.kit.database import Session
from services.kit.errors import NotFound
from services.kit.identity import Call

__all__ = ["change_member_role", "list_members", "lock_for_change", "rename"]


async def list_members(
    desk: Desk,
    call: Call,
    group_id: UUID,
    *,
    behind_only: bool,
    after: tuple[str, UUID] | None,
    size: int,
) -> tuple[Group, Sequence[tuple[Member, int]]]:
    """Members by name, each with what they are behind; `size` of them."""
    yesterday = desk.clock.now().date() - timedelta(days=1)
    async with desk.database.unit(call.tenant_id) as session:
        view = await require_view(session, group_id, call.signed_in.id)
        found = await store.list_members(
            session, group_id, after=after, size=None if behind_only else size
        )
    listed = [(one, domain.behind_minor(view.group, one, yesterday)) for one in found]
    if behind_only:
        listed = [(one, owed) for one, owed in listed if owed]
    return view.group, listed[:size]


async def change_member_role(
    desk: Desk, call: Call, group_id: UUID, user_id: UUID, role: Role
) -> tuple[Group, Member, int]:
    """Give a member another role; withdrawals that wait are judged anew."""
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        group, member = await lock_for_change(session, call, group_id, user_id, new=role)
        if member.role is not role:
            member = replace(member, role=role)
            await store.put_member(session, member)
            await withdrawals.judge_anew(desk, session, group, actor=call.actor)
    yesterday = desk.clock.now().date() - timedelta(days=1)
    return group, member, domain.behind_minor(group, member, yesterday)


async def lock_for_change(
    session: Session, call: Call, group_id: UUID, user_id: UUID, *, new: Role | None
) -> tuple[Group, Member]:
    """The group and one of its members, locked, if the caller may give them another role or (None) take them out.

    Everybody may leave. The group's lock orders all changes of who belongs to it.
    """
    group = await store.find_group(session, group_id, lock=True)
    view = await require_view(session, group_id, call.signed_in.id)
    assert group is not None, "its members see it"
    member = await store.find_member(session, group_id, user_id, lock=True)
    if member is None or member.state is not MemberState.ACTIVE:
        raise NotFound
    is_leaving = new is None and user_id == call.signed_in.id
    if member.role is not new and not is_leaving:
        domain.require_change(view.role, old=member.role, new=new)
    elif not is_leaving:
        domain.require(view.role, Right.CHANGE_ROLES)
    owners = await store.list_officers(session, group_id, Right.CHANGE_OWNERS)
    domain.keep_an_owner(member.role, new, owner_count=len(owners))
    return group, member


async def rename(session: Session, user_id: UUID, name: str) -> None:
    """A person has another name now."""
    await store.rename(session, user_id, name)

"""Invitations: made, seen by link, accepted, declined."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.groups import domain, events
from services.groups.domain import (
    GroupView,
    Invitation,
    InvitationState,
    InvitationView,
    Member,
    MemberState,
    Person,
    Role,
)
from services.groups.errors import AlreadyMember, InvitationClosed
from services.groups.operations import keys, withdrawals
from services.groups.operations.desk import Desk
from services.groups.operations.groups import require_view
from services.groups.store import groups, invitations
from services.kit import crash, idempotency
from services.kit.database import Session
from services.kit.errors import NotFound
from services.kit.identity import Call

__all__ = [
    "INVITE_JOB",
    "accept_invitation",
    "create_invitation",
    "decline_invitation",
    "get_invitation",
    "list_invitations",
    "send_invitation",
]

INVITE_JOB = "groups.invite"


async def create_invitation(
    desk: Desk, call: Call, group_id: UUID, identifier: str, role: Role
) -> InvitationView:
    """Invite an address. An invitation that waits already is renewed."""
    user_id = call.signed_in.id
    invitation_id = await keys.earlier(desk, call)
    if invitation_id is None:
        async with desk.database.unit(call.tenant_id) as session:
            view = await require_view(session, group_id, user_id)
        domain.require_invite(view.role, role)
        person = await desk.directory.resolve(call.tenant_id, identifier)
        invitation_id = await _write(desk, call, group_id, identifier, role, person)
        crash.reach("groups.invitation.after_t1")
    async with desk.database.unit(call.tenant_id) as session:
        made = await invitations.find_view(session, invitation_id)
    assert made is not None, "T1 wrote it"
    # As it stood when it was made, whatever has become of it.
    return replace(made, invitation=replace(made.invitation, state=InvitationState.PENDING))


async def _write(
    desk: Desk, call: Call, group_id: UUID, identifier: str, role: Role, person: Person | None
) -> UUID:
    user_id = call.signed_in.id
    now = desk.clock.now()
    async with desk.database.unit(call.tenant_id, user_id=user_id) as session:
        group = await groups.find_group(session, group_id, lock=True)
        view = await require_view(session, group_id, user_id)
        assert group is not None, "its members see it"
        domain.require_invite(view.role, role)
        waiting = await invitations.find_waiting(session, group_id, identifier)
        if waiting is not None and waiting.state_at(now) is InvitationState.EXPIRED:
            expired = replace(waiting, state=InvitationState.EXPIRED)
            await invitations.update_invitation(session, expired)
            waiting = None
        new_id = desk.clock.new_id() if waiting is None else waiting.id
        claim = await idempotency.claim(session, call, resource_id=new_id)
        if not claim.is_new:
            return claim.resource_id
        if person is not None:
            member = await groups.find_member(session, group_id, person.user_id)
            if member is not None and member.state is not MemberState.LEFT:
                raise AlreadyMember
        inviter = await groups.find_member(session, group_id, user_id)
        assert inviter is not None, "only members invite"
        if waiting is not None:
            await invitations.update_invitation(session, replace(waiting, role=role))
            return new_id
        made = Invitation(
            tenant_id=call.tenant_id,
            id=new_id,
            group_id=group_id,
            identifier=identifier,
            role=role,
            inviter_id=user_id,
            inviter_name=inviter.name,
            create_time=now,
            expire_time=now + domain.INVITATION_LIFE,
        )
        await invitations.insert_invitation(session, made)
        await events.append_invitation(session, group, made, person, actor=call.actor)
        if person is None:
            await desk.jobs.defer(
                session, INVITE_JOB, tenant_id=call.tenant_id, invitation_id=str(new_id)
            )
    return new_id


async def send_invitation(desk: Desk, tenant_id: str, invitation_id: UUID) -> None:
    """The job: send the link to somebody without an account, unless it is of no use any more."""
    async with desk.database.unit(tenant_id) as session:
        view = await invitations.find_view(session, invitation_id)
    assert view is not None, "invitations are never deleted"
    if view.invitation.state_at(desk.clock.now()) is not InvitationState.PENDING:
        return
    await desk.messages.invite(
        view.invitation, group_name=view.group_name, link=desk.links.link(view.invitation)
    )
    crash.reach("groups.invitation.after_send")


async def list_invitations(
    desk: Desk, call: Call, *, before_id: UUID | None, size: int
) -> Sequence[InvitationView]:
    """Invitations that wait for the caller, newest first."""
    person = await _caller(desk, call)
    async with desk.database.unit(call.tenant_id) as session:
        return await invitations.list_waiting(
            session,
            person.identifiers,
            now=desk.clock.now(),
            before_id=before_id,
            size=size,
        )


async def get_invitation(desk: Desk, call: Call, invitation_id: UUID, token: str) -> InvitationView:
    """What a link shows. Raises NotFound for a wrong token."""
    async with desk.database.unit(call.tenant_id) as session:
        view = await invitations.find_view(session, invitation_id)
    if view is None or not desk.links.opens(token, view.invitation):
        raise NotFound
    return replace(
        view,
        invitation=replace(view.invitation, state=view.invitation.state_at(desk.clock.now())),
    )


async def accept_invitation(desk: Desk, call: Call, invitation_id: UUID, token: str) -> GroupView:
    """The caller joins. Repeating it changes nothing."""
    person = await _caller(desk, call)
    now = desk.clock.now()
    async with desk.database.unit(call.tenant_id, user_id=person.user_id) as session:
        found = await _own(desk, session, person, invitation_id, token)
        group = await groups.find_group(session, found.group_id, lock=True)
        assert group is not None, "an invitation has a group"
        invitation = await invitations.find_invitation(session, invitation_id, lock=True)
        assert invitation is not None, "it was there a moment ago"
        is_done = invitation.state is InvitationState.ACCEPTED
        if is_done and invitation.user_id == person.user_id:
            return await require_view(session, group.id, person.user_id)
        if invitation.state_at(now) is not InvitationState.PENDING:
            raise InvitationClosed
        before = await groups.find_member(session, group.id, person.user_id, lock=True)
        if before is not None and before.state is MemberState.LEAVING:
            raise InvitationClosed
        if before is None:
            joined = Member(
                call.tenant_id, group.id, person.user_id, person.name, invitation.role, now
            )
            await groups.put_member(session, joined)
        elif before.state is MemberState.LEFT:
            joined = domain.rejoined(before, name=person.name, role=invitation.role, now=now)
            await groups.put_member(session, joined)
        accepted = replace(invitation, state=InvitationState.ACCEPTED, user_id=person.user_id)
        await invitations.update_invitation(session, accepted)
        await withdrawals.judge_anew(desk, session, group, actor=call.actor)
        return await require_view(session, group.id, person.user_id)


async def decline_invitation(desk: Desk, call: Call, invitation_id: UUID) -> None:
    """The caller says no. Repeating it changes nothing."""
    person = await _caller(desk, call)
    async with desk.database.unit(call.tenant_id, user_id=person.user_id) as session:
        await _own(desk, session, person, invitation_id, "")
        invitation = await invitations.find_invitation(session, invitation_id, lock=True)
        assert invitation is not None, "it was there a moment ago"
        is_done = invitation.state is InvitationState.DECLINED
        if is_done and invitation.user_id == person.user_id:
            return
        if invitation.state_at(desk.clock.now()) is not InvitationState.PENDING:
            raise InvitationClosed
        declined = replace(invitation, state=InvitationState.DECLINED, user_id=person.user_id)
        await invitations.update_invitation(session, declined)


async def _own(
    desk: Desk, session: Session, person: Person, invitation_id: UUID, token: str
) -> Invitation:
    """An invitation that went to the person, or whose link they have. Raises NotFound."""
    found = await invitations.find_invitation(session, invitation_id)
    if found is None or not (
        found.identifier in person.identifiers
        or found.user_id == person.user_id
        or (token and desk.links.opens(token, found))
    ):
        raise NotFound
    return found


async def _caller(desk: Desk, call: Call) -> Person:
    """The caller with their verified addresses. Raises NotFound for who has left the tenant."""
    user_id = call.signed_in.id
    person = (await desk.directory.people(call.tenant_id, [user_id])).get(user_id)
    if person is None:
        raise NotFound
    return person

"""AcceptInvitation: the caller joins, by their address or by the link."""

from typing import Any

from hazina.groups.v1.group_pb2 import Role
from hazina.groups.v1.group_service_pb2 import (
    AcceptInvitationRequest,
    DeclineInvitationRequest,
    LeaveGroupRequest,
)
from tests.contract.groups.conftest import World
from tests.harness import Person, assert_refused


async def accept(world: World, who: Person, invitation_id: str, token: str = "") -> Any:
    answer = await world.groups(who).AcceptInvitation(
        AcceptInvitationRequest(invitation_id=invitation_id, token=token)
    )
    return answer.group


async def test_who_has_the_address_joins_with_the_role(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org", "SECRETARY")
    joined = await accept(world, world.brian, invitation_id)
    assert joined.id == group.id and joined.role == Role.SECRETARY and joined.member_count == 2


async def test_repeating_it_changes_nothing(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org")
    first = await accept(world, world.brian, invitation_id)
    assert await accept(world, world.brian, invitation_id) == first


async def test_who_has_the_link_joins_under_another_address(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "new@example.org")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await accept(world, world.brian, invitation_id)
    token = await world.token(invitation_id)
    assert (await accept(world, world.brian, invitation_id, token)).id == group.id


async def test_a_link_lets_one_person_in(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "new@example.org")
    token = await world.token(invitation_id)
    await accept(world, world.brian, invitation_id, token)
    with assert_refused("FAILED_PRECONDITION", "INVITATION_CLOSED"):
        await accept(world, world.chris, invitation_id, token)


async def test_what_was_declined_or_is_too_old_is_closed(world: World) -> None:
    group, other = await world.group(), await world.group()
    declined = await world.invite(group, "brian@example.org")
    old = await world.invite(other, "brian@example.org")
    await world.groups(world.brian).DeclineInvitation(
        DeclineInvitationRequest(invitation_id=declined)
    )
    await world.rows("UPDATE groups.invitation SET expire_time = now()")
    for invitation_id in (declined, old):
        with assert_refused("FAILED_PRECONDITION", "INVITATION_CLOSED"):
            await accept(world, world.brian, invitation_id)


async def test_an_accepted_invitation_does_not_bring_back_who_has_left(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org")
    await accept(world, world.brian, invitation_id)
    await world.groups(world.brian).LeaveGroup(LeaveGroupRequest(group_id=group.id), key="k")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await accept(world, world.brian, invitation_id)


async def test_invitations_of_others_are_not_found(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await accept(world, world.chris, invitation_id)


async def test_an_id_is_a_uuid(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="invitationId"):
        await accept(world, world.brian, "x")

"""DeclineInvitation: the caller says no."""

from hazina.groups.v1.group_service_pb2 import AcceptInvitationRequest, DeclineInvitationRequest
from tests.contract.groups.conftest import World
from tests.harness import Person, assert_refused


async def decline(world: World, who: Person, invitation_id: str) -> None:
    await world.groups(who).DeclineInvitation(DeclineInvitationRequest(invitation_id=invitation_id))


async def test_a_declined_invitation_is_over_and_repeating_changes_nothing(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org")
    for _ in range(2):
        await decline(world, world.brian, invitation_id)
    [row] = await world.rows("SELECT state FROM groups.invitation")
    assert row["state"] == "DECLINED"


async def test_who_said_no_may_be_invited_again(world: World) -> None:
    group = await world.group()
    await decline(world, world.brian, await world.invite(group, "brian@example.org"))
    await world.join(group, world.brian)


async def test_what_was_accepted_cannot_be_declined(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org")
    await world.groups(world.brian).AcceptInvitation(
        AcceptInvitationRequest(invitation_id=invitation_id)
    )
    with assert_refused("FAILED_PRECONDITION", "INVITATION_CLOSED"):
        await decline(world, world.brian, invitation_id)


async def test_invitations_of_others_are_not_found(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "brian@example.org")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await decline(world, world.chris, invitation_id)


async def test_an_id_is_a_uuid(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="invitationId"):
        await decline(world, world.brian, "x")

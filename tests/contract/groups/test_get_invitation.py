"""GetInvitation: the link shows the group before joining."""

from uuid import UUID

import pytest

from hazina.groups.v1.group_pb2 import Invitation
from hazina.groups.v1.group_service_pb2 import GetInvitationRequest
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_the_token_of_the_link_shows_the_group_to_anybody(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "new@example.org")
    found = await world.groups(None).GetInvitation(
        GetInvitationRequest(invitation_id=invitation_id, token=await world.token(invitation_id))
    )
    assert found.group_name == "Umoja" and found.inviter_name == "Asha Otieno"
    assert found.member_count == 1 and found.state == Invitation.PENDING


async def test_what_is_too_old_says_so(world: World) -> None:
    group = await world.group()
    invitation_id = await world.invite(group, "new@example.org")
    await world.rows("UPDATE groups.invitation SET expire_time = now() - interval '1 minute'")
    found = await world.groups(None).GetInvitation(
        GetInvitationRequest(invitation_id=invitation_id, token=await world.token(invitation_id))
    )
    assert found.state == Invitation.EXPIRED


async def test_wrong_tokens_and_tokens_of_other_invitations_find_nothing(world: World) -> None:
    group = await world.group()
    mine, other = [await world.invite(group, f"{one}@example.org") for one in ("a", "b")]
    for token in ("x", "ä", await world.token(other)):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await world.groups(None).GetInvitation(
                GetInvitationRequest(invitation_id=mine, token=token)
            )


@pytest.mark.parametrize(
    ("field", "invitation_id", "token"),
    [("invitationId", "x", "t"), ("token", str(UUID(int=1)), "")],
)
async def test_bad_input_is_named(world: World, field: str, invitation_id: str, token: str) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await world.groups(None).GetInvitation(
            GetInvitationRequest(invitation_id=invitation_id, token=token)
        )

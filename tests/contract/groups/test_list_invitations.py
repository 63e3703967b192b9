"""ListInvitations: what waits for the caller, by their verified addresses."""

from hazina.groups.v1.group_service_pb2 import DeclineInvitationRequest, ListInvitationsRequest
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_the_pages_hold_every_invitation_once_newest_first(world: World) -> None:
    made = []
    for name in ("One", "Two", "Three"):
        group = await world.group(name=name)
        made.append(await world.invite(group, "brian@example.org"))
    seen: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        answer = await world.groups(world.brian).ListInvitations(
            ListInvitationsRequest(page_size=2, page_token=token)
        )
        seen += [one.id for one in answer.invitations]
        token, pages = answer.next_page_token, pages + 1
    assert seen == made[::-1] and pages == 2


async def test_only_what_waits_for_the_caller_is_listed(world: World) -> None:
    group, other, old = await world.group(), await world.group(), await world.group()
    await world.invite(group, "chris@example.org")
    declined = await world.invite(other, "brian@example.org")
    await world.groups(world.brian).DeclineInvitation(
        DeclineInvitationRequest(invitation_id=declined)
    )
    await world.invite(old, "brian@example.org")
    await world.rows("UPDATE groups.invitation SET expire_time = now() WHERE state = 'PENDING'")
    answer = await world.groups(world.brian).ListInvitations(ListInvitationsRequest())
    assert list(answer.invitations) == []


async def test_a_forged_token_is_refused(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await world.groups(world.brian).ListInvitations(ListInvitationsRequest(page_token="x"))


async def test_a_negative_page_size_is_refused(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.groups(world.brian).ListInvitations(ListInvitationsRequest(page_size=-1))

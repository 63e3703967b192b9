"""CreateInvitation: a place for somebody, by email or phone."""

from typing import Any

import pytest

from hazina.groups.v1.group_pb2 import Group, Invitation, Role
from hazina.groups.v1.group_service_pb2 import CreateInvitationRequest, ListInvitationsRequest
from tests.contract.groups.conftest import World
from tests.factories.groups import ROLES
from tests.harness import Person, assert_refused


async def invite(
    world: World, by: Person, group: Group, address: str, role: str = "MEMBER", key: str = ""
) -> Any:
    return await world.groups(by).CreateInvitation(
        CreateInvitationRequest(group_id=group.id, identifier=address, role=Role.Kind.Value(role)),
        key=key or world.key(),
    )


async def test_an_invitation_waits_seven_days(world: World) -> None:
    group = await world.group()
    made = (await invite(world, world.asha, group, "brian@example.org", "TREASURER")).invitation
    assert made.state == Invitation.PENDING and made.role == Role.TREASURER
    assert made.group_name == "Umoja" and made.inviter_name == "Asha Otieno"
    assert made.expire_time.seconds - made.create_time.seconds == 7 * 86_400
    assert await world.events("groups.invitation.created") == 1


async def test_who_has_no_account_is_sent_a_link_and_others_are_not(world: World) -> None:
    group = await world.group()
    await invite(world, world.asha, group, "brian@example.org")
    await invite(world, world.asha, group, "new@example.org")
    jobs = await world.rows(
        "SELECT 1 FROM groups_jobs.procrastinate_jobs WHERE task_name = 'groups.invite'"
    )
    assert len(jobs) == 1


@pytest.mark.parametrize("spelling", ["0712 345 678", "254712345678", "+254 712-345-678"])
async def test_a_phone_number_is_the_same_in_every_spelling(world: World, spelling: str) -> None:
    group = await world.group()
    world.directory.add(world.dina.id, "Dina Achieng", "+254712345678")
    await invite(world, world.asha, group, spelling)
    answer = await world.groups(world.dina).ListInvitations(ListInvitationsRequest())
    assert [one.group_id for one in answer.invitations] == [group.id]


async def test_a_replayed_request_invites_once(world: World) -> None:
    group = await world.group()
    first = await invite(world, world.asha, group, "new@example.org", key="k")
    assert await invite(world, world.asha, group, "new@example.org", key="k") == first


async def test_who_is_invited_again_keeps_the_invitation_with_the_new_role(world: World) -> None:
    group = await world.group()
    first = (await invite(world, world.asha, group, "new@example.org")).invitation
    again = (await invite(world, world.asha, group, "NEW@example.org", "ADMIN")).invitation
    assert again.id == first.id and again.role == Role.ADMIN


async def test_one_that_is_too_old_is_followed_by_a_new_one(world: World) -> None:
    group = await world.group()
    first = (await invite(world, world.asha, group, "new@example.org")).invitation
    await world.rows("UPDATE groups.invitation SET expire_time = now()")
    assert (await invite(world, world.asha, group, "new@example.org")).invitation.id != first.id


async def test_members_need_no_invitation(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    with assert_refused("ALREADY_EXISTS", "ALREADY_MEMBER"):
        await invite(world, world.asha, group, "brian@example.org")


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("ADMIN", {"ADMIN", "TREASURER", "SECRETARY", "MEMBER"}),
        ("TREASURER", set()),
        ("SECRETARY", {"MEMBER"}),
        ("MEMBER", set()),
    ],
)
async def test_who_may_invite_whom(world: World, role: str, may: set[str]) -> None:
    group = await world.group()
    await world.join(group, world.brian, role)
    for invited in ROLES:
        address = f"{invited.lower()}@example.org"
        if invited in may:
            await invite(world, world.brian, group, address, invited)
            continue
        with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
            await invite(world, world.brian, group, address, invited)


async def test_strangers_cannot_invite(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await invite(world, world.brian, group, "new@example.org")


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    group = await world.group()
    await invite(world, world.asha, group, "new@example.org", key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await invite(world, world.asha, group, "other@example.org", key="k")


@pytest.mark.parametrize(
    ("field", "address", "role"),
    [
        ("identifier", "x", "MEMBER"),
        ("identifier", "not an address", "MEMBER"),
        ("identifier", "a@b", "MEMBER"),
        ("role", "new@example.org", "OWNER"),
    ],
)
async def test_bad_input_is_named(world: World, field: str, address: str, role: str) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await invite(world, world.asha, group, address, role)

"""ChangeMemberRole: owners give every role, admins those below."""

import asyncio

import pytest

from hazina.groups.v1.group_pb2 import Group, Member, Role
from hazina.groups.v1.group_service_pb2 import ChangeMemberRoleRequest
from tests.contract.groups.conftest import World
from tests.harness import Person, assert_refused


async def change(world: World, by: Person, group: Group, who: Person, role: str) -> Member:
    answer = await world.groups(by).ChangeMemberRole(
        ChangeMemberRoleRequest(group_id=group.id, user_id=str(who.id), role=Role.Kind.Value(role))
    )
    member: Member = answer.member
    return member


async def test_an_owner_gives_and_takes_every_role(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    for role in ("ADMIN", "OWNER", "TREASURER", "SECRETARY", "MEMBER"):
        member = await change(world, world.asha, group, world.brian, role)
        assert member.role == Role.Kind.Value(role) and member.display_name == "Brian Kamau"


async def test_the_same_role_again_changes_nothing(world: World) -> None:
    group = await world.group()
    assert (await change(world, world.asha, group, world.asha, "OWNER")).role == Role.OWNER


async def test_an_admin_gives_roles_below_the_owner(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian, "ADMIN")
    await world.join(group, world.chris)
    assert (await change(world, world.brian, group, world.chris, "ADMIN")).role == Role.ADMIN
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await change(world, world.brian, group, world.chris, "OWNER")
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await change(world, world.brian, group, world.asha, "MEMBER")


@pytest.mark.parametrize("role", ["TREASURER", "SECRETARY", "MEMBER"])
async def test_other_roles_give_none(world: World, role: str) -> None:
    group = await world.group()
    await world.join(group, world.brian, role)
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED") as told:
        await change(world, world.brian, group, world.brian, "ADMIN")
    assert told.metadata["role"] == role


async def test_the_last_owner_stays_one(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    with assert_refused("FAILED_PRECONDITION", "LAST_OWNER"):
        await change(world, world.asha, group, world.asha, "MEMBER")
    await change(world, world.asha, group, world.brian, "OWNER")
    assert (await change(world, world.asha, group, world.asha, "MEMBER")).role == Role.MEMBER


async def test_two_owners_who_demote_each_other_at_once_leave_one(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await change(world, world.asha, group, world.brian, "OWNER")
    answers = await asyncio.gather(
        change(world, world.asha, group, world.brian, "MEMBER"),
        change(world, world.brian, group, world.asha, "MEMBER"),
        return_exceptions=True,
    )
    assert len([one for one in answers if isinstance(one, Member)]) == 1
    owners = await world.rows("SELECT 1 FROM groups.member WHERE role = 'OWNER'")
    assert len(owners) == 1


async def test_who_is_not_in_the_group_has_no_role(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await change(world, world.asha, group, world.brian, "ADMIN")
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await change(world, world.brian, group, world.asha, "ADMIN")


async def test_a_role_is_required(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="role"):
        await change(world, world.asha, group, world.asha, "KIND_UNSPECIFIED")

"""GetGroup: one group, for its members."""

from hazina.groups.v1.group_pb2 import Role
from hazina.groups.v1.group_service_pb2 import GetGroupRequest
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_each_member_sees_the_group_with_their_own_role(world: World) -> None:
    made = await world.group()
    await world.join(made, world.brian, "TREASURER")
    found = await world.groups(world.brian).GetGroup(GetGroupRequest(group_id=made.id))
    assert found.role == Role.TREASURER and found.member_count == 2
    assert found.wallet_id == made.wallet_id


async def test_strangers_and_other_tenants_find_nothing(world: World) -> None:
    made = await world.group()
    abroad = world.harness.person(id=world.asha.id, tenant="other")
    for person in (world.brian, abroad):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await world.groups(person).GetGroup(GetGroupRequest(group_id=made.id))


async def test_an_id_is_a_uuid(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="groupId"):
        await world.groups(world.asha).GetGroup(GetGroupRequest(group_id="x"))


async def test_a_token_is_required(world: World) -> None:
    made = await world.group()
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await world.groups(None).GetGroup(GetGroupRequest(group_id=made.id))

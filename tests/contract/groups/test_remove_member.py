"""RemoveMember: owners take out everybody, admins everybody but owners, by the group's rule."""

from uuid import UUID

import pytest

from hazina.groups.v1.group_pb2 import Group, Role
from hazina.groups.v1.group_service_pb2 import (
    ChangeMemberRoleRequest,
    GetGroupRequest,
    RemoveMemberRequest,
)
from tests.contract.groups.conftest import World
from tests.factories.groups import from_wallet
from tests.harness import Person, assert_refused


async def remove(world: World, by: Person, group: Group, who: Person, key: str = "k") -> None:
    await world.groups(by).RemoveMember(
        RemoveMemberRequest(group_id=group.id, user_id=str(who.id)), key=key
    )


async def contribute(world: World, group: Group, who: Person) -> None:
    await world.contributions(who).CreateContribution(
        from_wallet(group.id, world.wallet(who), 20_000), key=world.key()
    )


async def test_who_is_taken_out_gets_their_contributions(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await contribute(world, group, world.brian)
    await remove(world, world.asha, group, world.brian)
    assert world.ledger.balance(world.wallet(world.brian)) == 500_000
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.groups(world.brian).GetGroup(GetGroupRequest(group_id=group.id))


async def test_a_replayed_request_changes_nothing_more(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await contribute(world, group, world.brian)
    for _ in range(2):
        await remove(world, world.asha, group, world.brian)
    assert world.ledger.balance(world.wallet(world.brian)) == 500_000


async def test_an_admin_takes_out_members_but_no_owner(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian, "ADMIN")
    await world.join(group, world.chris)
    await remove(world, world.brian, group, world.chris)
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await remove(world, world.brian, group, world.asha, "other")


@pytest.mark.parametrize("role", ["TREASURER", "SECRETARY", "MEMBER"])
async def test_other_roles_take_out_nobody(world: World, role: str) -> None:
    group = await world.group()
    await world.join(group, world.brian, role)
    await world.join(group, world.chris)
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await remove(world, world.brian, group, world.chris)


async def test_the_last_owner_stays(world: World) -> None:
    group = await world.group()
    with assert_refused("FAILED_PRECONDITION", "LAST_OWNER"):
        await remove(world, world.asha, group, world.asha)


async def test_one_of_two_owners_may_go(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await world.groups(world.asha).ChangeMemberRole(
        ChangeMemberRoleRequest(group_id=group.id, user_id=str(world.brian.id), role=Role.OWNER)
    )
    await remove(world, world.asha, group, world.brian)


async def test_what_is_under_way_is_settled_first(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.brian)
    with assert_refused("FAILED_PRECONDITION", "MEMBER_NOT_SETTLED"):
        await remove(world, world.asha, group, world.brian)
    await world.act("Reject", world.asha, made)
    await remove(world, world.asha, group, world.brian)


async def test_what_the_group_has_spent_is_not_paid(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await contribute(world, group, world.brian)
    world.ledger.spend(UUID(group.wallet_id), 1)
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await remove(world, world.asha, group, world.brian)


async def test_a_frozen_group_wallet_pays_nobody_out(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await contribute(world, group, world.brian)
    world.ledger.freeze(UUID(group.wallet_id))
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await remove(world, world.asha, group, world.brian)


async def test_who_is_not_in_the_group_cannot_be_taken_out(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await remove(world, world.asha, group, world.brian)


async def test_one_key_takes_out_one_member(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await world.join(group, world.chris)
    await remove(world, world.asha, group, world.brian)
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await remove(world, world.asha, group, world.chris)

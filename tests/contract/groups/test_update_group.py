"""UpdateGroup: only fields of the mask, and only if nobody else was faster."""

from typing import Any

import pytest

from hazina.groups.v1.group_pb2 import ExitRule, Group
from hazina.groups.v1.group_service_pb2 import UpdateGroupRequest
from tests.contract.groups.conftest import World
from tests.factories.groups import quorum, weekly
from tests.harness import Person, assert_refused


async def update(world: World, by: Person, group: Group, *paths: str, **fields: Any) -> Group:
    request = UpdateGroupRequest(group_id=group.id, group=Group(**fields))
    request.update_mask.paths.extend(paths)
    changed: Group = (await world.groups(by).UpdateGroup(request)).group
    return changed


async def test_only_fields_of_the_mask_change_and_the_etag_with_them(world: World) -> None:
    made = await world.group()
    after = await update(world, world.asha, made, "name", name="Harambee", description="other")
    assert after.name == "Harambee" and after.description == made.description
    assert after.etag != made.etag


async def test_all_that_may_change_changes(world: World) -> None:
    made = await world.group()
    after = await update(
        world,
        world.asha,
        made,
        "description",
        "approval_policy",
        "contribution_schedule",
        "exit_rule",
        description="New",
        approval_policy=quorum(2),
        contribution_schedule=weekly(100, 3),
        exit_rule=ExitRule.FORFEIT,
    )
    assert after.description == "New" and after.approval_policy == quorum(2)
    assert after.contribution_schedule == weekly(100, 3) and after.exit_rule == ExitRule.FORFEIT
    without = await update(world, world.asha, made, "contribution_schedule")
    assert not without.HasField("contribution_schedule")


async def test_what_is_the_same_keeps_the_etag(world: World) -> None:
    made = await world.group()
    assert (await update(world, world.asha, made, "name", name=made.name)).etag == made.etag


async def test_who_read_something_older_is_refused(world: World) -> None:
    made = await world.group()
    await update(world, world.asha, made, "name", name="First", etag=made.etag)
    with assert_refused("ABORTED", "ETAG_MISMATCH"):
        await update(world, world.asha, made, "name", name="Second", etag=made.etag)


@pytest.mark.parametrize("role", ["TREASURER", "SECRETARY", "MEMBER"])
async def test_other_roles_change_nothing(world: World, role: str) -> None:
    made = await world.group()
    await world.join(made, world.brian, role)
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await update(world, world.brian, made, "name", name="Mine")


async def test_rules_that_contradict_themselves_are_refused(world: World) -> None:
    made = await world.group()
    with assert_refused("INVALID_ARGUMENT", "APPROVAL_POLICY_INVALID"):
        await update(world, world.asha, made, "approval_policy", approval_policy=quorum(0))


async def test_a_schedule_is_in_the_currency_of_the_group(world: World) -> None:
    made = await world.group()
    schedule = weekly(100, currency="USD")
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await update(
            world, world.asha, made, "contribution_schedule", contribution_schedule=schedule
        )


@pytest.mark.parametrize(
    ("path", "field"),
    [("currency", "updateMask"), ("wallet_id", "updateMask"), ("name", "group.name")],
)
async def test_bad_input_is_named(world: World, path: str, field: str) -> None:
    made = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await update(world, world.asha, made, path, name="", currency="USD")


async def test_strangers_find_nothing(world: World) -> None:
    made = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await update(world, world.brian, made, "name", name="Mine")

"""ApproveWithdrawal: owners and admins say yes, and what they say counts while they may."""

import asyncio
from typing import Any

import grpc
import pytest

from hazina.groups.v1 import group_service_pb2
from hazina.groups.v1.group_pb2 import Group, Role
from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from tests.contract.groups.conftest import World
from tests.factories.groups import quorum
from tests.harness import Person, assert_refused


async def change_role(world: World, group: Group, person: Person, role: str) -> None:
    await world.groups(world.asha).ChangeMemberRole(
        group_service_pb2.ChangeMemberRoleRequest(
            group_id=group.id, user_id=str(person.id), role=Role.Kind.Value(role)
        )
    )


async def three(world: World, **fields: Any) -> Group:
    """Asha, and Brian and Chris as admins, with Dina as a member."""
    group = await world.group(balance=100_000, **fields)
    await world.join(group, world.brian, "ADMIN")
    await world.join(group, world.chris, "ADMIN")
    await world.join(group, world.dina)
    return group


async def test_all_admins_must_approve_by_default(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.dina)
    assert made.approvals_needed == 3
    assert (await world.act("Approve", world.asha, made)).state == Withdrawal.PENDING
    assert (await world.act("Approve", world.brian, made)).state == Withdrawal.PENDING
    done = await world.act("Approve", world.chris, made)
    assert done.state == Withdrawal.APPROVED and len(done.approvals) == 3
    assert await world.events("groups.withdrawal.decided") == 1


async def test_a_quorum_is_enough(world: World) -> None:
    group = await three(world, approval_policy=quorum(2))
    made = await world.asked(group, world.brian)
    assert (await world.act("Approve", world.chris, made)).state == Withdrawal.APPROVED


async def test_rules_that_change_meanwhile_do_not_change_what_was_asked_for(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.asha)
    request = group_service_pb2.UpdateGroupRequest(
        group_id=group.id, group=Group(approval_policy=quorum(1))
    )
    request.update_mask.paths.append("approval_policy")
    await world.groups(world.asha).UpdateGroup(request)
    assert (await world.get(world.asha, made)).approvals_needed == 3


async def test_a_replayed_approval_answers_what_was_answered_first(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.dina)
    first = await world.act("Approve", world.asha, made, key="k")
    await world.act("Approve", world.brian, made)
    assert await world.act("Approve", world.asha, made, key="k") == first


async def test_nobody_approves_twice(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.asha)
    with assert_refused("FAILED_PRECONDITION", "ALREADY_DECIDED"):
        await world.act("Approve", world.asha, made)


@pytest.mark.parametrize("role", ["TREASURER", "SECRETARY", "MEMBER"])
async def test_other_roles_may_not_approve(world: World, role: str) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian, role)
    made = await world.asked(group, world.brian)
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED") as told:
        await world.act("Approve", world.brian, made)
    assert told.metadata["role"] == role


async def test_approval_by_who_was_demoted_meanwhile_does_not_count(world: World) -> None:
    group = await three(world, approval_policy=quorum(2))
    made = await world.asked(group, world.dina)
    await world.act("Approve", world.brian, made)
    await change_role(world, group, world.brian, "MEMBER")
    after = await world.act("Approve", world.asha, made)
    assert after.state == Withdrawal.PENDING
    assert [one.user_id for one in after.approvals] == [str(world.asha.id)]


async def test_approval_by_who_was_removed_meanwhile_does_not_count(world: World) -> None:
    group = await three(world, approval_policy=quorum(2))
    made = await world.asked(group, world.dina)
    await world.act("Approve", world.brian, made)
    assert (await world.act("Approve", world.asha, made)).state == Withdrawal.APPROVED
    await world.groups(world.asha).RemoveMember(
        group_service_pb2.RemoveMemberRequest(group_id=group.id, user_id=str(world.brian.id)),
        key="k",
    )
    assert (await world.get(world.dina, made)).state == Withdrawal.PENDING
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await world.act("Execute", world.dina, made)


async def test_the_last_missing_approver_is_removed_and_the_rest_is_enough(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.dina)
    await world.act("Approve", world.asha, made)
    await world.act("Approve", world.brian, made)
    await change_role(world, group, world.chris, "MEMBER")
    assert (await world.get(world.dina, made)).state == Withdrawal.APPROVED


async def test_a_new_admin_must_approve_too(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.asha)
    assert made.state == Withdrawal.APPROVED
    await change_role(world, group, world.brian, "ADMIN")
    assert (await world.get(world.asha, made)).state == Withdrawal.PENDING
    assert (await world.act("Approve", world.brian, made)).state == Withdrawal.APPROVED


async def test_what_was_rejected_cannot_be_approved(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.dina)
    await world.act("Reject", world.brian, made)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_STATE_INVALID") as told:
        await world.act("Approve", world.asha, made)
    assert told.metadata["state"] == "REJECTED"


async def test_after_24_hours_it_is_too_late(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.dina)
    await world.let_time_pass(made)
    with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
        await world.act("Approve", world.asha, made)
    assert (await world.get(world.dina, made)).state == Withdrawal.EXPIRED
    assert await world.events("groups.withdrawal.decided") == 1


async def test_approvals_at_once_each_count_once(world: World) -> None:
    group = await three(world)
    made = await world.asked(group, world.dina)
    people = [world.asha, world.brian, world.chris] * 4
    answers = await asyncio.gather(
        *(world.act("Approve", one, made) for one in people), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert len(refused) == 9
    after = await world.get(world.dina, made)
    assert after.state == Withdrawal.APPROVED and len(after.approvals) == 3


async def test_strangers_see_nothing(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.act("Approve", world.brian, made)


async def test_one_key_approves_one_withdrawal(world: World) -> None:
    group = await three(world)
    first, second = await world.asked(group, world.dina), await world.asked(group, world.dina)
    await world.act("Approve", world.asha, first, key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await world.act("Approve", world.asha, second, key="k")

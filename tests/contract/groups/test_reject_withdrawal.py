"""RejectWithdrawal: one no ends it, and the money is free."""

from uuid import UUID

import pytest

from hazina.groups.v1.withdrawal_service_pb2 import Approval, Withdrawal
from services.kit.errors import ServiceUnavailable
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_one_no_ends_it_and_frees_the_money(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian, "ADMIN")
    made = await world.asked(group, world.asha)
    after = await world.act("Reject", world.brian, made)
    assert after.state == Withdrawal.REJECTED
    assert [one.decision for one in after.approvals] == [Approval.APPROVED, Approval.REJECTED]
    assert world.ledger.held(UUID(group.wallet_id)) == 0
    assert await world.events("groups.withdrawal.decided") == 1


async def test_a_yes_may_become_a_no_while_nothing_was_executed(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    assert made.state == Withdrawal.APPROVED
    assert (await world.act("Reject", world.asha, made)).state == Withdrawal.REJECTED


async def test_a_replayed_rejection_answers_the_same(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    first = await world.act("Reject", world.asha, made, key="k")
    assert await world.act("Reject", world.asha, made, key="k") == first


async def test_the_answer_does_not_wait_for_a_ledger_that_is_away(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    world.ledger.failing.append(ServiceUnavailable())
    assert (await world.act("Reject", world.asha, made)).state == Withdrawal.REJECTED
    assert world.ledger.held(UUID(group.wallet_id)) == 10_000
    jobs = await world.rows(
        "SELECT 1 FROM groups_jobs.procrastinate_jobs WHERE task_name = 'groups.withdrawal'"
    )
    assert len(jobs) == 2, "one that goes on after a crash, one that frees the money"


@pytest.mark.parametrize("role", ["TREASURER", "SECRETARY", "MEMBER"])
async def test_other_roles_may_not_reject(world: World, role: str) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian, role)
    made = await world.asked(group, world.asha)
    with assert_refused("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"):
        await world.act("Reject", world.brian, made)


async def test_what_has_ended_cannot_be_rejected(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.act("Execute", world.asha, made)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_STATE_INVALID"):
        await world.act("Reject", world.asha, made)


async def test_nobody_rejects_twice(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.act("Reject", world.asha, made)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_STATE_INVALID"):
        await world.act("Reject", world.asha, made)


async def test_after_24_hours_it_is_over_anyway(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.let_time_pass(made)
    with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
        await world.act("Reject", world.asha, made)


async def test_strangers_see_nothing(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.act("Reject", world.brian, made)


async def test_one_key_rejects_one_withdrawal(world: World) -> None:
    group = await world.group(balance=100_000)
    first, second = await world.asked(group, world.asha), await world.asked(group, world.asha)
    await world.act("Reject", world.asha, first, key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await world.act("Reject", world.asha, second, key="k")

"""CancelWithdrawal: the requester takes it back."""

from uuid import UUID

from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_what_waits_can_be_taken_back_which_frees_the_money(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.brian)
    assert (await world.act("Cancel", world.brian, made)).state == Withdrawal.CANCELLED
    assert world.ledger.held(UUID(group.wallet_id)) == 0


async def test_what_was_approved_can_be_taken_back(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    assert (await world.act("Cancel", world.asha, made)).state == Withdrawal.CANCELLED


async def test_a_replayed_cancellation_answers_the_same(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    first = await world.act("Cancel", world.asha, made, key="k")
    assert await world.act("Cancel", world.asha, made, key="k") == first


async def test_only_the_requester_takes_it_back(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.brian)
    with assert_refused("PERMISSION_DENIED", "REQUESTER_REQUIRED"):
        await world.act("Cancel", world.asha, made)


async def test_what_was_executed_cannot_be_taken_back(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.act("Execute", world.asha, made)
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_STATE_INVALID"):
        await world.act("Cancel", world.asha, made)


async def test_after_24_hours_it_is_over_anyway(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.let_time_pass(made)
    with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
        await world.act("Cancel", world.asha, made)


async def test_strangers_see_nothing(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.act("Cancel", world.brian, made)


async def test_one_key_cancels_one_withdrawal(world: World) -> None:
    group = await world.group(balance=100_000)
    first, second = await world.asked(group, world.asha), await world.asked(group, world.asha)
    await world.act("Cancel", world.asha, first, key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await world.act("Cancel", world.asha, second, key="k")

"""GetWithdrawal: one withdrawal, for members."""

from hazina.groups.v1.withdrawal_service_pb2 import GetWithdrawalRequest, Withdrawal
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_every_member_sees_it(world: World) -> None:
    group = await world.group(balance=100_000)
    await world.join(group, world.brian)
    made = await world.asked(group, world.asha)
    assert await world.get(world.brian, made) == made


async def test_one_whose_time_is_over_has_expired(world: World) -> None:
    group = await world.group(balance=100_000)
    made = await world.asked(group, world.asha)
    await world.let_time_pass(made)
    after = await world.get(world.asha, made)
    assert after.state == Withdrawal.EXPIRED and after.failure_reason == "HOLD_EXPIRED"


async def test_strangers_and_wrong_groups_find_nothing(world: World) -> None:
    group, other = await world.group(balance=100_000), await world.group()
    made = await world.asked(group, world.asha)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.get(world.brian, made)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.get(world.asha, Withdrawal(id=made.id, group_id=other.id))


async def test_an_id_is_a_uuid(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="withdrawalId"):
        await world.withdrawals(world.asha).GetWithdrawal(
            GetWithdrawalRequest(group_id=group.id, withdrawal_id="x")
        )

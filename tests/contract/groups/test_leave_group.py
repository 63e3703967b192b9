"""LeaveGroup: by the group's rule contributions are paid out, or stay."""

from typing import Any
from uuid import UUID

import pytest

from hazina.groups.v1.group_pb2 import Group, Role
from hazina.groups.v1.group_service_pb2 import (
    ChangeMemberRoleRequest,
    GetGroupRequest,
    LeaveGroupRequest,
)
from hazina.groups.v1.withdrawal_service_pb2 import ListWithdrawalsRequest, Withdrawal
from tests.contract.groups.conftest import World
from tests.factories.groups import FORFEIT, by_phone, from_wallet, in_cash, refused
from tests.harness import Person, assert_refused


async def contributing(world: World, **fields: Any) -> Group:
    """A group that Brian paid KES 200.00 into."""
    group = await world.group(**fields)
    await world.join(group, world.brian)
    await world.contributions(world.brian).CreateContribution(
        from_wallet(group.id, world.wallet(world.brian), 20_000), key=world.key()
    )
    return group


async def leave(world: World, who: Person, group: Group, key: str = "leave") -> None:
    await world.groups(who).LeaveGroup(LeaveGroupRequest(group_id=group.id), key=key)


async def is_in(world: World, who: Person, group: Group) -> bool:
    rows = await world.rows(
        "SELECT 1 FROM groups.member WHERE group_id = $1 AND user_id = $2 AND state = 'ACTIVE'",
        UUID(group.id),
        who.id,
    )
    return bool(rows)


async def test_contributions_are_paid_back_to_the_members_wallet(world: World) -> None:
    group = await contributing(world)
    await leave(world, world.brian, group)
    assert world.ledger.balance(world.wallet(world.brian)) == 500_000
    assert world.ledger.balance(UUID(group.wallet_id)) == 0
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.groups(world.brian).GetGroup(GetGroupRequest(group_id=group.id))
    listed = await world.withdrawals(world.asha).ListWithdrawals(
        ListWithdrawalsRequest(group_id=group.id)
    )
    [paid] = listed.withdrawals
    assert paid.state == Withdrawal.COMPLETED and paid.amount.minor_units == 20_000
    assert paid.approvals_needed == 0


async def test_what_is_forfeited_stays_with_the_group(world: World) -> None:
    group = await contributing(world, exit_rule=FORFEIT)
    await leave(world, world.brian, group)
    assert world.ledger.balance(UUID(group.wallet_id)) == 20_000
    assert not await is_in(world, world.brian, group)


async def test_a_replayed_request_pays_once(world: World) -> None:
    group = await contributing(world)
    for _ in range(2):
        await leave(world, world.brian, group, "k")
    assert world.ledger.balance(world.wallet(world.brian)) == 500_000


async def test_who_comes_back_takes_only_along_what_came_since(world: World) -> None:
    group = await contributing(world)
    await leave(world, world.brian, group)
    await world.join(group, world.brian)
    await world.contributions(world.brian).CreateContribution(
        from_wallet(group.id, world.wallet(world.brian), 5_000), key=world.key()
    )
    await leave(world, world.brian, group, "again")
    assert world.ledger.balance(world.wallet(world.brian)) == 500_000


async def test_the_last_owner_cannot_leave(world: World) -> None:
    group = await contributing(world)
    with assert_refused("FAILED_PRECONDITION", "LAST_OWNER"):
        await leave(world, world.asha, group)
    await world.groups(world.asha).ChangeMemberRole(
        ChangeMemberRoleRequest(group_id=group.id, user_id=str(world.brian.id), role=Role.OWNER)
    )
    await leave(world, world.asha, group)
    assert not await is_in(world, world.asha, group)


async def test_what_the_group_has_spent_cannot_be_taken_along(world: World) -> None:
    group = await contributing(world)
    world.ledger.spend(UUID(group.wallet_id), 15_000)
    for _ in range(2):
        with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
            await leave(world, world.brian, group)
    assert await is_in(world, world.brian, group)


async def test_a_frozen_group_wallet_pays_nobody_out(world: World) -> None:
    group = await contributing(world)
    world.ledger.freeze(UUID(group.wallet_id))
    with assert_refused("FAILED_PRECONDITION", "WALLET_FROZEN"):
        await leave(world, world.brian, group)
    assert await is_in(world, world.brian, group)


async def test_a_payout_that_payments_refuses_keeps_the_member(world: World) -> None:
    group = await contributing(world)
    world.payments.refusing.append(refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"))
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await leave(world, world.brian, group)
    assert await is_in(world, world.brian, group)
    assert world.ledger.held(UUID(group.wallet_id)) == 0


@pytest.mark.parametrize("what", ["withdrawal", "contribution", "wallet"])
async def test_what_is_under_way_is_settled_first(world: World, what: str) -> None:
    group = await contributing(world)
    if what == "withdrawal":
        await world.asked(group, world.brian)
    elif what == "contribution":
        await world.contributions(world.brian).CreateContribution(by_phone(group.id), key="c")
    else:
        world.ledger.close(world.wallet(world.brian))
    with assert_refused("FAILED_PRECONDITION", "MEMBER_NOT_SETTLED"):
        await leave(world, world.brian, group)


async def test_cash_that_was_never_confirmed_does_not_keep_anybody(world: World) -> None:
    group = await contributing(world)
    await world.contributions(world.asha).CreateContribution(
        in_cash(group.id, 100, world.brian.id), key="c"
    )
    await leave(world, world.brian, group)
    rows = await world.rows("SELECT state FROM groups.contribution WHERE method = 'CASH'")
    assert [row["state"] for row in rows] == ["FAILED"]


async def test_strangers_cannot_leave(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await leave(world, world.brian, group)


async def test_one_key_leaves_one_group(world: World) -> None:
    first, second = await contributing(world), await contributing(world)
    await leave(world, world.brian, first, "k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await leave(world, world.brian, second, "k")

"""ListWithdrawals: payouts of a group, newest first."""

from hazina.groups.v1.withdrawal_service_pb2 import ListWithdrawalsRequest, Withdrawal
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_the_pages_hold_every_withdrawal_once_newest_first(world: World) -> None:
    group = await world.group(balance=100_000)
    made = [(await world.asked(group, world.asha, 100)).id for _ in range(5)]
    seen: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        answer = await world.withdrawals(world.asha).ListWithdrawals(
            ListWithdrawalsRequest(group_id=group.id, page_size=2, page_token=token)
        )
        seen += [one.id for one in answer.withdrawals]
        token, pages = answer.next_page_token, pages + 1
    assert seen == made[::-1] and pages == 3


async def test_a_state_filters(world: World) -> None:
    group = await world.group(balance=100_000)
    first = await world.asked(group, world.asha)
    await world.asked(group, world.asha)
    await world.act("Cancel", world.asha, first)
    answer = await world.withdrawals(world.asha).ListWithdrawals(
        ListWithdrawalsRequest(group_id=group.id, state=Withdrawal.CANCELLED)
    )
    assert [one.id for one in answer.withdrawals] == [first.id]


async def test_a_token_is_good_for_its_own_list_only(world: World) -> None:
    group = await world.group(balance=100_000)
    for _ in range(2):
        await world.asked(group, world.asha, 100)
    stub = world.withdrawals(world.asha)
    answer = await stub.ListWithdrawals(ListWithdrawalsRequest(group_id=group.id, page_size=1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await stub.ListWithdrawals(
            ListWithdrawalsRequest(
                group_id=group.id,
                state=Withdrawal.APPROVED,
                page_token=answer.next_page_token,
            )
        )


async def test_strangers_find_nothing(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.withdrawals(world.brian).ListWithdrawals(
            ListWithdrawalsRequest(group_id=group.id)
        )


async def test_a_negative_page_size_is_refused(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.withdrawals(world.asha).ListWithdrawals(
            ListWithdrawalsRequest(group_id=group.id, page_size=-1)
        )

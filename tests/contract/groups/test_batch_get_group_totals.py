"""BatchGetGroupTotals: many groups in one call, refused as a whole."""

from uuid import UUID

import pytest

from hazina.groups.v1.contribution_service_pb2 import BatchGetGroupTotalsRequest
from tests.contract.groups.conftest import World
from tests.factories.groups import from_wallet
from tests.harness import assert_refused


async def test_totals_come_in_the_order_that_was_asked(world: World) -> None:
    first, second = await world.group(name="Zebra"), await world.group(name="Ant", balance=5_000)
    await world.join(first, world.brian)
    for person, amount in ((world.asha, 30_000), (world.brian, 10_000)):
        await world.contributions(person).CreateContribution(
            from_wallet(first.id, world.wallet(person), amount), key=world.key()
        )
    paid, held = await world.asked(first, world.asha, 7_000), None
    await world.act("Execute", world.asha, paid)
    held = await world.asked(first, world.asha, 1_000)
    answer = await world.contributions(world.asha).BatchGetGroupTotals(
        BatchGetGroupTotalsRequest(group_ids=[first.id, second.id, first.id])
    )
    assert [one.group_id for one in answer.group_totals] == [first.id, second.id, first.id]
    totals = answer.group_totals[0]
    assert totals.contributed.minor_units == 40_000 and totals.own.minor_units == 30_000
    assert totals.paid_out.minor_units == 7_000
    assert totals.available.minor_units == 33_000 - held.amount.minor_units
    assert answer.group_totals[1].available.minor_units == 5_000


async def test_one_group_of_others_refuses_the_whole_call(world: World) -> None:
    mine, other = await world.group(), await world.group()
    await world.join(mine, world.brian)
    for group_ids in ([mine.id, other.id], [str(UUID(int=1)), mine.id]):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await world.contributions(world.brian).BatchGetGroupTotals(
                BatchGetGroupTotalsRequest(group_ids=group_ids)
            )


@pytest.mark.parametrize("group_ids", [[], ["x"], [str(UUID(int=1))] * 101])
async def test_bad_input_is_refused(world: World, group_ids: list[str]) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED"):
        await world.contributions(world.asha).BatchGetGroupTotals(
            BatchGetGroupTotalsRequest(group_ids=group_ids)
        )

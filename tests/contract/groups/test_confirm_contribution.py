"""ConfirmContribution: a second person says that the cash is there."""

import asyncio
from typing import Any
from uuid import UUID

from hazina.groups.v1.contribution_service_pb2 import (
    ConfirmContributionRequest,
    ConfirmContributionResponse,
    Contribution,
)
from hazina.groups.v1.group_pb2 import Group
from services.kit.errors import ServiceUnavailable
from tests.contract.groups.conftest import World
from tests.factories.groups import by_phone, in_cash
from tests.harness import Person, assert_refused


async def recorded(world: World, by: Person, group: Group, of: Person | None = None) -> str:
    answer = await world.contributions(by).CreateContribution(
        in_cash(group.id, 5_000, of.id if of else ""), key=world.key()
    )
    return str(answer.contribution.id)


async def confirm(world: World, by: Person, group: Group, one: str, key: str = "") -> Any:
    return await world.contributions(by).ConfirmContribution(
        ConfirmContributionRequest(group_id=group.id, contribution_id=one), key=key or world.key()
    )


async def test_confirmed_cash_is_booked_to_the_cash_account_of_the_group(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = await recorded(world, world.asha, group, world.brian)
    answer = await confirm(world, world.brian, group, made)
    assert answer.contribution.state == Contribution.COMPLETED
    assert world.ledger.balance(f"SYSTEM:CASH:{group.id}") == 5_000
    assert world.ledger.balance(UUID(group.wallet_id)) == 0, "cash cannot be withdrawn"
    assert await world.events("groups.contribution.completed") == 1


async def test_what_a_member_recorded_is_confirmed_by_who_keeps_the_cash(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    await world.join(group, world.chris, "TREASURER")
    made = await recorded(world, world.brian, group)
    for person in (world.brian, world.brian):
        with assert_refused("FAILED_PRECONDITION", "CONTRIBUTION_STATE_INVALID"):
            await confirm(world, person, group, made)
    answer = await confirm(world, world.chris, group, made)
    assert answer.contribution.state == Contribution.COMPLETED


async def test_who_recorded_cannot_confirm(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = await recorded(world, world.asha, group, world.brian)
    with assert_refused("FAILED_PRECONDITION", "CONTRIBUTION_STATE_INVALID"):
        await confirm(world, world.asha, group, made)


async def test_a_replayed_confirmation_books_once(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = await recorded(world, world.asha, group, world.brian)
    first = await confirm(world, world.brian, group, made, "k")
    assert await confirm(world, world.brian, group, made, "k") == first
    assert world.ledger.balance(f"SYSTEM:CASH:{group.id}") == 5_000


async def test_a_second_confirmation_is_refused_also_at_the_same_time(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = await recorded(world, world.asha, group, world.brian)
    answers = await asyncio.gather(
        *(confirm(world, world.brian, group, made) for _ in range(8)), return_exceptions=True
    )
    assert len([one for one in answers if isinstance(one, ConfirmContributionResponse)]) == 1
    with assert_refused("FAILED_PRECONDITION", "CONTRIBUTION_STATE_INVALID"):
        await confirm(world, world.brian, group, made)
    assert world.ledger.balance(f"SYSTEM:CASH:{group.id}") == 5_000


async def test_a_ledger_that_was_away_books_by_the_same_key(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = await recorded(world, world.asha, group, world.brian)
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await confirm(world, world.brian, group, made, "k")
    answer = await confirm(world, world.brian, group, made, "k")
    assert answer.contribution.state == Contribution.COMPLETED


async def test_an_id_that_became_too_old_is_replaced(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = await recorded(world, world.asha, group, world.brian)
    world.ledger.refuse_next_hold = "ID_TIME_OUT_OF_RANGE"
    answer = await confirm(world, world.brian, group, made)
    assert answer.contribution.state == Contribution.COMPLETED
    assert world.ledger.balance(f"SYSTEM:CASH:{group.id}") == 5_000


async def test_other_methods_need_no_confirmation(world: World) -> None:
    group = await world.group()
    answer = await world.contributions(world.asha).CreateContribution(by_phone(group.id), key="c")
    with assert_refused("FAILED_PRECONDITION", "CONTRIBUTION_STATE_INVALID"):
        await confirm(world, world.asha, group, answer.contribution.id)


async def test_strangers_and_wrong_groups_find_nothing(world: World) -> None:
    group, other = await world.group(), await world.group()
    made = await recorded(world, world.asha, group)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await confirm(world, world.brian, group, made)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await confirm(world, world.asha, other, made)


async def test_one_key_confirms_one_contribution(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    first = await recorded(world, world.asha, group, world.brian)
    second = await recorded(world, world.asha, group, world.brian)
    await confirm(world, world.brian, group, first, "k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await confirm(world, world.brian, group, second, "k")


async def test_an_id_is_a_uuid(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="contributionId"):
        await confirm(world, world.asha, group, "x")

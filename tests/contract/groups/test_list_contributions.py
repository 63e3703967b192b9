"""ListContributions: newest first, with totals for each member and the group."""

from typing import Any

from hazina.groups.v1.contribution_service_pb2 import (
    ConfirmContributionRequest,
    ListContributionsRequest,
)
from tests.contract.groups.conftest import World
from tests.factories.groups import from_wallet, in_cash
from tests.harness import assert_refused


async def test_the_pages_hold_every_contribution_once_and_totals_of_all(world: World) -> None:
    group = await world.group()
    await world.join(group, world.brian)
    made = []
    for person, amount in ((world.asha, 100), (world.brian, 20), (world.brian, 3)):
        answer = await world.contributions(person).CreateContribution(
            from_wallet(group.id, world.wallet(person), amount), key=world.key()
        )
        made.append(answer.contribution.id)
    cash = await world.contributions(world.asha).CreateContribution(
        in_cash(group.id, 4_000, world.brian.id), key=world.key()
    )
    await world.contributions(world.brian).ConfirmContribution(
        ConfirmContributionRequest(group_id=group.id, contribution_id=cash.contribution.id), key="k"
    )
    seen: list[str] = []
    answers: list[Any] = []
    while not answers or answers[-1].next_page_token:
        token = answers[-1].next_page_token if answers else ""
        answers.append(
            await world.contributions(world.brian).ListContributions(
                ListContributionsRequest(group_id=group.id, page_size=2, page_token=token)
            )
        )
        seen += [one.id for one in answers[-1].contributions]
    assert seen == [*made, cash.contribution.id][::-1] and len(answers) == 2
    first, second = answers
    assert first.total.minor_units == 123 and first.cash_total.minor_units == 4_000
    totals = {one.display_name: one.contributed.minor_units for one in first.members}
    assert totals == {"Asha Otieno": 100, "Brian Kamau": 4_023}
    assert list(second.members) == [] and second.total == first.total


async def test_what_failed_or_waits_is_listed_and_not_counted(world: World) -> None:
    group = await world.group()
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await world.contributions(world.asha).CreateContribution(
            from_wallet(group.id, world.wallet(world.asha), 500_001), key="k"
        )
    answer = await world.contributions(world.asha).ListContributions(
        ListContributionsRequest(group_id=group.id)
    )
    [failed] = answer.contributions
    assert failed.failure_reason == "INSUFFICIENT_FUNDS" and answer.total.minor_units == 0


async def test_strangers_find_nothing(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.contributions(world.brian).ListContributions(
            ListContributionsRequest(group_id=group.id)
        )


async def test_a_forged_token_is_refused(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await world.contributions(world.asha).ListContributions(
            ListContributionsRequest(group_id=group.id, page_token="x")
        )


async def test_a_negative_page_size_is_refused(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.contributions(world.asha).ListContributions(
            ListContributionsRequest(group_id=group.id, page_size=-1)
        )

"""ListMembers: members with their figures, by name."""

from uuid import UUID

from hazina.groups.v1.group_pb2 import Role
from hazina.groups.v1.group_service_pb2 import ListMembersRequest
from tests.contract.groups.conftest import World
from tests.factories.groups import from_wallet, weekly
from tests.harness import assert_refused


async def test_the_pages_hold_every_member_once_by_name(world: World) -> None:
    group = await world.group()
    for person in (world.dina, world.brian, world.chris):
        await world.join(group, person)
    names: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        answer = await world.groups(world.brian).ListMembers(
            ListMembersRequest(group_id=group.id, page_size=3, page_token=token)
        )
        names += [one.display_name for one in answer.members]
        token, pages = answer.next_page_token, pages + 1
    assert names == ["Asha Otieno", "Brian Kamau", "Chris Mwangi", "Dina Achieng"] and pages == 2


async def test_figures_tell_what_was_paid_and_who_is_behind(world: World) -> None:
    group = await world.group(contribution_schedule=weekly(10_000))
    await world.join(group, world.brian, "TREASURER")
    await world.contributions(world.brian).CreateContribution(
        from_wallet(group.id, world.wallet(world.brian), 15_000), key="k"
    )
    # Three Mondays lie behind us since both joined.
    for table, column in (("savings_group", "schedule_time"), ("member", "join_time")):
        await world.rows(f"UPDATE groups.{table} SET {column} = now() - interval '21 days'")
    answer = await world.groups(world.asha).ListMembers(ListMembersRequest(group_id=group.id))
    asha, brian = answer.members
    due = asha.behind.minor_units
    assert due in (20_000, 30_000) and asha.contributed.minor_units == 0
    assert brian.behind.minor_units == due - 15_000 and brian.role == Role.TREASURER
    assert brian.contributed.minor_units == 15_000


async def test_only_those_who_are_behind(world: World) -> None:
    group = await world.group(contribution_schedule=weekly(10_000))
    await world.join(group, world.brian)
    await world.contributions(world.asha).CreateContribution(
        from_wallet(group.id, world.wallet(world.asha), 400_000), key="k"
    )
    for table, column in (("savings_group", "schedule_time"), ("member", "join_time")):
        await world.rows(f"UPDATE groups.{table} SET {column} = now() - interval '21 days'")
    answer = await world.groups(world.asha).ListMembers(
        ListMembersRequest(group_id=group.id, behind_only=True)
    )
    assert [UUID(one.user_id) for one in answer.members] == [world.brian.id]


async def test_without_a_schedule_nobody_is_behind(world: World) -> None:
    group = await world.group()
    answer = await world.groups(world.asha).ListMembers(
        ListMembersRequest(group_id=group.id, behind_only=True)
    )
    assert list(answer.members) == []


async def test_strangers_find_nothing(world: World) -> None:
    group = await world.group()
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await world.groups(world.brian).ListMembers(ListMembersRequest(group_id=group.id))


async def test_a_forged_token_is_refused(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await world.groups(world.asha).ListMembers(
            ListMembersRequest(group_id=group.id, page_token="forged")
        )


async def test_a_negative_page_size_is_refused(world: World) -> None:
    group = await world.group()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.groups(world.asha).ListMembers(
            ListMembersRequest(group_id=group.id, page_size=-1)
        )

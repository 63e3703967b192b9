"""ListGroups: the caller's groups, by name."""

from hazina.groups.v1.group_service_pb2 import ListGroupsRequest
from tests.contract.groups.conftest import World
from tests.harness import assert_refused


async def test_the_pages_hold_every_group_of_the_caller_once_by_name(world: World) -> None:
    for name in ("Dawa", "Chama", "Baraka", "Amani", "Amani"):
        await world.group(name=name)
    await world.groups(world.brian).ListGroups(ListGroupsRequest())
    names: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        answer = await world.groups(world.asha).ListGroups(
            ListGroupsRequest(page_size=2, page_token=token)
        )
        names += [one.name for one in answer.groups]
        token, pages = answer.next_page_token, pages + 1
    assert names == ["Amani", "Amani", "Baraka", "Chama", "Dawa"] and pages == 3


async def test_groups_of_others_are_not_listed(world: World) -> None:
    await world.group()
    answer = await world.groups(world.brian).ListGroups(ListGroupsRequest())
    assert list(answer.groups) == []


async def test_a_token_of_somebody_else_is_refused(world: World) -> None:
    for name in ("A", "B"):
        await world.group(name=name)
    answer = await world.groups(world.asha).ListGroups(ListGroupsRequest(page_size=1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await world.groups(world.brian).ListGroups(
            ListGroupsRequest(page_token=answer.next_page_token)
        )


async def test_a_negative_page_size_is_refused(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field="pageSize"):
        await world.groups(world.asha).ListGroups(ListGroupsRequest(page_size=-1))

"""What is asked of the database: a fixed number of questions, and walls between tenants."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, text

from hazina.groups.v1.contribution_service_pb2 import (
    BatchGetGroupTotalsRequest,
    ListContributionsRequest,
)
from hazina.groups.v1.group_pb2 import Group
from hazina.groups.v1.group_service_pb2 import ListGroupsRequest, ListMembersRequest
from hazina.groups.v1.withdrawal_service_pb2 import ListWithdrawalsRequest
from services.groups.operations import reminders
from services.groups.tables import TENANT_OWNED
from services.kit.database import Database
from tests.contract.groups.conftest import World, world
from tests.factories.groups import from_wallet, weekly

__all__ = ["world"]


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements of a block."""
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *more: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def fill(world: World, group: Group, members: int) -> None:
    """So many more members, each with a contribution."""
    await world.rows(
        "WITH people AS (SELECT gen_random_uuid() AS id FROM generate_series(1, $2)), joined AS ("
        " INSERT INTO groups.member (tenant_id, group_id, user_id, name, role, state, join_time, contributed_minor)"
        " SELECT 'default', $1, id, id::text, 'MEMBER', 'ACTIVE', now() - interval '30 days', 100 FROM people)"
        " INSERT INTO groups.contribution (tenant_id, id, group_id, user_id, name, method, state, currency, amount_minor,"
        " recorder_id, create_time) SELECT 'default', gen_random_uuid(), $1, id, 'x', 'WALLET', 'COMPLETED', 'KES', 100,"
        " id, now() FROM people",
        UUID(group.id),
        members,
    )


async def ask_everything(world: World, group: Group) -> dict[str, int]:
    """How many statements each list takes."""
    calls: dict[str, Callable[[], Any]] = {
        "members": lambda: world.groups(world.asha).ListMembers(
            ListMembersRequest(group_id=group.id, page_size=100)
        ),
        "behind": lambda: world.groups(world.asha).ListMembers(
            ListMembersRequest(group_id=group.id, behind_only=True)
        ),
        "groups": lambda: world.groups(world.asha).ListGroups(ListGroupsRequest()),
        "contributions": lambda: world.contributions(world.asha).ListContributions(
            ListContributionsRequest(group_id=group.id, page_size=100)
        ),
        "withdrawals": lambda: world.withdrawals(world.asha).ListWithdrawals(
            ListWithdrawalsRequest(group_id=group.id)
        ),
        "totals": lambda: world.contributions(world.asha).BatchGetGroupTotals(
            BatchGetGroupTotalsRequest(group_ids=[group.id])
        ),
    }
    counts = {}
    for name, call in calls.items():
        with counted() as statements:
            await call()
        counts[name] = len(statements)
    return counts


async def test_lists_and_totals_take_as_many_queries_for_200_members_as_for_two(
    world: World,
) -> None:
    group = await world.group(contribution_schedule=weekly(500), balance=100_000)
    await fill(world, group, 1)
    for _ in range(2):
        await world.asked(group, world.asha, 100)
    few = await ask_everything(world, group)
    await fill(world, group, 198)
    for _ in range(10):
        await world.asked(group, world.asha, 100)
    assert await ask_everything(world, group) == few
    assert max(few.values()) <= 6, few
    answer = await world.contributions(world.asha).ListContributions(
        ListContributionsRequest(group_id=group.id)
    )
    assert len(answer.members) == 200 and answer.total.minor_units == 19_900


async def test_reminders_for_200_members_take_as_many_queries_as_for_two(
    world: World,
) -> None:
    counts = []
    for members in (1, 199):
        group = await world.group(name=f"Of {members}", contribution_schedule=weekly(500))
        await fill(world, group, members)
        [row] = await world.rows(
            "UPDATE groups.savings_group SET schedule_time = now() - interval '20 days'"
            " WHERE id = $1 RETURNING schedule_time, current_date AS today",
            UUID(group.id),
        )
        for _ in range(2):  # a twin of the job tells nothing
            with counted() as statements:
                await reminders.remind(
                    world.desk,
                    "default",
                    UUID(group.id),
                    due=row["today"],
                    schedule_time=row["schedule_time"],
                )
            counts.append(len(statements))
    assert counts[:2] == counts[2:]
    assert await world.events("groups.reminder.due") == 2


async def test_a_changed_schedule_ends_the_reminders_of_the_old_one(
    world: World,
) -> None:
    group = await world.group(contribution_schedule=weekly(500))
    [row] = await world.rows(
        "SELECT schedule_time - interval '1 day' AS other, current_date AS today"
        " FROM groups.savings_group"
    )
    await reminders.remind(
        world.desk, "default", UUID(group.id), due=row["today"], schedule_time=row["other"]
    )
    assert await world.events("groups.reminder.due") == 0


@pytest.fixture
async def database(world: World) -> AsyncIterator[Database]:
    """The database as the service's role sees it."""
    database = Database(
        world.running.config.database_url, schema="groups", application_name="test", pool_size=1
    )
    yield database
    await database.close()


async def test_no_table_shows_rows_of_another_tenant(
    world: World,
    database: Database,
) -> None:
    group = await world.group(balance=100_000)
    await world.invite(group, "new@example.org")
    await world.asked(group, world.asha)
    await world.contributions(world.asha).CreateContribution(
        from_wallet(group.id, world.wallet(world.asha)), key="k"
    )
    for tenant, sees in (("default", True), ("other", False), ("*", False), (None, False)):
        async with database.unit(tenant) as session:
            for table in TENANT_OWNED:
                found = await session.scalar(text(f"SELECT count(*) FROM {table.name}"))
                assert bool(found) == sees, (tenant, table.name)

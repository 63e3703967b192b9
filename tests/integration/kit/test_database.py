"""Units of work against a real Postgres, as the service's restricted role."""

import asyncio
import time

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Database
from services.kit.errors import NotFound, ServiceUnavailable
from tests.harness import Harness

INSERT = text("INSERT INTO note (id, tenant_id, body) VALUES (:id, :tenant_id, :body)")
COUNT = text("SELECT count(*) FROM note")


def note(tenant_id: str = "default", body: str = "hello") -> dict[str, object]:
    return {"id": Clock().new_id(), "tenant_id": tenant_id, "body": body}


async def test_a_unit_commits_when_its_block_ends(database: Database) -> None:
    async with database.unit("default") as session:
        await session.execute(INSERT, note())
    async with database.unit("default") as session:
        assert await session.scalar(COUNT) == 1


async def test_a_unit_rolls_back_when_its_block_raises(database: Database) -> None:
    with pytest.raises(NotFound):
        async with database.unit("default") as session:
            await session.execute(INSERT, note())
            raise NotFound
    async with database.unit("default") as session:
        assert await session.scalar(COUNT) == 0


@pytest.mark.parametrize("tenant_id", ["other", None, ALL_TENANTS])
async def test_rows_of_a_tenant_are_seen_by_its_own_units_only(
    database: Database, tenant_id: str | None
) -> None:
    async with database.unit("default") as session:
        await session.execute(INSERT, note())
    async with database.unit(tenant_id) as session:
        assert await session.scalar(COUNT) == 0


async def test_a_row_of_another_tenant_cannot_be_written(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.unit("default") as session:
            await session.execute(INSERT, note("other"))


async def test_the_tenant_of_one_unit_does_not_leak_into_the_next(database: Database) -> None:
    for _ in range(20):  # the pool hands the same connections around
        async with database.unit("default") as session:
            await session.execute(INSERT, note())
        async with database.unit(None) as session:
            assert await session.scalar(COUNT) == 0


async def test_even_the_owner_of_the_tables_obeys_the_walls(
    harness: Harness, database: Database
) -> None:
    async with database.unit("default") as session:
        await session.execute(INSERT, note())
    place = await harness.database("probe")
    owner = await asyncpg.connect(place.owner_url)
    try:
        assert await owner.fetchval("SELECT count(*) FROM probe.note") == 0
    finally:
        await owner.close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE probe.mine (id int)",
        "ALTER TABLE note DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON note",
        "TRUNCATE note",
        "SET ROLE hazina_probe_owner",
    ],
)
async def test_the_service_cannot_change_its_walls(database: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with database.unit("default") as session:
            await session.execute(text(statement))


async def test_a_commit_under_way_survives_a_caller_who_leaves(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing = asyncio.Event()
    commit = database_commit_slowly(monkeypatch, committing)

    async def work() -> None:
        async with database.unit("default") as session:
            await session.execute(INSERT, note())

    task = asyncio.create_task(work())
    await committing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert commit.finished
    async with database.unit("default") as session:
        assert await session.scalar(COUNT) == 1


async def test_a_caller_who_leaves_before_the_commit_changes_nothing(database: Database) -> None:
    written = asyncio.Event()

    async def work() -> None:
        async with database.unit("default") as session:
            await session.execute(INSERT, note())
            written.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.unit("default") as session:
        assert await session.scalar(COUNT) == 0


async def test_a_lost_connection_is_a_passing_fault(harness: Harness, database: Database) -> None:
    place = await harness.database("probe")
    admin = await asyncpg.connect(place.admin_url)
    try:
        with pytest.raises(ServiceUnavailable):
            async with database.unit("default") as session:
                backend = await session.scalar(text("SELECT pg_backend_pid()"))
                await admin.execute("SELECT pg_terminate_backend($1)", backend)
                await asyncio.sleep(0.1)
                await session.execute(COUNT)
    finally:
        await admin.close()
    await database.check()  # the pool heals by itself


async def test_a_server_that_is_away_is_a_passing_fault() -> None:
    away = Database("postgresql://x:y@127.0.0.1:9/none", schema="probe", application_name="test")
    with pytest.raises(ServiceUnavailable):
        await away.check()
    await away.close()


async def test_an_empty_pool_sheds_instead_of_waiting_for_ever(database: Database) -> None:
    small = Database(
        database.engine.url.render_as_string(hide_password=False),
        schema="probe",
        application_name="test",
        pool_size=1,
    )
    async with small.unit(None):
        started = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            await small.check()
        assert time.monotonic() - started < 6
    await small.close()


async def test_a_mistake_of_ours_is_not_called_a_passing_fault(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.unit("default") as session:
            await session.execute(text("SELECT nonsense"))


async def test_a_statement_that_runs_too_long_is_a_passing_fault(database: Database) -> None:
    hasty = Database(
        database.engine.url.render_as_string(hide_password=False),
        schema="probe",
        application_name="test",
        statement_timeout_seconds=0.2,
    )
    with pytest.raises(ServiceUnavailable):
        async with hasty.unit(None) as session:
            await session.execute(text("SELECT pg_sleep(5)"))
    await hasty.close()


async def test_a_listener_hears_committed_notifications_and_comes_back(
    harness: Harness, database: Database
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = asyncio.create_task(database.listen("bell", heard.put_nowait))
    assert await asyncio.wait_for(heard.get(), 5) == ""  # it is connected
    async with database.unit(None) as session:
        await session.execute(text("SELECT pg_notify('bell', 'one')"))
    assert await asyncio.wait_for(heard.get(), 5) == "one"

    place = await harness.database("probe")
    admin = await asyncpg.connect(place.admin_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()"
    )
    await admin.close()
    assert await asyncio.wait_for(heard.get(), 5) == ""  # connected again
    async with database.unit(None) as session:
        await session.execute(text("SELECT pg_notify('bell', 'two')"))
    assert await asyncio.wait_for(heard.get(), 5) == "two"
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening


class _SlowCommit:
    finished = False


def database_commit_slowly(
    monkeypatch: pytest.MonkeyPatch, committing: asyncio.Event
) -> _SlowCommit:
    """Commits announce themselves and take a while."""
    from sqlalchemy.ext.asyncio import AsyncConnection

    state = _SlowCommit()
    commit = AsyncConnection.commit

    async def slowly(self: AsyncConnection) -> None:
        committing.set()
        await asyncio.sleep(0.2)
        await commit(self)
        state.finished = True

    monkeypatch.setattr(AsyncConnection, "commit", slowly)
    return state

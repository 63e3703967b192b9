"""Jobs: deferred with their cause, repeated until they succeed."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from services.kit.config import ServiceConfig
from services.kit.database import Database
from services.kit.errors import ServiceUnavailable
from services.kit.jobs import Jobs, RetryPolicy
from tests.harness import Harness
from tests.integration.kit.test_events import eventually, running


@pytest.fixture
def jobs(config: ServiceConfig, database: Database) -> Jobs:
    return Jobs(config, database)


class Ran:
    """Remembers the runs of a job."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def __call__(self) -> list[str]:
        return self.notes


async def test_a_job_runs_once_its_transaction_is_committed(database: Database, jobs: Jobs) -> None:
    ran = Ran()

    @jobs.task("note.take")
    async def take(*, note: str) -> None:
        ran.notes.append(note)

    async with running(jobs.run):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.take", note="hello")
            await asyncio.sleep(0.5)
            assert ran.notes == []  # nobody sees it before the commit
        await eventually(ran, ["hello"])


async def test_a_job_of_a_failed_transaction_never_runs(database: Database, jobs: Jobs) -> None:
    @jobs.task("note.take")
    async def take() -> None: ...

    with pytest.raises(RuntimeError):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.take")
            raise RuntimeError
    async with database.unit(None) as session:
        assert await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0


async def test_a_job_that_fails_is_tried_again(database: Database, jobs: Jobs) -> None:
    ran = Ran()

    @jobs.task("note.take", retry=RetryPolicy(pauses_seconds=(0.05, 0.05)))
    async def take() -> None:
        ran.notes.append("try")
        if len(ran.notes) < 3:
            raise ValueError("not yet")

    async with running(jobs.run):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.take")
        await eventually(ran, ["try"] * 3)


async def test_a_job_gives_up_after_its_last_pause(database: Database, jobs: Jobs) -> None:
    ran = Ran()

    @jobs.task("note.take", retry=RetryPolicy(pauses_seconds=(0.05,)))
    async def take() -> None:
        ran.notes.append("try")
        raise ValueError("never")

    async def states() -> list[str]:
        async with database.unit(None) as session:
            return [
                row[0]
                for row in await session.execute(text("SELECT status FROM procrastinate_jobs"))
            ]

    async with running(jobs.run):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.take")
        await eventually(states, ["failed"])
    assert ran.notes == ["try", "try"]


async def test_a_job_waits_for_its_time(database: Database, jobs: Jobs) -> None:
    ran = Ran()

    @jobs.task("note.take")
    async def take() -> None:
        ran.notes.append("now")

    async with running(jobs.run):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.take", run_at=datetime.now(UTC) + timedelta(seconds=1))
        await asyncio.sleep(0.6)
        assert ran.notes == []
        await eventually(ran, ["now"])


async def test_a_queueing_lock_keeps_one_waiting_job_and_spares_the_transaction(
    database: Database, jobs: Jobs
) -> None:
    @jobs.task("note.take")
    async def take() -> None: ...

    async with database.unit("default") as session:
        for _ in range(3):
            await jobs.defer(session, "note.take", queueing_lock="one")
        await jobs.defer(session, "note.take", queueing_lock="two")
    async with database.unit(None) as session:
        assert await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 2


async def test_jobs_with_one_lock_never_run_together(database: Database, jobs: Jobs) -> None:
    at_once, most, done = 0, 0, 0

    @jobs.task("note.take")
    async def take() -> None:
        nonlocal at_once, most, done
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        done += 1

    async def count() -> int:
        return done

    async with running(jobs.run):
        async with database.unit("default") as session:
            for _ in range(5):
                await jobs.defer(session, "note.take", lock="wallet-1")
        await eventually(count, 5)
    assert most == 1


async def test_the_job_of_a_process_that_died_runs_again(database: Database, jobs: Jobs) -> None:
    ran = Ran()

    @jobs.task("note.take")
    async def take() -> None:
        ran.notes.append("again")

    async with database.unit("default") as session:
        await jobs.defer(session, "note.take")
        await session.execute(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"
            )
        )
        await session.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM procrastinate_workers)"
            )
        )
    async with running(jobs.run):
        await eventually(ran, ["again"])


async def test_a_periodic_job_runs_by_its_cron_line(jobs: Jobs) -> None:
    ran = Ran()

    @jobs.periodic("note.sweep", "* * * * * */1")
    async def sweep() -> None:
        ran.notes.append("tick")

    async def some() -> bool:
        return len(ran.notes) >= 2

    async with running(jobs.run):
        await eventually(some, True)


async def test_deferring_a_job_that_is_not_defined_is_a_mistake(
    database: Database, jobs: Jobs
) -> None:
    with pytest.raises(AssertionError, match=r"no job is named note\.forget"):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.forget")


async def test_a_worker_waits_for_a_database_that_is_away(
    config: ServiceConfig, database: Database
) -> None:
    away = replace(config, database_url="postgresql://x:y@127.0.0.1:9/none")
    stop = asyncio.Event()
    work = asyncio.create_task(Jobs(away, database).run(stop))
    await asyncio.sleep(2)
    assert not work.done()
    stop.set()
    await asyncio.wait_for(work, 3)


async def test_a_worker_survives_the_loss_of_its_connections(
    harness: Harness, database: Database, jobs: Jobs
) -> None:
    ran = Ran()

    @jobs.task("note.take")
    async def take() -> None:
        ran.notes.append("alive")

    async with running(jobs.run):
        async with database.unit("default") as session:
            await jobs.defer(session, "note.take")
        await eventually(ran, ["alive"])
        place = await harness.database("probe")
        admin = await asyncpg.connect(place.admin_url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await admin.close()
        await asyncio.sleep(0.5)
        for _ in range(20):
            with contextlib.suppress(ServiceUnavailable):
                async with database.unit("default") as session:
                    await jobs.defer(session, "note.take")
                break
        await eventually(ran, ["alive", "alive"], seconds=20)

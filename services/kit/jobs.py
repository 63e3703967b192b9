"""Work that must happen later, or again until it succeeds: procrastinate, in the schema `<service>_jobs`.

A job is deferred in the transaction that makes it necessary: both are committed, or neither. A job may run twice (its
process can die after the work and before the note of it), so every job repeats harmlessly.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.kit import telemetry
from services.kit.config import ServiceConfig
from services.kit.database import Database, Session, sqlstate

__all__ = ["Jobs", "RetryPolicy"]

Task = TypeVar("Task", bound=Callable[..., Awaitable[Any]])

_QUEUE = "default"
_CONCURRENCY = 8
_POLL_SECONDS = 0.25  # nothing tells the worker that a lock came free
_HEARTBEAT_SECONDS = 2.0
_STALLED_SECONDS = 10.0
_SWEEP_SECONDS = 5.0
_UNIQUE_VIOLATION = "23505"

_DEFER = text(
    "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW("
    ":queue, :task, 0, CAST(:lock AS text), CAST(:queueing_lock AS text), CAST(:args AS jsonb),"
    " CAST(:scheduled_at AS timestamptz))::procrastinate_job_to_defer_v1])"
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Pauses between the tries of a failing job. After the last one it has failed, unless it is to go on for ever."""

    pauses_seconds: tuple[float, ...] = (1, 2, 5, 15, 60, 300)
    forever: bool = False

    def pause(self, tries: int) -> float | None:
        """The pause after that many failed tries (1 or more), or None: give up."""
        if tries <= len(self.pauses_seconds):
            return self.pauses_seconds[tries - 1]
        return self.pauses_seconds[-1] if self.forever else None


class _Retry(procrastinate.BaseRetryStrategy):
    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy

    def get_retry_decision(
        self, *, exception: BaseException, job: Job
    ) -> procrastinate.RetryDecision | None:
        pause = self._policy.pause(job.attempts + 1)
        if pause is None:
            return None
        return procrastinate.RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=pause))


class Jobs:
    """The jobs of one service: their definitions, deferring, and the worker."""

    def __init__(self, config: ServiceConfig, database: Database) -> None:
        self._service = config.name
        self._outage = telemetry.Outage("jobs")
        connector = procrastinate.PsycopgConnector(
            conninfo=config.database_url,
            kwargs={
                "options": f"-c search_path={database.schema}_jobs -c timezone=UTC",
                "application_name": f"{config.name}-jobs",
            },
            min_size=1,
            max_size=4,
        )
        self._app = procrastinate.App(connector=connector)
        logging.getLogger("procrastinate").setLevel(
            logging.CRITICAL
        )  # failures are logged here, with their fields

    def task(self, name: str, *, retry: RetryPolicy | None = None) -> Callable[[Task], Task]:
        """Define the job `name`: an async function of JSON arguments."""

        def define(function: Task) -> Task:
            self._register(name, function, retry or RetryPolicy())
            return function

        return define

    def periodic(self, name: str, cron: str) -> Callable[[Task], Task]:
        """Define a job without arguments that runs by a cron line (a sixth field counts seconds), once per service."""

        def define(function: Task) -> Task:
            async def at(timestamp: int) -> None:
                await function()

            task = self._register(name, at, RetryPolicy(pauses_seconds=(5,)))
            self._app.periodic(cron=cron, queueing_lock=name)(task)
            return function

        return define

    async def defer(
        self,
        session: Session,
        name: str,
        *,
        run_at: datetime | None = None,
        queueing_lock: str | None = None,
        lock: str | None = None,
        **args: Any,
    ) -> None:
        """Have a job run once the session's transaction is committed, at `run_at` at the earliest.

        Jobs with one `lock` never run at the same time. While a job with this `queueing_lock` waits, another one is
        not added.
        """
        assert name in self._app.tasks, f"no job is named {name}"
        values = {
            "queue": _QUEUE,
            "task": name,
            "lock": lock,
            "queueing_lock": queueing_lock,
            "args": json.dumps(args),
            "scheduled_at": run_at,
        }
        if queueing_lock is None:
            await session.execute(_DEFER, values)
            return
        try:
            async with session.begin_nested():
                await session.execute(_DEFER, values)
        except DBAPIError as error:
            if sqlstate(error) != _UNIQUE_VIOLATION:
                raise

    async def run(self, stop: asyncio.Event) -> None:
        """Run jobs until `stop` is set; then those under way get 10 s to end. A lost database is waited for."""
        while not stop.is_set():
            try:
                await self._work(stop)
            except (ConnectorException, psycopg.Error, OSError) as error:
                self._outage.note(error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1.0)

    async def _work(self, stop: asyncio.Event) -> None:
        try:
            if not await self._open(stop):
                return
            await self._retry_stalled()
            self._outage.over()
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    queues=[_QUEUE],
                    name=self._service,
                    concurrency=_CONCURRENCY,
                    install_signal_handlers=False,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    update_heartbeat_interval=_HEARTBEAT_SECONDS,
                    stalled_worker_timeout=_STALLED_SECONDS,
                    shutdown_graceful_timeout=10.0,
                    delete_jobs="successful",
                )
            )
            try:
                while not await _ends(worker, stop, within_seconds=_SWEEP_SECONDS):
                    await self._retry_stalled()
            finally:
                worker.cancel()  # asks the worker to stop; it waits for its jobs
                with contextlib.suppress(asyncio.CancelledError):
                    await worker
        finally:
            await self._app.close_async()  # also forgets a pool that could not be opened

    async def _open(self, stop: asyncio.Event) -> bool:
        """Connect; False if told to stop before that."""
        opening = asyncio.ensure_future(self._app.connector.open_async())
        await _ends(opening, stop, within_seconds=60.0)
        if opening.done():
            opening.result()
            return True
        opening.cancel()
        await asyncio.wait({opening})
        return False

    async def _retry_stalled(self) -> None:
        """Free the jobs of processes that died."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED_SECONDS):
            telemetry.log.warning("job_stalled", job=job.task_name)
            await manager.retry_job(job)

    def _register(
        self, name: str, function: Callable[..., Awaitable[Any]], retry: RetryPolicy
    ) -> Any:
        async def run(**args: Any) -> None:
            started, outcome = time.perf_counter(), "failed"
            with telemetry.continued("", request_id=telemetry.new_request_id()):
                try:
                    await function(**args)
                    outcome = "succeeded"
                except Exception as error:
                    telemetry.log.error("job_failed", exc_info=error, job=name)
                    raise
                finally:
                    seconds = time.perf_counter() - started
                    telemetry.job_seconds.labels(self._service, name, outcome).observe(seconds)

        return self._app.task(name=name, queue=_QUEUE, retry=_Retry(retry))(run)


async def _ends(work: "asyncio.Future[Any]", stop: asyncio.Event, *, within_seconds: float) -> bool:
    """Whether the work ended or was told to stop within that time."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(
            {work, stopping}, timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        stopping.cancel()
    return work.done() or stop.is_set()

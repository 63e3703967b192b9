"""The relay: carries the outbox into the stream `events.<service>`.

One relay of a service works at a time (an advisory lock), so events keep the order in which they were written. An event
is marked as published only after Redis has it: it may be sent twice, never zero times. Every batch also writes a marker
into Redis. If the marker is gone or older than the database's own, Redis has lost what it had, and everything published
since (7 days at most) is published again; inboxes absorb what was not lost.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from hazina.event.v1.envelope_pb2 import Envelope
from services.kit import crash, telemetry
from services.kit.database import ALL_TENANTS, Database, Session
from services.kit.errors import ServiceError
from services.kit.outbox import channel

__all__ = ["KEPT", "Relay", "publish", "stream"]

KEPT = timedelta(days=7)
"""How long published events stay in the outbox."""

STREAM_LENGTH_MAX = 200_000
"""About how many events a stream holds; consumers further behind are served by publishing again."""

_BATCH = 500
_SWEEP_BATCH = (
    5000  # rows changed at once by reopening and purging: well within a statement timeout
)
_POLL_SECONDS = 1.0
_FAULT_SECONDS = 0.5
_MEASURE_SECONDS = 10.0
_PURGE_SECONDS = 3600.0

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext(current_schema() || '.relay'))")
_TAKE = text(
    "SELECT position, envelope FROM outbox WHERE publish_time IS NULL"
    " ORDER BY position LIMIT :batch FOR UPDATE SKIP LOCKED"
)
_DONE = text("UPDATE outbox SET publish_time = :now WHERE position = ANY(:positions)")
_NOW = text("SELECT clock_timestamp()")
_REOPEN = text(
    "UPDATE outbox SET publish_time = NULL WHERE position IN (SELECT position FROM outbox"
    " WHERE publish_time > :since AND create_time > now() - CAST(:kept AS interval) LIMIT :batch)"
)
_PURGE = text(
    "DELETE FROM outbox WHERE position IN (SELECT position FROM outbox"
    " WHERE publish_time IS NOT NULL AND create_time < :before LIMIT :batch)"
)
_WAITING = text("SELECT count(*) FROM outbox WHERE publish_time IS NULL")


def stream(service: str) -> str:
    """The stream of a service's events."""
    return f"events.{service}"


async def publish(
    redis: Redis,
    service: str,
    envelopes: Sequence[bytes | Envelope],
    *,
    marker: str | None = None,
) -> None:
    """Add envelopes to the service's stream, in one atomic step. For services whose events come from elsewhere, too."""
    async with redis.pipeline(transaction=True) as pipe:
        for envelope in envelopes:
            raw = envelope if isinstance(envelope, bytes) else envelope.SerializeToString()
            pipe.xadd(
                stream(service), {"envelope": raw}, maxlen=STREAM_LENGTH_MAX, approximate=True
            )
        if marker is not None:
            pipe.set(_marker_key(service), marker)
        await pipe.execute()


class Relay:
    """Publishes one service's outbox until told to stop."""

    def __init__(self, database: Database, redis: Redis, *, service: str) -> None:
        self._database = database
        self._redis = redis
        self._service = service
        self._wake = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Faults of the database or Redis are waited out."""
        listening = asyncio.create_task(
            self._database.listen(channel(self._database.schema), lambda _: self._wake.set())
        )
        stopping = asyncio.create_task(self._wake_when(stop))
        purge_at = measure_at = 0.0
        outage = telemetry.Outage("relay")
        loop = asyncio.get_running_loop()
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    if (
                        loop.time() >= measure_at
                    ):  # first, so that it is known how much waits for a lost Redis
                        measure_at = loop.time() + _MEASURE_SECONDS
                        await self._measure()
                    if loop.time() >= purge_at:
                        purge_at = loop.time() + _PURGE_SECONDS
                        await self._purge()
                    published = await self.publish_once()
                    outage.over()
                except (RedisError, OSError, ServiceError) as error:
                    outage.note(error)
                    await self._sleep(_FAULT_SECONDS)
                    continue
                if published < _BATCH:
                    await self._sleep(_POLL_SECONDS)
        finally:
            for task in (listening, stopping):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def publish_once(self) -> int:
        """Publish one batch; answers its size. Zero also when another process is the relay at the moment."""
        async with self._database.unit(ALL_TENANTS, actor="system") as session:
            if not await session.scalar(_LOCK):
                return 0
            if await self._reopen_what_redis_lost(session) == _SWEEP_BATCH:
                return _BATCH  # the marker must stay as it is until everything lost is open again
            rows = (await session.execute(_TAKE, {"batch": _BATCH})).all()
            if not rows:
                return 0
            now = await session.scalar(_NOW)
            assert isinstance(now, datetime)
            envelopes = [bytes(row.envelope) for row in rows]
            await publish(self._redis, self._service, envelopes, marker=now.isoformat())
            crash.reach(f"{self._service}.relay.after_publish")
            await session.execute(_DONE, {"now": now, "positions": [row.position for row in rows]})
        telemetry.events_published.labels(self._service).inc(len(rows))
        return len(rows)

    async def _reopen_what_redis_lost(self, session: Session) -> int:
        marker = await self._redis.get(_marker_key(self._service))
        since = (
            datetime.fromisoformat(_text(marker)) if marker else datetime(1970, 1, 1, tzinfo=UTC)
        )
        result = await session.execute(
            _REOPEN, {"since": since, "kept": KEPT, "batch": _SWEEP_BATCH}
        )
        if result.rowcount:
            telemetry.log.warning("redis_lost_events", events=result.rowcount)
        return int(result.rowcount)

    async def _measure(self) -> None:
        async with self._database.unit(ALL_TENANTS, actor="system") as session:
            waiting = await session.scalar(_WAITING)
        telemetry.outbox_waiting.labels(self._service).set(waiting or 0)

    async def _purge(self) -> None:
        """Drop what was published more than a week ago."""
        while True:
            async with self._database.unit(ALL_TENANTS, actor="system") as session:
                values = {"before": datetime.now(UTC) - KEPT, "batch": _SWEEP_BATCH}
                if (await session.execute(_PURGE, values)).rowcount < _SWEEP_BATCH:
                    return

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _wake_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()


def _marker_key(service: str) -> str:
    return f"relay.{service}.marker"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

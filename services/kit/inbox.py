"""The inbox: reads other services' streams, and lets every event have its effect exactly once.

The id of an event is written in the transaction of its effect, so a repeated event changes nothing. An event whose
handler fails is tried again with growing pauses; after the last try it is parked in the stream `dead.<service>`, where
an operator finds it, and from where `redrive` sends it to this service, and only to this service, again.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.message import DecodeError, Message
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, Uuid, func, text

from hazina.event.v1.envelope_pb2 import Envelope
from services.kit import crash, telemetry
from services.kit.database import ALL_TENANTS, Database, Session
from services.kit.errors import ServiceUnavailable

__all__ = ["Consumer", "DeadLetter", "Handler", "dead_stream", "list_dead", "redrive", "table"]

Handler = Callable[[Session, Envelope, Message], Awaitable[None]]
"""Runs in the transaction that writes the inbox row, with the tenant of the event."""

KEPT = timedelta(days=30)
"""How long an event id is remembered: longer than any outbox or dead letter brings it again."""

_READ_COUNT = 64
_BLOCK_MILLISECONDS = 1000
_SWEEP_SECONDS = 1.0
_PURGE_SECONDS = 3600.0
_ABANDONED_SECONDS = 30.0  # longer than the slowest handler: statements end after 5 s
_BACKOFF_SECONDS_MAX = 60.0
_DEAD_LENGTH_MAX = 100_000


def table(metadata: MetaData) -> Table:
    """The table of event ids that had their effect, for the service's `tables.py`."""
    return Table(
        "inbox",
        metadata,
        Column("event_id", Uuid, primary_key=True),
        Column("tenant_id", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("inbox_create_time", "create_time"),
        comment="Events that had their effect here",
        info={"across_tenants": True},
    )


_RECORD = text(
    "INSERT INTO inbox (event_id, tenant_id, type) VALUES (:event_id, :tenant_id, :type)"
    " ON CONFLICT DO NOTHING RETURNING 1"
)
_PURGE = text(
    "DELETE FROM inbox WHERE event_id IN"
    " (SELECT event_id FROM inbox WHERE create_time < :before LIMIT :batch)"
)
_PURGE_BATCH = 5000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up, with the last fault."""

    id: str
    stream: str
    envelope: Envelope
    attempts: int
    fault: str
    park_time: datetime


class Consumer:
    """Reads streams as one consumer group per service, and hands each event to the handler of its type.

    Types without a handler are none of our business and are acknowledged. `payloads` names the message of each type.
    """

    def __init__(
        self,
        database: Database,
        redis: Redis,
        *,
        service: str,
        streams: Sequence[str],
        handlers: Mapping[str, Handler],
        payloads: Mapping[str, type[Message]],
        attempts_max: int = 8,
        backoff_seconds: float = 0.5,
    ) -> None:
        missing = sorted(set(handlers) - set(payloads))
        if missing:
            raise ValueError(f"no payload message for {', '.join(missing)}")
        self._database = database
        self._redis = redis
        self._service = service
        self._streams = [*streams, _redrive_stream(service)]
        self._handlers = handlers
        self._payloads = payloads
        self._attempts_max = attempts_max
        self._backoff_seconds = backoff_seconds
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. A lost Redis is waited for, and its groups are made again."""
        loop = asyncio.get_running_loop()
        ready = False
        outage = telemetry.Outage("consumer")
        sweep_at = purge_at = 0.0
        while not stop.is_set():
            try:
                if not ready:
                    await self._make_groups()
                    ready = True
                if loop.time() >= sweep_at:
                    sweep_at = loop.time() + min(_SWEEP_SECONDS, self._backoff_seconds)
                    await self._sweep()
                if loop.time() >= purge_at:
                    purge_at = loop.time() + _PURGE_SECONDS
                    await self._purge()
                await self._read(stop)
                outage.over()
            except (RedisError, OSError, ServiceUnavailable) as error:
                ready = False
                outage.note(error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.5)
        with contextlib.suppress(RedisError, OSError):
            await self._leave()

    async def _make_groups(self) -> None:
        for stream in self._streams:
            try:
                await self._redis.xgroup_create(stream, self._service, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def _leave(self) -> None:
        """Give up our name where nothing is pending under it."""
        for stream in self._streams:
            for consumer in await self._redis.xinfo_consumers(stream, self._service):
                idle_for_long = consumer["idle"] > 86_400_000
                is_ours = _text(consumer["name"]) == self._consumer
                if consumer["pending"] == 0 and (is_ours or idle_for_long):
                    await self._redis.xgroup_delconsumer(stream, self._service, consumer["name"])

    async def _read(self, stop: asyncio.Event) -> None:
        answer = await self._redis.xreadgroup(
            self._service,
            self._consumer,
            dict.fromkeys(self._streams, ">"),
            count=_READ_COUNT,
            block=int(min(_BLOCK_MILLISECONDS, self._backoff_seconds * 1000)),
        )
        for name, entries in _streams_of(answer):
            for entry_id, fields in entries:
                if stop.is_set():
                    return  # they stay pending and are claimed by whoever comes next
                await self._take(name, entry_id, fields, attempt=1)

    async def _sweep(self) -> None:
        """Try again what failed long enough ago, and take over what a dead process left behind."""
        for stream in self._streams:
            pending: Any = await self._redis.xpending_range(
                stream, self._service, min="-", max="+", count=500
            )
            for item in pending:
                attempts = int(item["times_delivered"])
                idle_seconds = item["time_since_delivered"] / 1000
                is_ours = _text(item["consumer"]) == self._consumer
                pause = self._backoff(attempts) if is_ours else _ABANDONED_SECONDS
                if idle_seconds < pause:
                    continue
                entry_id = _text(item["message_id"])
                claimed: Any = await self._redis.xclaim(
                    stream, self._service, self._consumer, int(pause * 1000), [entry_id]
                )
                for claimed_id, fields in claimed:
                    if (
                        fields is None
                    ):  # trimmed from the stream: the outbox has it, nothing is left here
                        await self._redis.xack(stream, self._service, claimed_id)
                        continue
                    await self._take(stream, _text(claimed_id), fields, attempt=attempts + 1)

    async def _take(
        self, stream: str, entry_id: str, fields: Mapping[Any, Any], *, attempt: int
    ) -> None:
        raw = fields.get(b"envelope", fields.get("envelope", b""))
        try:
            envelope = Envelope.FromString(raw)
            event_id = UUID(envelope.event_id)
        except (DecodeError, ValueError, TypeError):
            await self._park(stream, entry_id, raw, attempt, "not an envelope")
            return
        try:
            outcome = await self._have_effect(envelope, event_id)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a poison event may fail in any way
            if isinstance(error, ServiceUnavailable):
                await (
                    self._database.check()
                )  # away: it is no fault of the event, and the loop waits
            self._handled(envelope, "failed")
            fault = f"{type(error).__name__}: {error}"[:500]
            telemetry.log.error(
                "event_failed",
                exc_info=error,
                stream=stream,
                type=envelope.type,
                event_id=envelope.event_id,
                attempt=attempt,
            )
            if attempt >= self._attempts_max:
                await self._park(stream, entry_id, raw, attempt, fault)
            return
        self._handled(envelope, outcome)
        crash.reach(f"{self._service}.inbox.after_effect")
        await self._redis.xack(stream, self._service, entry_id)

    def _handled(self, envelope: Envelope, outcome: str) -> None:
        if envelope.type in self._handlers:
            telemetry.events_handled.labels(self._service, envelope.type, outcome).inc()

    async def _have_effect(self, envelope: Envelope, event_id: UUID) -> str:
        handler = self._handlers.get(envelope.type)
        if handler is None:
            return "passed over"
        payload = self._payloads[envelope.type]()
        if not envelope.payload.Unpack(payload):
            raise ValueError(f"{envelope.type} carries {envelope.payload.type_url}")
        with telemetry.continued(envelope.traceparent, request_id=envelope.event_id):
            async with self._database.unit(envelope.tenant_id, actor=envelope.actor) as session:
                is_new = await session.scalar(
                    _RECORD,
                    {"event_id": event_id, "tenant_id": envelope.tenant_id, "type": envelope.type},
                )
                if is_new:
                    await handler(session, envelope, payload)
        return "done" if is_new else "repeated"

    async def _park(
        self, stream: str, entry_id: str, raw: bytes, attempts: int, fault: str
    ) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(
                dead_stream(self._service),
                {
                    "envelope": raw,
                    "stream": stream,
                    "entry": entry_id,
                    "attempts": str(attempts),
                    "fault": fault,
                    "park_time": datetime.now(UTC).isoformat(),
                },
                maxlen=_DEAD_LENGTH_MAX,
                approximate=True,
            )
            pipe.xack(stream, self._service, entry_id)
            await pipe.execute()
        telemetry.events_parked.labels(self._service).inc()
        telemetry.log.error("event_parked", stream=stream, entry=entry_id, fault=fault)

    def _backoff(self, attempts: int) -> float:
        return float(min(self._backoff_seconds * 2 ** (attempts - 1), _BACKOFF_SECONDS_MAX))

    async def _purge(self) -> None:
        while True:
            async with self._database.unit(ALL_TENANTS, actor="system") as session:
                values = {"before": datetime.now(UTC) - KEPT, "batch": _PURGE_BATCH}
                if (await session.execute(_PURGE, values)).rowcount < _PURGE_BATCH:
                    return


def dead_stream(service: str) -> str:
    """Where a service parks the events that it gave up."""
    return f"dead.{service}"


async def list_dead(redis: Redis, service: str, count: int = 100) -> list[DeadLetter]:
    """The service's parked events, oldest first."""
    letters = []
    entries: Any = await redis.xrange(dead_stream(service), count=count)
    for entry_id, fields in entries:
        values = {_text(key): value for key, value in fields.items()}
        envelope = Envelope()
        with contextlib.suppress(DecodeError):
            envelope = Envelope.FromString(values["envelope"])
        letters.append(
            DeadLetter(
                id=_text(entry_id),
                stream=_text(values["stream"]),
                envelope=envelope,
                attempts=int(values["attempts"]),
                fault=_text(values["fault"]),
                park_time=datetime.fromisoformat(_text(values["park_time"])),
            )
        )
    return letters


async def redrive(redis: Redis, service: str, ids: Sequence[str] | None = None) -> int:
    """Send parked events (all of them, or those with these ids) to the service again; answers how many."""
    entries: Any = await redis.xrange(dead_stream(service))
    chosen = [entry for entry in entries if ids is None or _text(entry[0]) in ids]
    for entry_id, fields in chosen:
        raw = fields.get(b"envelope", fields.get("envelope"))
        async with redis.pipeline(transaction=True) as pipe:
            pipe.xadd(
                _redrive_stream(service),
                {"envelope": raw},
                maxlen=_DEAD_LENGTH_MAX,
                approximate=True,
            )
            pipe.xdel(dead_stream(service), entry_id)
            await pipe.execute()
    return len(chosen)


def _redrive_stream(service: str) -> str:
    return f"redrive.{service}"


def _streams_of(answer: Any) -> list[tuple[str, list[tuple[str, Mapping[Any, Any]]]]]:
    """What XREADGROUP answered, whichever protocol version the client speaks."""
    if not answer:
        return []
    pairs = answer.items() if isinstance(answer, dict) else answer
    result = []
    for name, entries in pairs:
        flat = (
            entries[0]
            if isinstance(answer, dict) and entries and isinstance(entries[0], list)
            else entries
        )
        result.append((_text(name), [(_text(entry_id), fields) for entry_id, fields in flat]))
    return result


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

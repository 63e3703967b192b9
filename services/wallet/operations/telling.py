"""Tells the other services of every transfer: the stream `events.wallet`.

There are no outbox rows: `seq` is the order of commits, so the transfers themselves are read behind a stored position. The
position moves after Redis has the events, so an event may be told twice, never zero times. A marker in Redis says how far
Redis was told; if it is behind the position or gone, Redis has lost events, and they are told again: those of the last
seven days, at most.
"""

from __future__ import annotations

import asyncio
import contextlib

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.kit import crash, telemetry
from services.kit.database import ALL_TENANTS, Database, Session
from services.kit.errors import ServiceError
from services.kit.relay import KEPT, publish
from services.wallet import events, store

SERVICE = "wallet"
MARKER = "relay.wallet.marker"
_BATCH = 500
_POLL_SECONDS = 1.0
_FAULT_SECONDS = 0.5


class Telling:
    """The relay of the ledger. One process tells at a time."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self._database = database
        self._redis = redis
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop` is set. Faults of the database or Redis are waited out."""
        stopping = asyncio.create_task(self._wake_when(stop))
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    told = await self.tell_once()
                except (RedisError, OSError, ServiceError) as error:
                    telemetry.log.warning("relay_waits", fault=type(error).__name__)
                    await asyncio.sleep(_FAULT_SECONDS)
                    continue
                if told < _BATCH and not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), _POLL_SECONDS)
        finally:
            stopping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stopping

    async def tell_once(self) -> int:
        """Tell one batch; answers its size. Zero also while another process tells."""
        async with self._database.unit(ALL_TENANTS, actor="system") as session:
            if not await store.lock_relay(session):
                return 0
            stored = await store.read_relay_position(session)
            position = await self._position(session, stored)
            batch = await store.read_booked_after(session, position, limit=_BATCH)
            if not batch:
                if position != stored:
                    await store.move_relay(session, position)
                return 0
            last = batch[-1][1].seq
            envelopes = [events.transfer_booked(tenant_id, booked) for tenant_id, booked in batch]
            await publish(self._redis, SERVICE, envelopes, marker=str(last))
            crash.reach("wallet.relay.after_publish")
            await store.move_relay(session, last)
            return len(batch)

    async def _position(self, session: Session, stored: int) -> int:
        """Where to begin: behind the stored position, or earlier if Redis does not have everything up to it."""
        marker = await self._redis.get(MARKER)
        has = int(marker) if marker is not None else 0
        if has >= stored:
            return stored
        oldest = await store.read_last_seq_before(session, await store.read_time(session) - KEPT)
        position = min(stored, max(has, oldest))
        telemetry.log.warning("redis_lost_events", position=position)
        return position

    async def _wake_when(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

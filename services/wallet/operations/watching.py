"""Live wallets: every commit that changes a wallet wakes the streams that watch it.

One connection of the process listens for all streams. A stream always reads the wallet itself, so a notification that is
lost, doubled or early does no harm: what counts is the wallet's version.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.errors import ServiceError, ServiceUnavailable, SessionEnded
from services.wallet.domain import Account, Heartbeat, StreamCause, StreamEnd
from services.wallet.operations import wallets

HEARTBEAT_SECONDS = 15.0
LIFETIME_SECONDS = 3600.0


class Changes:
    """Tells the streams of this process which wallets changed."""

    def __init__(self) -> None:
        self._watching: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.stopping = False

    def notice(self, payload: str) -> None:
        """Take a notification: ids separated by commas, `-` for no wallet, nothing for "look for yourselves"."""
        if not payload:
            ids = list(self._watching)
        elif payload == "-":
            return
        else:
            ids = [UUID(hex=one) for one in payload.split(",")]
        for wallet_id in ids:
            for changed in self._watching.get(wallet_id, ()):
                changed.set()

    def stop(self) -> None:
        """End every stream, with a last message."""
        self.stopping = True
        self.notice("")

    @contextlib.contextmanager
    def watch(self, wallet_id: UUID) -> Iterator[asyncio.Event]:
        """An event that is set at every change of the wallet, while the block runs."""
        changed = asyncio.Event()
        self._watching[wallet_id].add(changed)
        try:
            yield changed
        finally:
            self._watching[wallet_id].discard(changed)
            if not self._watching[wallet_id]:
                del self._watching[wallet_id]


@dataclass(frozen=True, slots=True)
class Watcher:
    """Makes streams. `standing` raises SessionEnded once a person's session is over."""

    database: Database
    changes: Changes
    clock: Clock
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    lifetime_seconds: float = LIFETIME_SECONDS

    async def watch(
        self,
        tenant_id: str,
        user_id: UUID,
        wallet_id: UUID,
        *,
        seen_version: int | None,
        expire_time: datetime,
        standing: Callable[[], Awaitable[None]],
    ) -> AsyncIterator[Account | Heartbeat | StreamEnd]:
        """The wallet now (a heartbeat if this version of it was seen), and after each change; then why the stream ends.

        Changes that come faster than they can be read are told as one. Raises NotFound before anything is sent.
        """
        until = time.monotonic() + self.lifetime_seconds
        expires = time.monotonic() + (expire_time - self.clock.now()).total_seconds()
        with self.changes.watch(wallet_id) as changed:
            beat_at = time.monotonic() + self.heartbeat_seconds
            wallet = await wallets.get_wallet(self.database, tenant_id, user_id, wallet_id)
            if wallet.version == seen_version:
                # An HTTP client is told that it is connected by the first message, and there is none else.
                yield Heartbeat(self.clock.now())
            while True:
                if wallet.version != seen_version:
                    seen_version = wallet.version
                    beat_at = time.monotonic() + self.heartbeat_seconds
                    yield wallet
                now = time.monotonic()
                if self.changes.stopping:
                    yield StreamEnd(StreamCause.SERVICE_STOPPING)
                    return
                if now >= expires:
                    yield StreamEnd(StreamCause.TOKEN_EXPIRED)
                    return
                if now >= until:
                    yield StreamEnd(StreamCause.LIFETIME_REACHED)
                    return
                if now >= beat_at:
                    if not await _stands(standing):
                        yield StreamEnd(StreamCause.SESSION_ENDED)
                        return
                    beat_at = now + self.heartbeat_seconds
                    yield Heartbeat(self.clock.now())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(expires, until, beat_at) - now)
                if changed.is_set():
                    changed.clear()
                    try:
                        wallet = await wallets.get_wallet(
                            self.database, tenant_id, user_id, wallet_id
                        )
                    except ServiceUnavailable:
                        yield StreamEnd(StreamCause.SERVICE_STOPPING)
                        return


async def _stands(standing: Callable[[], Awaitable[None]]) -> bool:
    """Whether the session stands. While nobody can tell, it does: the token ends soon anyway."""
    try:
        await standing()
    except SessionEnded:
        return False
    except ServiceError:
        return True
    return True

"""Open streams per person: five at once, counted in Redis because a service may run as several processes."""

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.kit.errors import TooManyStreams

__all__ = ["OPEN_MAX", "Streams"]

OPEN_MAX = 5
_LEASE_SECONDS = 30.0
_RENEW_SECONDS = 10.0

# Members are open streams, scores the end of their lease: what a dead process held is free again after 30 s.
_TAKE = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], 120)
return 1
"""


class Streams:
    """Counts open streams. Without Redis each process counts its own."""

    def __init__(self, redis: Redis | None, *, service: str) -> None:
        self._redis = redis
        self._service = service
        self._open_here: Counter[str] = Counter()
        self._releasing: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def slot(self, subject: str) -> AsyncIterator[None]:
        """Hold one of the subject's places while the block runs. Raises TooManyStreams."""
        if self._open_here[subject] >= OPEN_MAX:
            raise TooManyStreams
        self._open_here[subject] += 1
        key, member = f"streams.{self._service}.{subject}", secrets.token_hex(8)
        renewal: asyncio.Task[None] | None = None
        try:
            if self._redis is not None:
                if not await self._take(key, member):
                    raise TooManyStreams
                renewal = asyncio.create_task(self._renew(key, member))
            yield
        finally:
            self._open_here[subject] -= 1
            if not self._open_here[subject]:
                del self._open_here[subject]
            if renewal is not None:
                release = asyncio.create_task(self._release(key, member, renewal))
                self._releasing.add(release)
                release.add_done_callback(self._releasing.discard)

    async def close(self) -> None:
        """Wait until the places of ended streams are given free."""
        if self._releasing:
            await asyncio.wait(self._releasing, timeout=2.0)

    async def _release(self, key: str, member: str, renewal: asyncio.Task[None]) -> None:
        renewal.cancel()
        await asyncio.wait({renewal})
        assert self._redis is not None
        with contextlib.suppress(RedisError, OSError):
            await self._redis.zrem(key, member)

    async def _take(self, key: str, member: str) -> bool:
        assert self._redis is not None
        now = time.time()
        try:
            taken = await self._redis.eval(
                _TAKE, 1, key, str(now), str(now + _LEASE_SECONDS), member, str(OPEN_MAX)
            )
        except (RedisError, OSError):
            return True  # the count of this process stands
        return bool(taken)

    async def _renew(self, key: str, member: str) -> None:
        assert self._redis is not None
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            with contextlib.suppress(RedisError, OSError):
                await self._redis.zadd(key, {member: time.time() + _LEASE_SECONDS})
                await self._redis.expire(key, 120)

"""`python -m mesh.stack.external`: are the Postgres and the Redis that we were pointed at there, and new enough?"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import urlsplit

from mesh.stack.environment import Stack
from mesh.stack.home import StackError

POSTGRES_MIN = 150_000  # as server_version_num
REDIS_MIN = 7


async def check(stack: Stack) -> None:
    """Raise with what is wrong and what to do."""
    if stack.settings.database_url:
        await _check_postgres(stack.settings.database_url)
    if stack.settings.redis_url:
        await _check_redis(stack.settings.redis_url)


async def _check_postgres(url: str) -> None:
    import asyncpg

    place = _place(url)
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (
        OSError,
        ValueError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:
        raise StackError(f"HAZINA_DATABASE_URL: {place} does not let us in ({error}).") from error
    try:
        version = int(await connection.fetchval("SHOW server_version_num"))
        may = await connection.fetchrow(
            "SELECT rolsuper OR rolcreatedb AS databases, rolsuper OR rolcreaterole AS roles"
            " FROM pg_roles WHERE rolname = current_user"
        )
    finally:
        await connection.close()
    if version < POSTGRES_MIN:
        raise StackError(
            f"HAZINA_DATABASE_URL: {place} is Postgres {version // 10_000}; 15 or newer is needed."
        )
    if not (may["databases"] and may["roles"]):
        raise StackError(
            f"HAZINA_DATABASE_URL: the role at {place} may not make databases and roles. "
            "Name an administrator, or run ALTER ROLE … CREATEDB CREATEROLE."
        )


async def _check_redis(url: str) -> None:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    place = _place(url)
    try:
        client: Redis = Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
    except ValueError as error:
        raise StackError(f"HAZINA_REDIS_URL: {error}") from error
    try:
        version = str((await client.info("server"))["redis_version"])
    except (OSError, RedisError) as error:
        raise StackError(f"HAZINA_REDIS_URL: {place} does not let us in ({error}).") from error
    finally:
        await client.aclose()
    if int(version.split(".", maxsplit=1)[0]) < REDIS_MIN:
        raise StackError(
            f"HAZINA_REDIS_URL: {place} speaks Redis {version}; {REDIS_MIN} or newer is needed."
        )


def _place(url: str) -> str:
    """Host and port without credentials."""
    return urlsplit(url).netloc.rpartition("@")[2] or "(no host)"


if __name__ == "__main__":
    try:
        asyncio.run(check(Stack.from_environment()))
    except StackError as error:
        sys.exit(str(error))

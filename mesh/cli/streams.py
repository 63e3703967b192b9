"""`hazina events`: streams, what waits in them, dead letters, and sending those again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.markup import escape

from mesh.cli.screen import console, succeed, table
from mesh.stack.environment import Stack
from mesh.stack.home import StackError
from mesh.stack.ports import SERVICES
from services.kit import inbox

Answer = TypeVar("Answer")


def show() -> None:
    """Print every stream with its groups, and how many dead letters there are."""
    rows, dead_counts = _run(_survey)
    shown = table("stream", ">events", "consumer", ">waiting", ">unread", ">in hand")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)
    lost = {service: count for service, count in dead_counts.items() if count}
    if lost:
        for service, count in lost.items():
            console.print(
                f"[yellow]{count} dead letters of {service}[/]: `hazina events dead {service}`"
            )
    else:
        console.print("[dim]No dead letters.[/]")


def dead(service: str, *, limit: int) -> None:
    """Print dead letters."""
    services = [_known(service)] if service else list(SERVICES)

    async def collect(redis: Redis) -> dict[str, list[inbox.DeadLetter]]:
        return {name: await inbox.list_dead(redis, name, limit) for name in services}

    shown = table("consumer", "entry", "event", "tenant", ">tries", "parked", "fault")
    for name, letters in _run(collect).items():
        for letter in letters:
            shown.add_row(
                name,
                letter.id,
                letter.envelope.type or "(not an envelope)",
                letter.envelope.tenant_id,
                str(letter.attempts),
                f"{letter.park_time:%Y-%m-%d %H:%M:%S}",
                escape(letter.fault),
            )
    console.print(shown if shown.row_count else "[dim]No dead letters.[/]")


def redrive(service: str, *, entry: str) -> None:
    """Send dead letters again."""
    name = _known(service)
    count = _run(lambda redis: inbox.redrive(redis, name, [entry] if entry else None))
    if not count:
        raise StackError(f"{name} has no {'such dead letter' if entry else 'dead letters'}.")
    succeed(
        f"{count} sent to {name} again. `hazina events dead {name}` shows whether they come back."
    )


async def _survey(redis: Redis) -> tuple[list[tuple[str, ...]], dict[str, int]]:
    rows: list[tuple[str, ...]] = []
    names = [
        _text(key)
        for pattern in ("events.*", "redrive.*")
        async for key in redis.scan_iter(pattern, _type="stream")
    ]
    for name in sorted(names):
        length = str(await redis.xlen(name))
        groups: Any = await redis.xinfo_groups(name)
        if not groups:
            rows.append((name, length, "[dim]nobody[/]", "", "", ""))
        for group in groups:
            pending = int(group["pending"])
            # `lag` is unknown right after a restart of some servers; what waits is then what is in hand at least.
            lag = group.get("lag")
            waiting = pending + int(lag) if lag is not None else pending
            rows.append(
                (
                    name,
                    length,
                    _text(group["name"]),
                    str(waiting),
                    "?" if lag is None else str(lag),
                    str(pending),
                )
            )
    return rows, {service: await redis.xlen(inbox.dead_stream(service)) for service in SERVICES}


def _run(ask: Callable[[Redis], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        redis: Redis = Redis.from_url(Stack.from_environment().redis_url)
        try:
            return await ask(redis)
        except RedisError as error:
            raise StackError(
                f"Redis does not answer ({error}). Is the mesh running? `hazina status` shows it."
            ) from error
        finally:
            await redis.aclose()

    return asyncio.run(run())


def _known(service: str) -> str:
    if service not in SERVICES:
        raise StackError(f"{service} is no service. There are {', '.join(SERVICES)}.")
    return service


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value

"""Open streams, counted across processes."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.kit import streams
from services.kit.errors import TooManyStreams
from services.kit.streams import OPEN_MAX, Streams
from tests.harness import Harness


async def test_two_processes_count_together(harness: Harness) -> None:
    one, other = (Streams(harness.redis, service="probe") for _ in range(2))
    async with AsyncExitStack() as stack:
        for number in range(OPEN_MAX):
            await stack.enter_async_context((one, other)[number % 2].slot("amina"))
        for process in (one, other):
            with pytest.raises(TooManyStreams):
                async with process.slot("amina"):
                    pass
        async with other.slot("brian"):
            pass
    await one.close()
    await other.close()
    async with one.slot("amina"):
        pass
    await one.close()


async def test_what_a_dead_process_held_is_free_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_LEASE_SECONDS", 0.2)
    for number in range(OPEN_MAX):
        assert await Streams(harness.redis, service="probe")._take(
            "streams.probe.amina", f"dead-{number}"
        )
    living = Streams(harness.redis, service="probe")
    with pytest.raises(TooManyStreams):
        async with living.slot("amina"):
            pass
    await asyncio.sleep(0.3)
    async with living.slot("amina"):
        pass
    await living.close()


async def test_a_living_process_keeps_its_places(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_LEASE_SECONDS", 0.3)
    monkeypatch.setattr(streams, "_RENEW_SECONDS", 0.1)
    one, other = (Streams(harness.redis, service="probe") for _ in range(2))
    async with AsyncExitStack() as stack:
        for _ in range(OPEN_MAX):
            await stack.enter_async_context(one.slot("amina"))
        await asyncio.sleep(0.6)
        with pytest.raises(TooManyStreams):
            async with other.slot("amina"):
                pass
    await one.close()
    await other.close()


async def test_without_redis_each_process_counts_its_own() -> None:
    alone = Streams(None, service="probe")
    async with AsyncExitStack() as stack:
        for _ in range(OPEN_MAX):
            await stack.enter_async_context(alone.slot("amina"))
        with pytest.raises(TooManyStreams):
            async with alone.slot("amina"):
                pass
    async with alone.slot("amina"):
        pass

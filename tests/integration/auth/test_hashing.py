"""The password process, behind its queue."""

import asyncio
import time

import psutil
import pytest

from services.auth.hashing import Hasher
from services.kit.errors import Overloaded, ServiceUnavailable


async def test_the_password_process_is_small_and_polite() -> None:
    hasher = Hasher()
    started = time.perf_counter()
    await hasher.start()
    try:
        assert time.perf_counter() - started < 5
        [child] = [
            one for one in psutil.Process().children() if "services.auth.hasher" in one.cmdline()
        ]
        assert child.nice() == psutil.Process().nice() + 10
        known = await hasher.hash("a secret")
        assert known.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
        assert (await hasher.verify("a secret", known)).is_right
        assert not (await hasher.verify("another", known)).is_right
        assert not (await hasher.verify("nobody has this secret", None)).is_right
        assert child.memory_full_info().pss < 40 * 1024 * 1024
    finally:
        await hasher.close()
    assert not child.is_running()


async def test_who_went_away_costs_no_hash() -> None:
    hasher = Hasher()
    await hasher.start()
    try:
        waiting = [asyncio.create_task(hasher.hash("a secret")) for _ in range(20)]
        await asyncio.sleep(0)
        for task in waiting[1:]:
            task.cancel()
        started = time.perf_counter()
        await waiting[0]
        first = time.perf_counter()
        await hasher.hash("a secret")
        assert time.perf_counter() - first < 10 * max(first - started, 0.04)
    finally:
        await hasher.close()


async def test_more_than_thirty_two_do_not_wait() -> None:
    hasher = Hasher()
    await hasher.start()
    try:
        answers = await asyncio.gather(
            *(hasher.hash("a secret") for _ in range(40)), return_exceptions=True
        )
        assert sum(isinstance(answer, Overloaded) for answer in answers) == 8
        assert sum(isinstance(answer, str) for answer in answers) == 32
    finally:
        await hasher.close()


async def test_who_waits_when_the_service_ends_is_told() -> None:
    hasher = Hasher()
    await hasher.start()
    waiting = [asyncio.create_task(hasher.hash("a secret")) for _ in range(5)]
    await asyncio.sleep(0)
    await hasher.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, ServiceUnavailable) for answer in answers[1:])
    with pytest.raises(ServiceUnavailable):
        raise answers[-1]  # type: ignore[misc]

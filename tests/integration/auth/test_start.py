"""How the service starts, and what it costs."""

import asyncio
import time

import psutil

from services.auth.hashing import Hasher
from tests.factories.auth import Auth


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
        await waiting[0]
        started = time.perf_counter()
        await hasher.hash("a secret")
        assert time.perf_counter() - started < 20 * 0.04
    finally:
        await hasher.close()


async def test_roles_of_old_tenants_learn_new_permissions_at_start(auth: Auth) -> None:
    rows = await auth.rows("SELECT name, permissions FROM role WHERE tenant_id = 'default'")
    roles = {row["name"]: row["permissions"] for row in rows}
    assert set(roles) == {"member", "staff", "admin"}
    assert "payments.transfer" in roles["member"] and "payments.resolve" in roles["staff"]

"""Idempotency keys, claimed by twins at the same moment."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from services.kit import idempotency
from services.kit.database import ALL_TENANTS, Database
from services.kit.errors import IdempotencyKeyInFlight, IdempotencyKeyReused
from tests.integration.kit.conftest import CallMaker, new_id


async def test_the_first_call_takes_the_key(database: Database, new_call: CallMaker) -> None:
    resource_id = new_id()
    async with database.unit("default") as session:
        claim = await idempotency.claim(session, new_call(), resource_id=resource_id)
    assert claim == idempotency.Claim(is_new=True, resource_id=resource_id, answer=None)


async def test_a_repeat_is_led_to_what_the_first_call_made(
    database: Database, new_call: CallMaker
) -> None:
    first = new_id()
    async with database.unit("default") as session:
        await idempotency.claim(session, new_call(), resource_id=first)
        await idempotency.remember_answer(session, new_call(), {"state": "COMPLETED"})
    repeat = new_call()
    async with database.unit("default") as session:
        claim = await idempotency.claim(session, repeat, resource_id=new_id())
    assert claim == idempotency.Claim(
        is_new=False, resource_id=first, answer={"state": "COMPLETED"}
    )
    assert repeat.exchange.is_replayed


async def test_the_same_key_with_other_content_is_refused(
    database: Database, new_call: CallMaker
) -> None:
    async with database.unit("default") as session:
        await idempotency.claim(session, new_call(), resource_id=new_id())
    with pytest.raises(IdempotencyKeyReused):
        async with database.unit("default") as session:
            await idempotency.claim(session, new_call(content=b"b"), resource_id=new_id())


async def test_a_key_of_another_tenant_is_another_key(
    database: Database, new_call: CallMaker
) -> None:
    for tenant_id in ("default", "other"):
        async with database.unit(tenant_id) as session:
            call = new_call(tenant_id=tenant_id)
            assert (await idempotency.claim(session, call, resource_id=new_id())).is_new


async def test_a_key_whose_transaction_failed_is_free_again(
    database: Database, new_call: CallMaker
) -> None:
    with pytest.raises(RuntimeError):
        async with database.unit("default") as session:
            await idempotency.claim(session, new_call(), resource_id=new_id())
            raise RuntimeError
    async with database.unit("default") as session:
        assert (await idempotency.claim(session, new_call(), resource_id=new_id())).is_new


async def test_of_many_twins_exactly_one_takes_the_key(
    database: Database, new_call: CallMaker
) -> None:
    async def claim_once() -> idempotency.Claim:
        async with database.unit("default") as session:
            claim = await idempotency.claim(session, new_call(), resource_id=new_id())
            await asyncio.sleep(0.01)  # the twin waits for this commit
            return claim

    claims = await asyncio.gather(*(claim_once() for _ in range(20)))
    assert [claim.is_new for claim in claims].count(True) == 1
    assert len({claim.resource_id for claim in claims}) == 1


async def test_a_twin_whose_first_fails_takes_the_key_itself(
    database: Database, new_call: CallMaker
) -> None:
    claimed = asyncio.Event()

    async def fail() -> None:
        async with database.unit("default") as session:
            await idempotency.claim(session, new_call(), resource_id=new_id())
            claimed.set()
            await asyncio.sleep(0.1)
            raise RuntimeError

    async def follow() -> idempotency.Claim:
        await claimed.wait()
        async with database.unit("default") as session:
            return await idempotency.claim(session, new_call(), resource_id=new_id())

    failed, followed = await asyncio.gather(fail(), follow(), return_exceptions=True)
    assert isinstance(failed, RuntimeError)
    assert isinstance(followed, idempotency.Claim)
    assert followed.is_new


async def test_a_twin_does_not_wait_for_ever(database: Database, new_call: CallMaker) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    hasty = Database(url, schema="probe", application_name="test", lock_timeout_seconds=0.2)
    async with database.unit("default") as session:
        await idempotency.claim(session, new_call(), resource_id=new_id())
        with pytest.raises(IdempotencyKeyInFlight):
            async with hasty.unit("default") as twin:
                await idempotency.claim(twin, new_call(), resource_id=new_id())
    await hasty.close()


async def test_old_keys_are_forgotten_for_all_tenants(
    database: Database, new_call: CallMaker
) -> None:
    for tenant_id in ("default", "other"):
        async with database.unit(tenant_id) as session:
            await idempotency.claim(session, new_call(tenant_id=tenant_id), resource_id=new_id())
            await idempotency.claim(
                session, new_call("k-2", tenant_id=tenant_id), resource_id=new_id()
            )
            await session.execute(
                text(
                    "UPDATE idempotency_key SET create_time = now() - interval '31 days' WHERE key = 'k-1'"
                )
            )
    async with database.unit(ALL_TENANTS) as session:
        forgotten = await idempotency.purge(session, datetime.now(UTC) - timedelta(days=30))
    assert forgotten == 2

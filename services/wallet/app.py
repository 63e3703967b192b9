"""Composition root: every part of the service is made and joined here."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

from redis.asyncio import Redis

from services.kit.channels import Channels
from services.kit.clock import Clock
from services.kit.config import ServiceConfig
from services.kit.database import Database
from services.kit.inbox import Consumer
from services.kit.jobs import Jobs
from services.kit.pages import Pages
from services.kit.server import Service
from services.kit.sessions import Sessions
from services.wallet import consumers, store
from services.wallet.handlers import LedgerService, WalletService
from services.wallet.operations.posting import Ledger
from services.wallet.operations.telling import Telling
from services.wallet.operations.watching import Changes, Watcher

_READERS = 8


async def build(config: ServiceConfig, stack: AsyncExitStack) -> Service:
    """Make the wallet service. What it opens is closed with the stack."""
    database = Database(
        config.database_url, schema="wallet", application_name="wallet", pool_size=_READERS
    )
    stack.push_async_callback(database.close)
    redis: Redis = Redis.from_url(config.redis_url)
    stack.push_async_callback(redis.aclose)
    channels = Channels(config)
    stack.push_async_callback(channels.close)

    clock = Clock()
    ledger = Ledger(database, clock)
    stack.push_async_callback(ledger.close)
    changes = Changes()
    telling = Telling(database, redis)
    consumer = Consumer(
        database,
        redis,
        service="wallet",
        streams=consumers.STREAMS,
        handlers=consumers.handlers(clock),
        payloads=consumers.PAYLOADS,
    )
    jobs = Jobs(config, database)

    @jobs.periodic("release_expired_holds", "* * * * * */10")
    async def release_expired_holds() -> None:
        await ledger.release_due()

    def on_commit(payload: str) -> None:
        changes.notice(payload)
        telling.wake()

    async def listen(stop: asyncio.Event) -> None:
        listening = asyncio.create_task(database.listen(store.CHANNEL, on_commit))
        await stop.wait()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening

    async def ping() -> None:
        await redis.ping()

    service = Service(
        name="wallet",
        servicers={
            "hazina.wallet.v1.WalletService": WalletService(
                database,
                Pages(config.secret),
                Watcher(database, changes, clock),
                Sessions(channels),
                clock,
            ),
            "hazina.wallet.v1.LedgerService": LedgerService(database, ledger),
        },
        background=(listen, telling.run, consumer.run, jobs.run),
        checks={"database": database.check, "redis": ping},
    )

    async def end_streams(stop: asyncio.Event) -> None:
        await service.draining.wait()
        changes.stop()
        await stop.wait()

    service.background = (*service.background, end_streams)
    return service

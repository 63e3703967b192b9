"""Puts the payments service together."""

from contextlib import AsyncExitStack

from redis.asyncio import Redis

from services.kit.channels import Channels
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.jobs import Jobs
from services.kit.pages import Pages
from services.kit.relay import Relay
from services.kit.server import Service
from services.payments import handlers, jobs
from services.payments.clients.addresses import HookAddresses
from services.payments.clients.daraja import Daraja, Settings
from services.payments.clients.directory import DirectoryClient
from services.payments.clients.ledger import LedgerClient
from services.payments.config import PaymentsConfig
from services.payments.operations.desk import Desk, Rails

__all__ = ["build"]

_CONTRACT = "hazina.payments.v1"


async def build(config: PaymentsConfig, stack: AsyncExitStack) -> Service:
    """Make the parts; the stack closes them."""
    kit = config.kit
    clock = Clock()
    database = Database(kit.database_url, schema="payments", application_name="payments")
    stack.push_async_callback(database.close)
    redis: Redis = Redis.from_url(kit.redis_url)
    stack.push_async_callback(redis.aclose)
    channels = Channels(kit)
    stack.push_async_callback(channels.close)
    queue = Jobs(kit, database)
    addresses = HookAddresses(
        config.daraja.callback_url if config.daraja else "",
        hook_secret=config.hook_secret,
        sealing_secret=kit.secret,
    )
    desk = Desk(
        database=database,
        clock=clock,
        jobs=queue,
        ledger=LedgerClient(channels),
        directory=DirectoryClient(channels),
        rails=_rails(config, addresses, clock, stack),
        addresses=addresses,
        home_tenant=config.home_tenant,
        question_scale=config.question_scale,
    )
    jobs.define(queue, desk)
    pages = Pages(kit.secret)
    relay = Relay(database, redis, service="payments")
    return Service(
        name="payments",
        servicers={
            f"{_CONTRACT}.PaymentService": handlers.PaymentHandlers(desk, pages),
            f"{_CONTRACT}.ReviewService": handlers.ReviewHandlers(desk, pages),
            f"{_CONTRACT}.HookService": handlers.HookHandlers(desk),
            f"{_CONTRACT}.GroupPaymentService": handlers.GroupPaymentHandlers(desk),
        },
        background=[relay.run, queue.run],
        checks={"database": database.check},
    )


def _rails(
    config: PaymentsConfig, addresses: HookAddresses, clock: Clock, stack: AsyncExitStack
) -> Rails:
    """Rails for which there are settings."""
    if config.daraja is None:
        return Rails()
    told = config.daraja
    daraja = Daraja(
        Settings(
            url=told.url,
            consumer_key=told.consumer_key,
            consumer_secret=told.consumer_secret,
            shortcode=told.shortcode,
            passkey=told.passkey,
            initiator=told.initiator,
            security_credential=told.security_credential,
        ),
        addresses,
        clock,
    )
    stack.push_async_callback(daraja.close)
    return Rails((daraja,))

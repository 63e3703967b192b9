"""Puts the groups service together."""

from contextlib import AsyncExitStack

from redis.asyncio import Redis

from services.groups import consumers, jobs
from services.groups.clients.directory import DirectoryClient
from services.groups.clients.ledger import LedgerClient
from services.groups.clients.links import InvitationLinks
from services.groups.clients.messages import MessagesClient
from services.groups.clients.payments import PaymentsClient
from services.groups.config import GroupsConfig
from services.groups.handlers.contributions import ContributionHandlers
from services.groups.handlers.groups import GroupHandlers
from services.groups.handlers.withdrawals import WithdrawalHandlers
from services.groups.operations.desk import Desk
from services.kit.channels import Channels
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.inbox import Consumer
from services.kit.jobs import Jobs
from services.kit.pages import Pages
from services.kit.relay import Relay
from services.kit.server import Service

__all__ = ["build"]

_CONTRACT = "hazina.groups.v1"


async def build(config: GroupsConfig, stack: AsyncExitStack) -> Service:
    """Make the parts; the stack closes them."""
    kit = config.kit
    database = Database(kit.database_url, schema="groups", application_name="groups")
    stack.push_async_callback(database.close)
    redis: Redis = Redis.from_url(kit.redis_url)
    stack.push_async_callback(redis.aclose)
    channels = Channels(kit)
    stack.push_async_callback(channels.close)
    queue = Jobs(kit, database)
    desk = Desk(
        database=database,
        clock=Clock(),
        jobs=queue,
        ledger=LedgerClient(channels),
        payments=PaymentsClient(channels),
        directory=DirectoryClient(channels),
        messages=MessagesClient(channels),
        links=InvitationLinks(kit.secret, public_url=config.public_url),
    )
    jobs.define(queue, desk)
    pages = Pages(kit.secret)
    relay = Relay(database, redis, service="groups")
    consumer = Consumer(
        database,
        redis,
        service="groups",
        streams=consumers.STREAMS,
        handlers=consumers.handlers(desk),
        payloads=consumers.PAYLOADS,
    )
    return Service(
        name="groups",
        servicers={
            f"{_CONTRACT}.GroupService": GroupHandlers(desk, pages),
            f"{_CONTRACT}.ContributionService": ContributionHandlers(desk, pages),
            f"{_CONTRACT}.WithdrawalService": WithdrawalHandlers(desk, pages),
        },
        background=[relay.run, consumer.run, queue.run],
        checks={"database": database.check},
    )

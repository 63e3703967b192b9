"""Composition root of the comms service."""

from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType

import httpx
from redis.asyncio import Redis

from hazina.comms.v1 import (
    development_service_pb2,
    message_service_pb2,
    notification_service_pb2,
)
from services.comms import consumers
from services.comms.clients.africastalking import AfricasTalking
from services.comms.clients.mail import MailClient
from services.comms.clients.viewers import Viewers
from services.comms.config import Config
from services.comms.domain import LOCALES, Catalog, Channel
from services.comms.handlers import DevelopmentHandlers, MessageHandlers, NotificationHandlers
from services.comms.operations import Post
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.inbox import Consumer
from services.kit.jobs import Jobs
from services.kit.pages import Pages
from services.kit.server import Service

__all__ = ["build", "catalog"]

_TEMPLATES = Path(__file__).parent / "templates"

# A contact may come a while after the payment that it is told of: about five minutes of tries.
_EVENT_ATTEMPTS_MAX = 12


def catalog() -> Catalog:
    """The words of every template, from `templates/`."""
    return Catalog(
        {locale: (_TEMPLATES / f"{locale}.toml").read_text("utf-8") for locale in LOCALES}
    )


async def build(config: Config, stack: AsyncExitStack) -> Service:
    """Make the parts of the service."""
    database = Database(config.kit.database_url, schema="comms", application_name="comms")
    stack.push_async_callback(database.close)
    redis = Redis.from_url(config.kit.redis_url)
    stack.push_async_callback(redis.aclose)
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    mail = MailClient(config.smtp_url, sender=config.mail_sender)
    stack.push_async_callback(mail.close)
    sms = AfricasTalking(
        http,
        config.africastalking_url,
        username=config.africastalking_username,
        api_key=config.africastalking_api_key,
        sender=config.africastalking_sender,
    )
    jobs = Jobs(config.kit, database)
    post = Post(
        database=database,
        catalog=catalog(),
        senders={Channel.EMAIL: mail, Channel.SMS: sms},
        jobs=jobs,
        clock=Clock(),
        secret=config.kit.secret,
    )
    consumers.define_jobs(jobs, post)
    consumer = Consumer(
        database,
        redis,
        service="comms",
        streams=consumers.STREAMS,
        handlers=consumers.handlers(post),
        payloads=consumers.PAYLOADS,
        attempts_max=_EVENT_ATTEMPTS_MAX,
    )
    servicers: dict[str, object] = {
        _full_name(message_service_pb2, "MessageService"): MessageHandlers(post),
        _full_name(notification_service_pb2, "NotificationService"): NotificationHandlers(),
    }
    if config.kit.is_development:
        viewers = Viewers(http, mail_url=config.mail_viewer_url, sms_url=config.sms_viewer_url)
        servicers[_full_name(development_service_pb2, "DevelopmentService")] = DevelopmentHandlers(
            viewers, Pages(config.kit.secret)
        )
    return Service(
        name="comms",
        servicers=servicers,
        background=(consumer.run, jobs.run),
        checks={"database": database.check},
    )


def _full_name(contract: ModuleType, service: str) -> str:
    """The full name of a service; naming it also makes its contract known to this process."""
    return str(contract.DESCRIPTOR.services_by_name[service].full_name)

"""Puts the auth service together."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from uuid import UUID

from redis.asyncio import Redis

from services.auth import convert
from services.auth.clients import Comms, Health
from services.auth.config import Config
from services.auth.derivation import Derivation
from services.auth.events import News
from services.auth.handlers.auth import AuthHandlers
from services.auth.handlers.authorization import AuthorizationHandler
from services.auth.handlers.directory import DirectoryHandlers, SessionHandlers
from services.auth.handlers.platform import PlatformHandlers
from services.auth.handlers.tenant import TenantHandlers
from services.auth.handlers.user import UserHandlers
from services.auth.hashing import Hasher
from services.auth.operations import accounts, directory, messages
from services.auth.operations.desk import Desk
from services.auth.operations.readiness import Probe
from services.auth.signing import SigningKeys
from services.kit.channels import Channels
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.jobs import Jobs, RetryPolicy
from services.kit.pages import Pages
from services.kit.relay import Relay
from services.kit.server import Service

SERVICES = ("auth", "wallet", "payments", "groups", "comms")
# A code is worth sending for its 10 minutes; a warning may come late.
_CODE_RETRY = RetryPolicy(pauses_seconds=(1, 2, 5, 10, 20, 40, 60, 120, 120, 120))
_COMMON_PASSWORDS = Path(__file__).parent / "common_passwords.txt"


async def build(config: Config, stack: AsyncExitStack) -> Service:
    """Every part of the service; what must be closed is entered into the stack."""
    kit = config.kit
    database = Database(kit.database_url, schema="auth", application_name="auth")
    stack.push_async_callback(database.close)
    redis: Redis = Redis.from_url(kit.redis_url)
    stack.push_async_callback(redis.aclose)
    channels = Channels(kit)
    stack.push_async_callback(channels.close)
    hasher = Hasher()
    stack.push_async_callback(hasher.close)
    await hasher.start()
    jobs = Jobs(kit, database)
    desk = Desk(
        database=database,
        clock=Clock(),
        hasher=hasher,
        signer=SigningKeys(config.signing_key_directory),
        later=jobs,
        news=News(),
        derivation=Derivation(kit.secret),
        limits=config.limits,
        common_passwords=frozenset(_COMMON_PASSWORDS.read_text(encoding="utf-8").split()),
    )
    _define_jobs(jobs, desk, Comms(channels))
    await directory.prepare_tenants(desk, convert.role_bundles())
    pages = Pages(kit.secret)
    return Service(
        name="auth",
        servicers={
            "hazina.auth.v1.AuthService": AuthHandlers(desk),
            "hazina.auth.v1.UserService": UserHandlers(desk, pages),
            "hazina.auth.v1.SessionService": SessionHandlers(desk),
            "hazina.auth.v1.DirectoryService": DirectoryHandlers(desk),
            "hazina.auth.v1.TenantService": TenantHandlers(desk, pages),
            "hazina.auth.v1.PlatformService": PlatformHandlers(_probes(database, redis, channels)),
        },
        background=[Relay(database, redis, service="auth").run, jobs.run],
        checks={"database": database.check},
        foreign=[AuthorizationHandler(desk)],
    )


def _define_jobs(jobs: Jobs, desk: Desk, comms: Comms) -> None:
    @jobs.task(accounts.SEND_CODE_JOB, retry=_CODE_RETRY)
    async def send_code(verification_id: str) -> None:
        await messages.send_code(desk, comms, UUID(verification_id))

    @jobs.task(accounts.SEND_NOTICE_JOB)
    async def send_identifier_taken(message_id: str, user_id: str) -> None:
        await messages.send_identifier_taken(desk, comms, UUID(message_id), UUID(user_id))

    @jobs.periodic("purge", "17 * * * *")
    async def purge() -> None:
        await messages.purge(desk)


def _probes(database: Database, redis: Redis, channels: Channels) -> dict[str, Probe]:
    health = Health(channels)

    async def postgres() -> bool:
        await database.check()
        return True

    async def ping() -> bool:
        return bool(await redis.ping())

    probes: dict[str, Probe] = {name: partial(health.serves, name) for name in SERVICES}
    return {**probes, "postgres": postgres, "redis": ping}

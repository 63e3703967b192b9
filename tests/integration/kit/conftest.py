"""A service that exists only here, with its database and its parts."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from services.kit.clock import Clock
from services.kit.config import ServiceConfig
from services.kit.database import Database
from services.kit.identity import Call
from tests.harness import Harness

MIGRATIONS = Path(__file__).parent / "probe_migrations"


@pytest.fixture
async def config(harness: Harness) -> ServiceConfig:
    """What the service `probe` is told."""
    return await harness.config("probe", migrations_folder=MIGRATIONS)


@pytest.fixture
async def database(config: ServiceConfig) -> AsyncIterator[Database]:
    """Its database, as its restricted role sees it."""
    database = Database(config.database_url, schema="probe", application_name="test")
    yield database
    await database.close()


@pytest.fixture
def new_call() -> "CallMaker":
    """Makes calls without a network."""
    return CallMaker()


class CallMaker:
    """Calls of one RPC by one service, with the given key and content."""

    def __call__(
        self, key: str = "k-1", content: bytes = b"a", *, tenant_id: str = "default"
    ) -> Call:
        return Call(
            method="/probe/Pay",
            request_id="r-1",
            caller="payments",
            user=None,
            tenant_id=tenant_id,
            address="",
            user_agent="",
            idempotency_key=key,
            fingerprint=content,
            deadline=None,
        )


def new_id() -> UUID:
    """A fresh id."""
    return Clock().new_id()

"""The wallet service, its ledger and its database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.kit.clock import Clock
from services.kit.database import Database
from services.wallet.operations.posting import Ledger
from tests.factories.wallet import Bank, wallet_service
from tests.harness import Harness, Running


@pytest.fixture
async def running(harness: Harness) -> AsyncIterator[Running]:
    """A running wallet service without relay, consumers and jobs."""
    async with harness.peers({}), wallet_service(harness, background=False) as running:
        yield running


@pytest.fixture
def bank(running: Running) -> Bank:
    """The ledger as other services use it."""
    return Bank(running)


@pytest.fixture
async def database(harness: Harness) -> AsyncIterator[Database]:
    """A pool of the service's own role."""
    place = await harness.database("wallet")
    database = Database(place.url, schema="wallet", application_name="test")
    yield database
    await database.close()


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    """A writer, as each process has one."""
    ledger = Ledger(database, Clock())
    yield ledger
    await ledger.close()


@pytest.fixture
async def role(harness: Harness) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Raw SQL under the service's own role."""
    connection = await asyncpg.connect((await harness.database("wallet")).url)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(harness: Harness) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Raw SQL under the role that owns the tables."""
    connection = await asyncpg.connect((await harness.database("wallet")).owner_url)
    yield connection
    await connection.close()

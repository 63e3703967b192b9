"""The wallet service of a contract test."""

from collections.abc import AsyncIterator

import pytest

from tests.factories.wallet import Bank, wallet_service
from tests.harness import Harness, Running


@pytest.fixture
async def wallet(harness: Harness) -> AsyncIterator[Running]:
    """A running wallet service without relay, consumers and jobs."""
    async with harness.peers({}), wallet_service(harness, background=False) as running:
        yield running


@pytest.fixture
def bank(wallet: Running) -> Bank:
    """The ledger as other services use it, in the tenant `default`."""
    return Bank(wallet)

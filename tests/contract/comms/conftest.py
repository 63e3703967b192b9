"""Where messages arrive in these tests."""

from collections.abc import AsyncIterator

import pytest

from tests.factories import comms


@pytest.fixture
async def receivers() -> AsyncIterator[comms.Receivers]:
    """A mail server and an SMS simulator."""
    async with comms.receivers() as parts:
        yield parts

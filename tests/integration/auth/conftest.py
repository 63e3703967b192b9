"""A running auth service for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.factories.auth import Auth, running_auth
from tests.harness import Harness


@pytest.fixture
async def auth(harness: Harness, tmp_path: Path) -> AsyncIterator[Auth]:
    """Auth with limits a hundred times as wide as in production."""
    async with running_auth(harness, tmp_path) as auth:
        yield auth


@pytest.fixture
async def strict_auth(harness: Harness, tmp_path: Path) -> AsyncIterator[Auth]:
    """Auth with the limits of production."""
    async with running_auth(harness, tmp_path, HAZINA_RATE_SCALE="1") as auth:
        yield auth

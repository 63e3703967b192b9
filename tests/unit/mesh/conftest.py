"""The invented contract, read once."""

from __future__ import annotations

import pytest

from mesh.contract.model import Contract
from tests.unit.mesh.shop import read_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """The invented contract as it should be."""
    return read_shop(tmp_path_factory.mktemp("shop"))

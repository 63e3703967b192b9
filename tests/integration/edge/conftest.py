"""One Envoy for each module; a module that needs another one makes its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.edge.harness import Edge, running


@pytest.fixture(scope="module")
def edge(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Edge]:
    """A running edge. A module's `EDGE_CHANGES` change its settings."""
    changes: dict[str, Any] = getattr(request.module, "EDGE_CHANGES", {})
    yield from running(tmp_path_factory.mktemp("edge"), **changes)


@pytest.fixture(autouse=True)
def nothing_is_remembered(edge: Edge) -> None:
    """Each test begins without calls and without chosen answers."""
    edge.services.calls.clear()
    edge.services.answers.clear()
    edge.services.cancelled.clear()

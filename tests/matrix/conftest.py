"""The matrix uses the mesh that the stories use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import mesh
from tests.e2e.mesh import Mesh
from tests.e2e.people import People
from tests.matrix.callers import Doors

__all__ = ["mesh"]

MATRIX = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies here needs a mesh, and time for one to start."""
    for item in items:
        if MATRIX in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="module")
def doors(mesh: Mesh) -> Iterator[Doors]:
    """Every door of the shared mesh."""
    people = People(mesh)
    opened = Doors(mesh, people)
    yield opened
    opened.close()
    people.close()

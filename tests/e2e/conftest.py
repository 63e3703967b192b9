"""One mesh for every story; stories that break it have another one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

E2E = Path(__file__).parent

# Before they are imported: what they assert is told as fully as what a test asserts.
pytest.register_assert_rewrite(
    *(f"tests.e2e.{path.stem}" for path in E2E.glob("*.py") if not path.stem.startswith("test_"))
)

from tests.e2e.mesh import Mesh, new_mesh, shared_mesh  # noqa: E402
from tests.e2e.people import People, Person, any_phone  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies here needs a mesh, and time for one to start."""
    for item in items:
        if E2E in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A running mesh that all stories share; leave it as healthy as you found it."""
    base = tmp_path_factory.getbasetemp()
    # Workers of one run have folders side by side; a single process has one of its own.
    folder = base.parent if base.name.startswith("popen-") else base
    with shared_mesh(folder) as running:
        yield running


@pytest.fixture(scope="module")
def fragile_mesh() -> Iterator[Mesh]:
    """A running mesh of this module alone, to be broken. A silent provider is asked within moments."""
    broken = new_mesh(HAZINA_PAYMENTS_QUERY_SCALE="0.0005")  # 24 hours in 43 seconds
    broken.start()
    try:
        yield broken
    finally:
        broken.stop()


@pytest.fixture(scope="module")
def people(mesh: Mesh) -> Iterator[People]:
    """Signs people up on the shared mesh."""
    crowd = People(mesh)
    yield crowd
    crowd.close()


@pytest.fixture(scope="module")
def asha(people: People) -> Person:
    """Signed up by email, with KES 5,000.00."""
    return people.sign_up("Asha Mwangi", money="5000")


@pytest.fixture(scope="module")
def brian(people: People) -> Person:
    """Signed up by phone."""
    return people.sign_up("Brian Otieno", any_phone())

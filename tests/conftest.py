"""Real parts for every test that asks for them: one Postgres, one Valkey and one certificate authority per process.

Nothing is started for tests that do not ask. Under pytest-xdist each worker has its own.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mesh.stack.certificates import Certificates
from mesh.stack.postgres import EmbeddedPostgres
from mesh.stack.valkey import EmbeddedValkey
from tests.harness import Harness, free_port
from tests.harness.databases import Databases


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A Postgres server of this process. It forgets nothing on commit but would on a power cut: tests need no fsync."""
    settings = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    folder = tmp_path_factory.mktemp("postgres") / "server"
    server = EmbeddedPostgres(folder, free_port(), "secret", settings)
    server.start()
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A Valkey server of this process. The harness empties it before each test."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey") / "server", free_port(), "secret")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of every identity, from one authority."""
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    certificates.prepare()
    return certificates


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Databases:
    """Makes migrated databases, each a copy of a template that is migrated once."""
    return Databases(postgres.admin_url)


@pytest.fixture
async def harness(
    databases: Databases, valkey: EmbeddedValkey, certificates: Certificates, tmp_path: Path
) -> AsyncIterator[Harness]:
    """What a contract test needs; see `tests.harness`."""
    async with Harness(databases, valkey, certificates, tmp_path) as harness:
        yield harness

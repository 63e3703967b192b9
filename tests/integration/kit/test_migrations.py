"""Migrations against an empty database."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import MetaData

from services.kit import audit, idempotency, inbox, migrations, outbox
from tests.harness.databases import Databases, Place
from tests.integration.kit.conftest import MIGRATIONS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def place(databases: Databases) -> AsyncIterator[Place]:
    place = await databases.make_empty("probe")
    yield place
    await databases.drop(place)


async def upgrade(place: Place, folder: Path = MIGRATIONS) -> None:
    await asyncio.to_thread(migrations.upgrade, "probe", place.owner_url, folder=folder)


async def fetch(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


async def test_an_empty_database_comes_to_the_head_and_stays_there(place: Place) -> None:
    for _ in range(2):
        await upgrade(place)
    rows = await fetch(place.admin_url, "SELECT version_num FROM probe.schema_version")
    assert [row["version_num"] for row in rows] == ["0001"]


async def test_two_that_migrate_at_once_do_not_meet(place: Place) -> None:
    await asyncio.gather(upgrade(place), upgrade(place), upgrade(place))


async def test_everything_belongs_to_the_owner_and_the_service_may_use_it(place: Place) -> None:
    await upgrade(place)
    owners = await fetch(
        place.admin_url,
        "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('probe', 'probe_jobs')",
    )
    assert [row["tableowner"] for row in owners] == ["hazina_probe_owner"]
    await fetch(place.url, "SELECT * FROM probe.outbox")
    await fetch(place.url, "SELECT * FROM probe_jobs.procrastinate_jobs")


async def test_every_table_of_a_tenant_is_behind_its_wall(place: Place) -> None:
    await upgrade(place)
    bare = await fetch(
        place.admin_url,
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'probe'::regnamespace AND a.attname = 'tenant_id' AND c.relkind = 'r'"
        " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    )
    assert bare == []


async def test_the_tables_are_those_that_the_code_describes(place: Place) -> None:
    await upgrade(place)
    rows = await fetch(
        place.admin_url,
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'probe'",
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["table_name"], set()).add(row["column_name"])
    for define in (outbox.table, inbox.table, idempotency.table, audit.table):
        table = define(MetaData())
        assert found[table.name] == {column.name for column in table.columns}


async def test_a_script_that_fails_leaves_nothing(place: Place, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "versions" / "0002_pre_break.py").write_text(
        '"""Breaks."""\n'
        "from alembic import op\n"
        'revision, down_revision = "0002", "0001"\n'
        "def upgrade():\n"
        '    op.execute("CREATE TABLE half (id int)")\n'
        '    op.execute("SELECT nonsense")\n'
    )
    with pytest.raises(Exception, match="nonsense"):
        await upgrade(place, folder)
    assert await fetch(place.admin_url, "SELECT 1 FROM pg_tables WHERE schemaname = 'probe'") == []


async def test_a_script_does_not_queue_behind_a_lock_for_long(place: Place, tmp_path: Path) -> None:
    await upgrade(place)
    folder = copied(tmp_path)
    (folder / "versions" / "0002_pre_alter.py").write_text(
        '"""Needs the whole table."""\n'
        "from alembic import op\n"
        'revision, down_revision = "0002", "0001"\n'
        "def upgrade():\n"
        '    op.execute("ALTER TABLE note ADD COLUMN more text")\n'
    )
    holder = await asyncpg.connect(place.owner_url)
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE probe.note IN ACCESS SHARE MODE")
            with pytest.raises(Exception, match="lock timeout"):
                await upgrade(place, folder)
    finally:
        await holder.close()


async def test_it_runs_from_the_command_line(place: Place) -> None:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen/python'}"}
    command = [sys.executable, "-m", "services.kit.migrations"]
    usage = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert usage.returncode != 0 and "usage:" in usage.stderr


@pytest.mark.parametrize("name", ["pro-be", "probe; DROP TABLE x", "", "Probe"])
def test_odd_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="plain lower-case name"):
        migrations.upgrade(name, "postgresql://x:y@127.0.0.1:9/none")


def copied(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may add to."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for file in MIGRATIONS.rglob("*.py"):
        (folder / file.relative_to(MIGRATIONS)).write_text(file.read_text())
    return folder

"""Brings a service's schema up to date: Alembic for its own tables, then procrastinate's in `<service>_jobs`.

Run as the owner role: `python -m services.kit.migrations <service> <owner_url>`. A service's `migrations/env.py` is

    from services.kit import migrations

    migrations.run_environment()

and its scripts are `migrations/versions/NNNN_pre_<what>.py` (run under the old code) or `NNNN_post_<what>.py` (run when
the new code is everywhere). Every script works under a lock timeout of 4 s and a statement timeout of 5 s.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from alembic import command, context, op
from alembic.config import Config
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, MetaData, Table, create_engine, text
from sqlalchemy.engine import make_url

from services.kit.database import ALL_TENANTS

__all__ = ["create", "protect", "run_environment", "upgrade"]

LOCK_TIMEOUT_SECONDS = 4
STATEMENT_TIMEOUT_SECONDS = 5

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def upgrade(
    service: str, owner_url: str, *, folder: Path | None = None, revision: str = "head"
) -> None:
    """Migrate a service's schemas to a revision. Does nothing to what is there already.

    `folder` is the service's `migrations/`, by default beside its code.
    """
    _checked(service)
    url = make_url(owner_url).set(drivername="postgresql+psycopg")
    folder = folder or Path(__file__).resolve().parents[1] / service / "migrations"
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"),
                {"name": f"{service}.migrate"},
            )
            _set_timeouts(connection)
            connection.execute(text(f"SET LOCAL search_path = {service}, {service}_jobs"))
            config = Config()
            config.set_main_option("script_location", str(folder).replace("%", "%%"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            config.attributes["service"] = service
            command.upgrade(config, revision)
            _add_jobs(connection, service)
    finally:
        engine.dispose()


def run_environment() -> None:
    """The whole body of a service's `migrations/env.py`."""
    connection: Connection = context.config.attributes["connection"]
    service: str = context.config.attributes["service"]
    context.configure(
        connection=connection, version_table="schema_version", version_table_schema=service
    )
    with context.begin_transaction():
        context.run_migrations()


def protect(table: str, *, across_tenants: bool = False) -> None:
    """In a migration: let sessions see only the rows of their tenant (column `tenant_id`), the table's owner included.

    `across_tenants` also lets a unit of ALL_TENANTS see them all: for sweeps by jobs, never for what a caller asks.
    """
    _checked(table)
    rule = "tenant_id = current_setting('hazina.tenant_id', true)"
    if across_tenants:
        rule = f"({rule} OR current_setting('hazina.tenant_id', true) = '{ALL_TENANTS}')"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} USING ({rule}) WITH CHECK ({rule})")


def create(*tables: Callable[[MetaData], Table]) -> None:
    """In a migration: make tables of the kit, such as `create(outbox.table, inbox.table)`, and protect them."""
    for define in tables:
        table = define(MetaData())
        table.create(op.get_bind())
        protect(table.name, across_tenants=bool(table.info.get("across_tenants")))


def _set_timeouts(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
    connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_SECONDS}s'"))


def _add_jobs(connection: Connection, service: str) -> None:
    there = connection.scalar(
        text("SELECT to_regclass(:name)"), {"name": f"{service}_jobs.procrastinate_jobs"}
    )
    if there is not None:
        return
    connection.execute(text(f"SET LOCAL search_path = {service}_jobs"))
    connection.exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
    connection.execute(text(f"SET LOCAL search_path = {service}, {service}_jobs"))


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a plain lower-case name")
    return name


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m services.kit.migrations <service> <owner_url>")
    upgrade(sys.argv[1], sys.argv[2])

"""From nothing to the tables of today."""

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from services.auth.tables import metadata
from services.kit import migrations
from tests.harness.databases import Databases


def differences(connection: Connection) -> list[Any]:
    """What the migrations and `tables.py` disagree on."""
    connection.execute(text("SET search_path = auth"))
    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_name": lambda name, kind, _: name != "schema_version",
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_migrations_end_in_the_tables_of_the_code(databases: Databases) -> None:
    place = await databases.make_empty("auth")
    try:
        await asyncio.to_thread(migrations.upgrade, "auth", place.owner_url)
        await asyncio.to_thread(migrations.upgrade, "auth", place.owner_url)  # changes nothing
        engine = create_engine(make_url(place.owner_url).set(drivername="postgresql+psycopg"))
        with engine.connect() as connection:
            assert differences(connection) == []
            comments = connection.execute(
                text(
                    "SELECT count(*) FROM pg_description d JOIN pg_class c ON c.oid = d.objoid"
                    " WHERE c.relnamespace = 'auth'::regnamespace AND d.objsubid = 0"
                )
            ).scalar_one()
            assert comments >= len(metadata.tables)
        engine.dispose()
    finally:
        await databases.drop(place)

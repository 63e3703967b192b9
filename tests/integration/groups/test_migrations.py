"""The groups schema is the one that the code knows, and closed to other services."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from services.groups.tables import metadata
from tests.harness import Harness


async def test_migrations_make_the_tables_that_the_code_knows(harness: Harness) -> None:
    place = await harness.database("groups")
    engine = create_engine(make_url(place.owner_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        connection.execute(text("SET search_path = groups"))
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "schema_version"}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


async def test_the_service_cannot_change_its_schema(harness: Harness) -> None:
    place = await harness.database("groups")
    engine = create_engine(make_url(place.url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text("CREATE TABLE groups.stranger (id int)"))
    engine.dispose()

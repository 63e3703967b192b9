"""The migrations lead from an empty database to exactly `tables.py`."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from services.payments.tables import metadata
from tests.harness import Harness


async def test_head_equals_the_tables(harness: Harness) -> None:
    place = await harness.database("payments")
    engine = create_engine(make_url(place.owner_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        connection.execute(text("SET search_path = payments"))
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "schema_version"}
        )
        differences = [
            one for one in compare_metadata(context, metadata) if "comment" not in str(one)
        ]
    engine.dispose()
    assert differences == []

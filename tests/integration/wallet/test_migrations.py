"""The migrations make exactly what tables.py says."""

import asyncio

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.engine import make_url

from services.kit import migrations
from services.wallet.tables import metadata
from tests.harness.databases import Databases


def _described(connection: Connection) -> dict[str, object]:
    found = inspect(connection)
    described: dict[str, object] = {}
    for table in metadata.tables.values():
        name = table.name
        described[name] = (
            [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(
                (str(c["name"]), tuple(c["column_names"]))
                for c in found.get_unique_constraints(name)
            ),
            sorted(
                (str(i["name"]), tuple(str(c) for c in i["column_names"]))
                for i in found.get_indexes(name)
            ),
            sorted(str(c["name"]) for c in found.get_check_constraints(name)),
            sorted(
                (str(f["name"]), tuple(f["constrained_columns"]), f["referred_table"])
                for f in found.get_foreign_keys(name)
            ),
        )
    return described


async def test_an_empty_database_at_head_equals_the_tables(databases: Databases) -> None:
    migrated = await databases.make_empty("wallet")
    declared = await databases.make_empty("wallet")
    try:
        await asyncio.to_thread(migrations.upgrade, "wallet", migrated.owner_url)
        descriptions = []
        for place in (migrated, declared):
            engine = create_engine(make_url(place.owner_url).set(drivername="postgresql+psycopg"))
            with engine.begin() as connection:
                if place is declared:
                    metadata.create_all(connection)
                descriptions.append(_described(connection))
            engine.dispose()
        assert descriptions[0] == descriptions[1]
    finally:
        await databases.drop(migrated)
        await databases.drop(declared)


async def test_migrating_again_does_nothing(databases: Databases) -> None:
    place = await databases.make("wallet")
    try:
        await asyncio.to_thread(migrations.upgrade, "wallet", place.owner_url)
    finally:
        await databases.drop(place)

"""Databases for tests: migrated once per service into a template, copied, and emptied between tests.

Emptying is ten times cheaper than copying. A database is back as its migrations left it: every table is truncated and
the rows that migrations wrote are put back. One that cannot be emptied, or that a test changed in its structure, is
dropped.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from mesh.stack import database as stack_database
from services.kit import migrations

PASSWORD = "test"


# What the migrations wrote, kept in a schema that the service does not see.
_KEEP = """
DO $$
DECLARE one record; has_rows boolean;
BEGIN
  CREATE SCHEMA kept;
  CREATE TABLE kept.tables AS SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'p' AS is_partitioned
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema|kept|public)';
  ALTER TABLE kept.tables ADD has_rows boolean NOT NULL DEFAULT false;
  FOR one IN SELECT * FROM kept.tables LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %I.%I)', one.schema, one.name) INTO has_rows;
    IF has_rows THEN
      EXECUTE format('CREATE TABLE kept.%I AS SELECT * FROM ONLY %I.%I', one.schema || '.' || one.name, one.schema, one.name);
      UPDATE kept.tables t SET has_rows = true WHERE t.schema = one.schema AND t.name = one.name;
    END IF;
  END LOOP;
END $$
"""

_EMPTY = """
SET lock_timeout = '1s';
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid();
SET session_replication_role = replica;
DO $$
DECLARE one record; tables text;
BEGIN
  IF EXISTS (
    (SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema|kept|public)'
      EXCEPT SELECT schema, name FROM kept.tables)
    UNION ALL
    (SELECT schema, name FROM kept.tables
      EXCEPT SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace)
  ) THEN RAISE EXCEPTION 'a test changed the tables'; END IF;
  SELECT string_agg(format('%I.%I', schema, name), ', ') INTO tables FROM kept.tables;
  EXECUTE 'TRUNCATE ' || tables || ' RESTART IDENTITY CASCADE';
  FOR one IN SELECT * FROM kept.tables WHERE has_rows LOOP
    EXECUTE format('INSERT INTO %I.%I OVERRIDING SYSTEM VALUE SELECT * FROM kept.%I',
      one.schema, one.name, one.schema || '.' || one.name);
  END LOOP;
END $$
"""


@dataclass(frozen=True)
class Place:
    """One database. `url` is for the service's restricted role, `owner_url` for the one that migrates."""

    name: str
    url: str
    owner_url: str
    admin_url: str


class Databases:
    """Makes, empties and drops databases on one server."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._templates: dict[tuple[str, Path | None], str] = {}
        self._free: dict[tuple[str, Path | None], list[Place]] = {}
        self._used: dict[str, tuple[str, Path | None]] = {}

    async def make(self, service: str, *, migrations_folder: Path | None = None) -> Place:
        """A database with the service's schema at head and nothing else in it. Give it back with `release`."""
        kind = (service, migrations_folder)
        free = self._free.setdefault(kind, [])
        if free:
            return free.pop()
        template = await self._template(service, migrations_folder)
        name = f"{service}_{secrets.token_hex(6)}"
        await self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await self._bootstrap(service, name)  # rights on the database itself are not copied
        self._used[name] = kind
        return self._place(service, name)

    async def release(self, place: Place) -> None:
        """Take it back for the next test."""
        kind = self._used[place.name]
        connection = await asyncpg.connect(place.admin_url)
        try:
            await connection.execute(_EMPTY)
        except asyncpg.PostgresError:
            await self.drop(place)
        else:
            self._free[kind].append(place)
        finally:
            await connection.close()

    async def make_empty(self, service: str) -> Place:
        """A fresh database with roles and schemas and nothing in them: for tests of migrations."""
        name = f"{service}_{secrets.token_hex(6)}"
        await self._bootstrap(service, name)
        return self._place(service, name)

    async def drop(self, place: Place) -> None:
        """Drop it, whoever is still connected."""
        await self._admin(f'DROP DATABASE IF EXISTS "{place.name}" WITH (FORCE)')

    async def _template(self, service: str, folder: Path | None) -> str:
        known = self._templates.get((service, folder))
        if known is not None:
            return known
        name = f"template_{service}_{secrets.token_hex(4)}"
        await self._bootstrap(service, name)
        owner_url = self._place(service, name).owner_url
        await asyncio.to_thread(migrations.upgrade, service, owner_url, folder=folder)
        connection = await asyncpg.connect(self._place(service, name).admin_url)
        await connection.execute(_KEEP)
        await connection.close()
        self._templates[service, folder] = name
        return name

    async def _bootstrap(self, service: str, name: str) -> None:
        await stack_database.bootstrap(
            self._admin_url, [service], dict.fromkeys(self._roles(service), PASSWORD), database=name
        )

    def _place(self, service: str, name: str) -> Place:
        owner, login = self._roles(service)
        return Place(
            name=name,
            url=stack_database.role_url(self._admin_url, login, PASSWORD, database=name),
            owner_url=stack_database.role_url(self._admin_url, owner, PASSWORD, database=name),
            admin_url=self._admin_url.rpartition("/")[0] + f"/{name}",
        )

    @staticmethod
    def _roles(service: str) -> Sequence[str]:
        return stack_database.owner_role(service), stack_database.login_role(service)

    async def _admin(self, statement: str) -> None:
        admin = await asyncpg.connect(self._admin_url)
        try:
            await admin.execute(statement)
        finally:
            await admin.close()

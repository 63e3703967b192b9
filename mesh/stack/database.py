"""One database, a schema and two roles per service: who may see and do what is decided here.

For a service `wallet`: schemas `wallet` and `wallet_jobs`, role `hazina_wallet_owner` that owns them and runs
migrations, role `hazina_wallet` that serves requests: it reads and writes rows there, makes nothing, sees no other
schema, and cannot bypass row-level security.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import asyncpg

DATABASE = "hazina"
# Serializes bootstraps of one server (roles are shared by all of its databases). Any constant will do.
_ADVISORY_LOCK = 4_851_204_177


def login_role(service: str) -> str:
    """The role that serves requests."""
    return f"hazina_{service}"


def owner_role(service: str) -> str:
    """The role that owns the schemas and runs migrations."""
    return f"hazina_{service}_owner"


def role_url(admin_url: str, role: str, password: str, *, database: str = DATABASE) -> str:
    """`admin_url` with another role and database; query parameters (sslmode …) are kept."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(
        (
            parts.scheme,
            f"{quote(role, safe='')}:{quote(password, safe='')}@{host}",
            f"/{database}",
            parts.query,
            "",
        )
    )


async def bootstrap(
    admin_url: str,
    services: Sequence[str],
    passwords: Mapping[str, str],
    *,
    database: str = DATABASE,
) -> None:
    """Make the database, schemas, roles and rights; does nothing to what is already right.

    `passwords` maps role names (`hazina_wallet`, `hazina_wallet_owner`) to passwords, which are set each time.
    `admin_url` may belong to any role that can make databases and roles, so managed servers work.
    """
    import asyncpg  # 15 MB that the supervisor, who only builds URLs here, does not need

    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await admin.execute(f'CREATE DATABASE "{database}"')
        for service in services:
            for role in (owner_role(service), login_role(service)):
                await _make_role(admin, role, passwords[role])
        inside = await asyncpg.connect(_with_database(admin_url, database))
        try:
            async with inside.transaction():
                await _secure_database(inside, database)
                for service in services:
                    await _make_schemas(inside, service, database)
        finally:
            await inside.close()
    finally:
        await admin.close()


async def _make_role(admin: asyncpg.Connection[asyncpg.Record], role: str, password: str) -> None:
    exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    await admin.execute(
        f'{verb} ROLE "{role}" LOGIN NOCREATEDB NOCREATEROLE NOINHERIT PASSWORD {_literal(password)}'
    )


async def _secure_database(inside: asyncpg.Connection[asyncpg.Record], database: str) -> None:
    await inside.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    await inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")


async def _make_schemas(
    inside: asyncpg.Connection[asyncpg.Record], service: str, database: str
) -> None:
    owner, login = owner_role(service), login_role(service)
    await inside.execute(f'GRANT CONNECT ON DATABASE "{database}" TO "{owner}", "{login}"')
    if not await inside.fetchval("SELECT pg_has_role(current_user, $1, 'MEMBER')", owner):
        await inside.execute(f'GRANT "{owner}" TO CURRENT_USER')
    for schema in (service, f"{service}_jobs"):
        await inside.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}" AUTHORIZATION "{owner}"')
        await inside.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO "{login}"')
        future = f'ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA "{schema}" GRANT'
        await inside.execute(f'{future} SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{login}"')
        await inside.execute(f'{future} USAGE, SELECT ON SEQUENCES TO "{login}"')
        await inside.execute(f'{future} EXECUTE ON FUNCTIONS TO "{login}"')
        await inside.execute(f'{future} USAGE ON TYPES TO "{login}"')
    path = f'"{service}", "{service}_jobs"'
    for role in (owner, login):
        await inside.execute(
            f'ALTER ROLE "{role}" IN DATABASE "{database}" SET search_path = {path}'
        )


def _with_database(url: str, database: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, f"/{database}", parts.query, ""))


def _literal(text: str) -> str:
    """A string literal for statements that take no parameters."""
    assert "\0" not in text and "\\" not in text, "passwords are made of plain characters"
    return "'" + text.replace("'", "''") + "'"

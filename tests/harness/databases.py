"""Databases for tests: migrated once per service into a template, then copied."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from mesh.stack import database as stack_database
from services.kit import migrations

PASSWORD = "test"


@dataclass(frozen=True)
class Place:
    """One database. `url` is for the service's restricted role, `owner_url` for the one that migrates."""

    name: str
    url: str
    owner_url: str
    admin_url: str


class Databases:
    """Makes and drops databases on one server."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._templates: dict[tuple[str, Path | None], str] = {}
        self._lock = asyncio.Lock()

    async def make(self, service: str, *, migrations_folder: Path | None = None) -> Place:
        """A fresh database with the service's schema at head."""
        template = await self._template(service, migrations_folder)
        name = f"{service}_{secrets.token_hex(6)}"
        await self._admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await self._bootstrap(service, name)  # rights on the database itself are not copied
        return self._place(service, name)

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

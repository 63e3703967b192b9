"""What the service's database role can see, in plain SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest
from mesh.stack import database as stack_database
from services.auth.tables import PERSON_TABLES, metadata
from tests.factories.auth import Auth
from tests.factories.authenticator import enable_totp


@asynccontextmanager
async def as_service(
    auth: Auth, tenant: str | None = None, user: object = None
) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of the service's role, in the tenant and with the user that a unit of work would set."""
    connection = await asyncpg.connect(auth.database_url, server_settings={"search_path": "auth"})
    try:
        await connection.execute("SELECT set_config('hazina.tenant_id', $1, false)", tenant or "")
        await connection.execute(
            "SELECT set_config('hazina.user_id', $1, false)", str(user) if user else ""
        )
        yield connection
    finally:
        await connection.close()


async def counts(connection: asyncpg.Connection[Any]) -> Mapping[str, int]:
    """How many rows of each table are to be seen."""
    names = [*PERSON_TABLES, "user_account", "membership", "api_key", "role"]
    return {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in names}


async def test_the_role_reads_no_other_schema(auth: Auth) -> None:
    roles = [stack_database.owner_role("wallet"), stack_database.login_role("wallet")]
    name = auth.database_url.rpartition("/")[2]
    admin = auth.admin_url.rpartition("/")[0] + "/postgres"
    await stack_database.bootstrap(admin, ["wallet"], dict.fromkeys(roles, "test"), database=name)
    await auth.rows("CREATE TABLE wallet.account (id int)")
    await auth.rows(f"ALTER TABLE wallet.account OWNER TO {roles[0]}")
    async with as_service(auth) as connection:
        for statement in (
            "SELECT * FROM wallet.account",
            "INSERT INTO wallet.account VALUES (1)",
            "CREATE TABLE auth.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "DROP TABLE auth.session",
            "ALTER TABLE auth.session DISABLE ROW LEVEL SECURITY",
            "SET ROLE hazina_auth_owner",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_without_a_tenant_or_user_nobody_is_seen(auth: Auth) -> None:
    account = await auth.account()
    await enable_totp(auth, account)
    async with as_service(auth) as connection:
        assert set((await counts(connection)).values()) == {0}


async def test_another_tenant_sees_nobody(auth: Auth) -> None:
    account = await auth.account()
    request = CreateApiKeyRequest(name="export", permissions=["wallet.read"])
    await auth.users(account).CreateApiKey(request)
    await auth.tenant("acme")
    stranger = await auth.account("stranger@example.com", tenant="acme")
    async with as_service(auth, "acme") as connection:
        ids = [row["id"] for row in await connection.fetch("SELECT id FROM user_account")]
        assert ids == [stranger.id]
        values = [row["value"] for row in await connection.fetch("SELECT value FROM identifier")]
        assert values == ["stranger@example.com"]
        seen = await counts(connection)
    hidden = ("credential", "session", "refresh_token", "totp", "api_key", "suspension")
    assert {name: seen[name] for name in hidden} == dict.fromkeys(hidden, 0)
    assert seen["membership"] == 1 and seen["role"] == 3


async def test_a_person_sees_their_own_rows_and_writes_nobody_elses(auth: Auth) -> None:
    asha = await auth.account("asha@example.com")
    brian = await auth.account("brian@example.com")
    async with as_service(auth, "default", asha.id) as connection:
        owners = await connection.fetch("SELECT user_id FROM session")
        assert [row["user_id"] for row in owners] == [asha.id]
        updated = await connection.execute(
            "UPDATE session SET end_time = now() WHERE user_id = $1", brian.id
        )
        assert updated == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "UPDATE user_account SET display_name = 'Eve' WHERE id = $1", brian.id
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO membership VALUES ('acme', $1, '{admin}', now())", asha.id
            )


async def test_every_table_with_people_or_tenants_in_it_has_a_wall(auth: Auth) -> None:
    rows = await auth.rows(
        "SELECT relname, relrowsecurity AND relforcerowsecurity AS has_wall FROM pg_class"
        " WHERE relnamespace = 'auth'::regnamespace AND relkind = 'r'"
    )
    walls = {row["relname"]: row["has_wall"] for row in rows}
    for table in metadata.tables.values():
        belongs = {"tenant_id", "user_id"} & set(
            table.columns.keys()
        ) or table.name == "user_account"
        assert walls[table.name] == bool(belongs), table.name

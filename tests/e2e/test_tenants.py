"""A tenant's people and books do not exist for anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from tests.e2e.client import Client, kes, new_key
from tests.e2e.mesh import Mesh
from tests.e2e.people import People, Person, any_phone

SERVICES = ("auth", "wallet", "payments", "groups", "comms")


@pytest.fixture(scope="module")
def neighbour(people: People) -> Person:
    """A person of a second tenant, and of that one alone."""
    return people.sign_up("Neighbour", tenant=people.make_tenant())


@pytest.fixture
def foreign(mesh: Mesh, neighbour: Person) -> Iterator[Client]:
    """The neighbour's client, without a word about tenants: the token's own is used."""
    with Client(mesh.edge, token=neighbour.access_token) as client:
        yield client


def test_every_id_of_the_first_tenant_is_not_found(
    foreign: Client, asha: Person, brian: Person
) -> None:
    wallet, paid = asha.wallet()["id"], asha.transfer(brian, "1.00")["id"]

    for path in (
        f"/api/v1/wallets/{wallet}",
        f"/api/v1/wallets/{wallet}/entries",
        f"/api/v1/wallets/{wallet}:watch",
        f"/api/v1/transactions/{paid}",
    ):
        answer = foreign.get(path)
        assert (answer.status, answer.refusal().reason) == (404, "NOT_FOUND"), path


def test_the_wallets_of_the_first_tenant_can_neither_pay_nor_be_paid(
    foreign: Client, neighbour: Person, asha: Person
) -> None:
    wallet, own = asha.wallet()["id"], neighbour.wallet()["id"]
    phone = {"phone": any_phone()}

    def refused(path: str, body: dict[str, object]) -> tuple[int, str]:
        answer = foreign.post(path, {**body, "amount": kes("1")}, key=new_key())
        return answer.status, answer.refusal().reason

    mobile = {"walletId": wallet, "mobileMoney": phone}
    assert refused("/api/v1/deposits", mobile) == (404, "WALLET_NOT_FOUND")
    assert refused("/api/v1/withdrawals", mobile) == (404, "WALLET_NOT_FOUND")
    stolen = {"sourceWalletId": wallet, "destination": {"walletId": own}}
    assert refused("/api/v1/transfers", stolen) == (404, "WALLET_NOT_FOUND")
    for destination in ({"walletId": wallet}, {"identifier": asha.identifier}):
        sent = {"sourceWalletId": own, "destination": destination}
        assert refused("/api/v1/transfers", sent) == (404, "RECIPIENT_NOT_FOUND")
        assert refused("/api/v1/transfers:preview", {"destination": destination}) == (
            404,
            "RECIPIENT_NOT_FOUND",
        )


def test_lists_and_searches_know_nothing_of_the_first_tenant(
    foreign: Client, asha: Person, brian: Person
) -> None:
    asha.transfer(brian, "1.00")

    assert foreign.get("/api/v1/transactions").ok()["transactions"] == []
    assert foreign.get("/api/v1/users", query=asha.identifier).ok()["users"] == []
    assert foreign.get("/api/v1/users", query="Asha").ok()["users"] == []
    ids = {wallet["id"] for wallet in foreign.get("/api/v1/wallets").ok()["wallets"]}
    assert asha.wallet()["id"] not in ids


@pytest.mark.parametrize("how", ["header", "query"])
def test_naming_the_first_tenant_does_not_help(foreign: Client, how: str) -> None:
    if how == "header":
        foreign.headers["x-tenant-id"] = "default"
    query = {"tenant_id": "default"} if how == "query" else {}

    answer = foreign.request("GET", "/api/v1/wallets", query=query)

    assert (answer.status, answer.refusal().reason) == (404, "TENANT_NOT_FOUND")


def test_a_tenant_that_is_not_there_looks_like_one_of_others(foreign: Client) -> None:
    foreign.headers["x-tenant-id"] = "default"
    others = foreign.get("/api/v1/wallets")
    foreign.headers["x-tenant-id"] = "no-such-tenant"
    absent = foreign.get("/api/v1/wallets")

    assert others.refusal().message == absent.refusal().message
    assert others.status == absent.status == 404


def test_a_person_of_two_tenants_has_wallets_in_each(people: People) -> None:
    tenant = people.make_tenant()
    person = people.sign_up("Traveller")
    people.give_roles(person, "member", tenant=tenant)
    home = person.wallet()["id"]

    person.client.headers["x-tenant-id"] = tenant
    person.await_wallets()

    assert person.wallet()["id"] != home
    assert person.client.get(f"/api/v1/wallets/{home}").status == 404


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_role_reads_no_other_schema(mesh: Mesh, service: str) -> None:
    async def readable() -> list[str]:
        connection = await asyncpg.connect(mesh.stack.login_url(service))
        try:
            rows = await connection.fetch(
                """
                SELECT n.nspname || '.' || c.relname AS name
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
                  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                  AND (has_schema_privilege(n.oid, 'USAGE') OR has_schema_privilege(n.oid, 'CREATE'))
                  AND has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')
                """
            )
            for other in SERVICES:
                if other != service:
                    for statement in (
                        "CREATE TABLE {}.stolen ()",
                        "TABLE {}.outbox",
                        "TABLE {}.user",
                    ):
                        with pytest.raises(asyncpg.InsufficientPrivilegeError):
                            await connection.execute(statement.format(f'"{other}"'))
            return [row["name"] for row in rows]
        finally:
            await connection.close()

    schemas = {name.split(".")[0] for name in asyncio.run(readable())}

    assert schemas, "the role sees its own schema"
    assert schemas <= {service, f"{service}_jobs"}


@pytest.mark.parametrize("service", ["auth", "wallet", "payments", "comms"])
def test_rows_of_the_first_tenant_do_not_exist_in_raw_sql(
    mesh: Mesh, neighbour: Person, asha: Person, brian: Person, service: str
) -> None:
    asha.transfer(brian, "1.00")
    tenant = neighbour.client.headers["x-tenant-id"]

    async def tenants_seen() -> dict[str, set[str]]:
        connection = await asyncpg.connect(mesh.stack.login_url(service))
        try:
            tables = await connection.fetch(
                """
                SELECT c.relname FROM pg_class c
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
                WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                  AND c.relrowsecurity AND c.relforcerowsecurity
                """,
                service,
            )
            await connection.execute("SELECT set_config('hazina.tenant_id', $1, false)", tenant)
            return {
                table["relname"]: {
                    row["tenant_id"]
                    for row in await connection.fetch(
                        f'SELECT DISTINCT tenant_id FROM "{service}"."{table["relname"]}"'
                    )
                }
                for table in tables
            }
        finally:
            await connection.close()

    seen = asyncio.run(tenants_seen())

    assert seen, "no table of this service is protected by row-level security"
    assert {name: found for name, found in seen.items() if found - {tenant}} == {}


@pytest.mark.parametrize("service", ["auth", "wallet", "payments", "comms"])
def test_every_table_with_a_tenant_is_protected(mesh: Mesh, service: str) -> None:
    async def unprotected() -> list[str]:
        connection = await asyncpg.connect(mesh.stack.login_url(service))
        try:
            rows = await connection.fetch(
                """
                SELECT c.relname FROM pg_class c
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
                WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p')
                  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
                """,
                service,
            )
            return [row["relname"] for row in rows]
        finally:
            await connection.close()

    open_tables = set(asyncio.run(unprotected())) - _WITHOUT_POLICY.get(service, set())

    assert not open_tables, (
        "Protect these in a migration (services.kit.migrations.protect), or write here why not: "
        f"{sorted(open_tables)}"
    )


# Tables that name a tenant and are read across all of them, with the reason.
_WITHOUT_POLICY: dict[str, set[str]] = {}

"""What the database itself refuses, whoever asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.factories.wallet import OUTSIDE, Bank, hold, new_id, post
from tests.harness import Harness

Connection = Any


@asynccontextmanager
async def tenant(connection: Connection, name: str) -> AsyncIterator[Connection]:
    """A transaction of this tenant; rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("SELECT set_config('hazina.tenant_id', $1, true)", name)
        yield connection
    finally:
        await transaction.rollback()


TABLES = ("account", "transfer", "hold", "entry", "period")


@pytest.fixture
async def wallet(bank: Bank) -> str:
    """A wallet of the tenant `default` with a history."""
    wallet = await bank.funded(500)
    await bank.book(hold(wallet, OUTSIDE, 100))
    return wallet


@pytest.mark.parametrize("table", TABLES[:4])
async def test_a_tenant_sees_its_own_rows_only(
    bank: Bank, wallet: str, role: Connection, table: str
) -> None:
    async with tenant(role, "default") as session:
        assert await session.fetchval(f"SELECT count(*) FROM {table}") > 0
    for stranger in ("umoja", ""):
        async with tenant(role, stranger) as session:
            assert await session.fetchval(f"SELECT count(*) FROM {table}") == 0
    async with tenant(role, "umoja") as session:
        assert await session.execute("UPDATE account SET frozen = true") == "UPDATE 0"


@pytest.mark.parametrize(
    ("table", "sees"), [("account", 0), ("entry", 0), ("transfer", 2), ("hold", 1)]
)
async def test_sweeps_over_all_tenants_read_transfers_and_holds_and_change_nothing(
    bank: Bank, wallet: str, role: Connection, table: str, sees: int
) -> None:
    async with tenant(role, "*") as session:
        assert await session.fetchval(f"SELECT count(*) FROM {table}") == sees
        if table == "hold":
            change = "UPDATE hold SET state = 'EXPIRED', end_time = now()"
            assert await session.execute(change) == "UPDATE 0"


async def test_a_row_of_another_tenant_cannot_be_written(
    bank: Bank, wallet: str, role: Connection
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant(role, "umoja") as session:
            await session.execute(
                "INSERT INTO account (tenant_id, id, kind, owner_id, currency, name, protected)"
                " VALUES ('default', gen_random_uuid(), 'USER', gen_random_uuid(), 'KES', 'x', true)"
            )


@pytest.mark.parametrize("table", ["transfer", "entry", "period", "freeze_note"])
async def test_nobody_changes_what_is_booked(
    bank: Bank, wallet: str, role: Connection, owner: Connection, table: str
) -> None:
    for statement in (
        f"UPDATE {table} SET tenant_id = tenant_id",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant(role, "default") as session:
                await session.execute(statement)
        with pytest.raises(asyncpg.RestrictViolationError):
            async with tenant(owner, "default") as session:
                await session.execute(statement)


@pytest.mark.parametrize("table", ["account", "hold"])
async def test_accounts_and_holds_are_never_deleted(
    bank: Bank, wallet: str, role: Connection, owner: Connection, table: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant(role, "default") as session:
            await session.execute(f"DELETE FROM {table}")
    with pytest.raises(asyncpg.RestrictViolationError):
        async with tenant(owner, "default") as session:
            await session.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize(
    ("change", "wall"),
    [
        ("debits_posted = 401", "account_not_overdrawn"),
        ("debits_pending = 501", "account_not_overdrawn"),
        ("debits_posted = -1", "account_totals_not_negative"),
    ],
)
async def test_a_wallet_cannot_be_overdrawn_by_sql(
    bank: Bank, wallet: str, role: Connection, change: str, wall: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=wall):
        async with tenant(role, "default") as session:
            await session.execute(f"UPDATE account SET {change} WHERE id = $1", UUID(wallet))


async def test_an_account_keeps_its_owner_and_protection(
    bank: Bank, wallet: str, role: Connection
) -> None:
    for change in ("owner_id = gen_random_uuid()", "currency = 'BTC'", "id = gen_random_uuid()"):
        with pytest.raises(asyncpg.RestrictViolationError):
            async with tenant(role, "default") as session:
                await session.execute(f"UPDATE account SET {change} WHERE id = $1", UUID(wallet))


async def test_a_hold_that_has_ended_stays_ended(bank: Bank, wallet: str, role: Connection) -> None:
    end = "UPDATE hold SET state = 'EXPIRED', end_time = now()"
    with pytest.raises(asyncpg.RestrictViolationError):
        async with tenant(role, "default") as session:
            assert await session.execute(end) == "UPDATE 1"
            await session.execute("UPDATE hold SET state = 'HELD', end_time = NULL")


async def test_a_transfer_joins_accounts_of_one_tenant(
    bank: Bank, wallet: str, role: Connection
) -> None:
    stranger = await bank.of("umoja").wallet()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with tenant(role, "default") as session:
            await session.execute(
                "INSERT INTO transfer (tenant_id, id, kind, debit_account_id, credit_account_id, amount_minor,"
                " currency, linked, code, transaction_id, reference, actor, effective_time, book_time)"
                " VALUES ('default', $1, 'POST', $2, $3, 1, 'KES', false, 'X', $1, '', '', now(), now())",
                UUID(new_id()),
                UUID(wallet),
                UUID(stranger),
            )


async def test_the_role_sees_no_other_schema_and_makes_nothing(
    bank: Bank, role: Connection
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await role.execute("CREATE TABLE wallet.mine (id int)")
    rights = await role.fetchrow(
        "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    )
    assert tuple(rights) == (False, False, False)


async def test_one_id_in_two_tenants_is_two_transfers(bank: Bank) -> None:
    payment = post(OUTSIDE, "SYSTEM:FEES", 1)
    await bank.book(payment)
    await bank.of("umoja").book(payment)


async def test_the_newest_lines_are_found_by_the_key(
    bank: Bank, wallet: str, harness: Harness
) -> None:
    admin = await asyncpg.connect((await harness.database("wallet")).admin_url)
    try:
        await admin.execute("SET enable_seqscan = off; SET enable_sort = off")
        plan = await admin.fetch(
            "EXPLAIN SELECT * FROM wallet.entry WHERE tenant_id = 'default' AND account_id = $1"
            " AND seq < 99 ORDER BY seq DESC LIMIT 50",
            UUID(wallet),
        )
    finally:
        await admin.close()
    text = "\n".join(row[0] for row in plan)
    assert "Index Scan Backward using entry_pkey" in text

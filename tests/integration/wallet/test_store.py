"""What is loaded is what was saved: the database and the ledger in memory, driven by the same random histories."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from services.kit.database import Database, Session
from services.wallet import domain, store
from services.wallet.domain import Account, Books, Step
from tests.factories.wallet_books import words
from tests.factories.wallet_history import WALLETS, History
from tests.harness import Harness


async def _open(harness: Harness, tenant_id: str, accounts: Sequence[Account]) -> None:
    """Accounts with funds from nowhere."""
    admin = await asyncpg.connect((await harness.database("wallet")).admin_url)
    try:
        await admin.executemany(
            "INSERT INTO wallet.account (tenant_id, id, kind, owner_id, currency, name, protected, create_time,"
            " debits_posted, credits_posted, frozen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            [
                (
                    *(tenant_id, one.id, one.kind.value, one.owner_id, one.currency, one.name),
                    *(one.protected, one.create_time, one.debits_posted, one.credits_posted),
                    one.frozen,
                )
                for one in accounts
            ],
        )
    finally:
        await admin.close()


async def _load(session: Session, tenant_id: str, steps: Sequence[Step]) -> Books:
    await store.lock_shard(session)
    return await store.load(session, tenant_id, domain.needs(steps))


@pytest.mark.parametrize("seed", range(12))
async def test_the_database_keeps_exactly_what_memory_keeps(
    harness: Harness, database: Database, seed: int
) -> None:
    tenant_id = f"seed-{seed}"
    await _open(harness, tenant_id, WALLETS)
    history = History(seed, second=timedelta(milliseconds=10))
    memory = history.memory
    async with database.unit(tenant_id) as session:
        memory.time = await store.read_time(session)
        if memory.period_end is not None:
            await store.insert_period(session, tenant_id, memory.period_end, "system")
    told: list[str] = []
    for batch in history.batches():
        async with database.unit(tenant_id) as session:
            books = await _load(session, tenant_id, batch)
            memory.time = books.time
            expected = memory.load(batch)
            assert books == replace(expected, openable={})
            decision = domain.decide(expected, batch)
            if not decision.changes_nothing:
                await store.save(session, tenant_id, "system", decision)
            memory.save(decision)
            told += [words(one) for one in decision.verdicts]
    async with database.unit(tenant_id) as session:
        everything = await store.read_accounts(session, tenant_id, list(memory.accounts))
        booked = await store.read_booked(session, tenant_id, list(memory.transfers))
        assert {one.id: one for one in everything} == memory.accounts
        assert [one.transfer for one in booked] == list(memory.transfers.values()), "in order"
        assert {
            one.transfer.id: one.hold_state for one in booked if one.hold_state is not None
        } == {one.id: one.state for one in memory.holds.values()}
        for account in memory.accounts.values():
            lines = await store.list_entries(session, tenant_id, account, limit=1000)
            assert [
                (line.transfer_id, line.amount.minor_units, line.balance.minor_units)
                for line in reversed(lines)
            ] == [
                (entry.transfer_id, entry.amount_minor, entry.balance_minor)
                for entry in memory.entries
                if entry.account_id == account.id
            ]
    assert told


async def test_sweeps_find_what_is_due_in_every_tenant(
    harness: Harness, database: Database
) -> None:
    async with database.unit("*") as session:
        assert await store.list_due(session, limit=10) == []
        assert await store.read_relay_position(session) == 0
        assert await store.read_last_seq_before(session, await store.read_time(session)) == 0

"""What the database itself guarantees: walls between tenants, one holder of a lease, one transaction for a receipt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Database
from services.payments import domain, store
from services.payments.domain import (
    FeeRule,
    FeeSchedule,
    Flow,
    Kind,
    Review,
    ReviewState,
    Source,
    State,
    Transaction,
)
from services.payments.tables import TENANT_OWNED
from tests.harness import Harness
from tests.unit.payments.test_domain import ASHA, BRIAN, made

NOW = datetime.now(UTC)
LEASE = timedelta(seconds=4)
new_id = Clock().new_id


@pytest.fixture
async def database(harness: Harness) -> AsyncIterator[Database]:
    """The migrated schema, with the rights of the serving role."""
    place = await harness.database("payments")
    database = Database(place.url, schema="payments", application_name="test")
    yield database
    await database.close()


async def stored(database: Database, transaction: Transaction) -> Transaction:
    """Write a transaction."""
    async with database.unit(transaction.tenant_id) as session:
        await store.insert_transaction(session, transaction)
    return transaction


async def test_what_was_written_is_read_back(database: Database) -> None:
    transaction = await stored(
        database, made(Flow.OUT, State.FAILED, note="n", phone="254712345678")
    )
    async with database.unit("default") as session:
        assert await store.find_transaction(session, transaction.id) == transaction
        changed = replace(transaction, provider_receipt="R", charge_minor=7)
        await store.update_transaction(session, changed)
        assert await store.find_transaction(session, transaction.id, lock=True) == changed


async def test_a_tenant_sees_nothing_of_another_in_raw_sql(database: Database) -> None:
    transaction = await stored(database, made(Flow.OUT))
    async with database.unit("default") as session:
        await store.insert_evidence(
            session, "default", new_id=new_id(), source=Source.QUERY, body="b", now=NOW
        )
        await store.open_case(
            session, "default", new_id=new_id(), transaction_id=None, reason="R", now=NOW
        )
        schedule = FeeSchedule("", Kind.TRANSFER, "KES", FeeRule(1))
        await store.set_fee(session, "default", schedule, actor="a", now=NOW)
        await store.insert_review(session, proposal(transaction))
    for tenant in ("other", None, ALL_TENANTS):
        async with database.unit(tenant) as session:
            for table in TENANT_OWNED:
                count = await session.scalar(text(f"SELECT count(*) FROM {table}"))
                assert count == 0, f"{tenant} sees rows of {table}"
    async with database.unit("default") as session:
        for table in TENANT_OWNED:
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 1


async def test_a_tenant_cannot_write_for_another(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.unit("other") as session:
            await store.insert_transaction(session, made(Flow.OUT))


@pytest.mark.parametrize(
    "broken",
    [
        {"amount_minor": 0},
        {"fee_minor": -1},
        {"currency": "EUR"},
        {"state": State.UNKNOWN, "send_attempt_time": None},
        {"complete_time": NOW},
    ],
)
async def test_rows_that_break_a_rule_are_refused(
    database: Database, broken: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        async with database.unit("default") as session:
            await store.insert_transaction(session, replace(made(Flow.OUT), **broken))


async def test_one_driver_has_the_lease_until_it_ends_or_lets_go(database: Database) -> None:
    transaction = await stored(database, made(Flow.OUT))
    mine, theirs = new_id(), new_id()

    async def take(who: Any, now: datetime) -> bool:
        async with database.unit("default") as session:
            leased = await store.take_lease(
                session, transaction.id, lease_id=who, now=now, lease=LEASE
            )
            return leased is not None

    assert await take(mine, NOW) and await take(mine, NOW)
    assert not await take(theirs, NOW)
    async with database.unit("default") as session:
        assert await store.has_lease(session, transaction.id, lease_id=mine, now=NOW)
        assert not await store.has_lease(session, transaction.id, lease_id=mine, now=NOW + LEASE)
    assert await take(theirs, NOW + LEASE + timedelta(seconds=1))
    async with database.unit("default") as session:
        await store.release_lease(session, transaction.id)
    assert await take(mine, NOW)


async def test_what_has_begun_has_no_lease(database: Database) -> None:
    transaction = await stored(database, made(Flow.OUT, State.PROCESSING))
    async with database.unit("default") as session:
        assert not await store.take_lease(
            session, transaction.id, lease_id=new_id(), now=NOW, lease=LEASE
        )


async def test_a_receipt_belongs_to_one_transaction_in_all_tenants(database: Database) -> None:
    first = await stored(database, made(Flow.IN))
    other = await stored(database, made(Flow.IN, tenant_id="other"))
    async with database.unit("default") as session:
        assert await store.claim_receipt(session, "mpesa", "TKX", first)
        assert await store.claim_receipt(session, "mpesa", "TKX", first)
    async with database.unit("other") as session:
        assert not await store.claim_receipt(session, "mpesa", "TKX", other)
        assert await store.claim_receipt(session, "other", "TKX", other)


async def test_a_list_joins_both_sides_and_hides_failed_attempts_from_who_was_to_be_paid(
    database: Database,
) -> None:
    paid = await stored(database, made(Flow.INSIDE, State.COMPLETED))
    failed = await stored(database, made(Flow.INSIDE, State.FAILED))
    own = await stored(database, made(Flow.INSIDE, State.COMPLETED, payee=ASHA))
    deposit = await stored(database, made(Flow.IN))
    assert ASHA.user_id is not None and BRIAN.user_id is not None
    async with database.unit("default") as session:
        for_asha = await store.list_transactions(session, ASHA.user_id, size=10)
        for_brian = await store.list_transactions(session, BRIAN.user_id, size=10)
        after = await store.list_transactions(session, ASHA.user_id, before_id=own.id, size=1)
    assert [one.id for one in for_asha] == [deposit.id, own.id, failed.id, paid.id]
    assert [one.id for one in for_brian] == [paid.id]
    assert [one.id for one in after] == [failed.id]


def proposal(transaction: Transaction) -> Review:
    """Somebody proposes something."""
    return Review(
        id=new_id(),
        tenant_id="default",
        transaction_id=transaction.id,
        action=domain.Action.FAIL,
        state=ReviewState.PROPOSED,
        note="n",
        proposer_id=new_id(),
        create_time=NOW,
    )


async def test_one_proposal_waits_for_a_transaction_and_the_proposer_cannot_confirm(
    database: Database,
) -> None:
    transaction = await stored(database, made(Flow.OUT))
    first = proposal(transaction)
    async with database.unit("default") as session:
        assert await store.insert_review(session, first)
        assert not await store.insert_review(session, proposal(transaction))
        assert await store.find_review_of(session, transaction.id) == first
    alone = replace(
        first, state=ReviewState.CONFIRMED, decider_id=first.proposer_id, decide_time=NOW
    )
    with pytest.raises(IntegrityError):
        async with database.unit("default") as session:
            await store.update_review(session, alone)


async def test_a_transaction_has_one_open_case_with_the_newest_reason(database: Database) -> None:
    transaction = await stored(database, made(Flow.OUT, State.UNKNOWN))
    async with database.unit("default") as session:
        for reason in ("PROVIDER_SILENT", "PROVIDER_AMOUNT_MISMATCH"):
            await store.open_case(
                session,
                "default",
                new_id=new_id(),
                transaction_id=transaction.id,
                reason=reason,
                now=NOW,
            )
        [case] = await store.list_cases(session, after_id=None, size=10)
        assert case.reason == "PROVIDER_AMOUNT_MISMATCH"
        await store.close_case(session, transaction.id, NOW)
        assert await store.list_cases(session, after_id=None, size=10) == []


async def test_a_sweep_sees_open_requests_of_all_tenants_once(database: Database) -> None:
    due, closed, later = (made(Flow.IN, tenant_id=tenant) for tenant in ("a", "b", "c"))
    for transaction, minutes in ((due, -1), (closed, -1), (later, 1)):
        async with database.unit(transaction.tenant_id) as session:
            await store.insert_provider_request(
                session, transaction, due_time=NOW + timedelta(minutes=minutes)
            )
    async with database.unit("b") as session:
        await store.close_provider_request(session, closed.id)
    async with database.unit(ALL_TENANTS) as session:
        assert await store.list_due_requests(session, NOW, size=10) == [("a", due.id)]
        assert await store.find_tenant(session, closed.id) == "b"


async def test_a_callback_is_dealt_with_once(database: Database) -> None:
    callback_id = new_id()
    async with database.unit(None) as session:
        await store.insert_callback(
            session,
            new_id=callback_id,
            rail="mpesa",
            transaction_id=None,
            answers_question=False,
            body=b"\xff\x00",
            now=NOW,
        )
        assert await store.find_callback(session, callback_id) == (
            "mpesa",
            None,
            False,
            b"\xff\x00",
        )
        await store.finish_callback(session, callback_id, NOW)
        assert await store.find_callback(session, callback_id) is None
        await store.purge_callbacks(session, NOW + timedelta(seconds=1))
        assert await session.scalar(text("SELECT count(*) FROM callback")) == 0

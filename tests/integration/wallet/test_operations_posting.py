"""Posting when something goes wrong: lost answers, callers that leave, deadlines, other writers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.errors import DeadlineExceeded, ServiceUnavailable
from services.kit.money import Money
from services.wallet import store
from services.wallet.domain import Result, Step, StepKind
from services.wallet.operations.posting import Ledger

FEES, OUTSIDE = "SYSTEM:FEES", "EXTERNAL:mpesa"
_clock = Clock()


def _step(amount: int = 5, **fields: Any) -> Step:
    return Step(
        id=_clock.new_id(),
        kind=StepKind.POST,
        code="TRANSFER",
        transaction_id=_clock.new_id(),
        debit=OUTSIDE,
        credit=FEES,
        amount=Money("KES", amount),
        **fields,
    )


async def _booked(database: Database, *steps: Step) -> int:
    async with database.unit("default") as session:
        return len(await store.read_booked(session, "default", [step.id for step in steps]))


def _breaking(
    monkeypatch: pytest.MonkeyPatch, commit: Callable[[AsyncConnection], Awaitable[None]]
) -> None:
    """The next commit of a posting behaves like this; the ones after it are as ever."""
    original, is_broken = AsyncConnection.commit, False

    async def once(self: AsyncConnection) -> None:
        nonlocal is_broken
        if is_broken:
            await original(self)
            return
        is_broken = True
        await commit(self)

    monkeypatch.setattr(AsyncConnection, "commit", once)


def _lost() -> Exception:
    gone = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    return DBAPIError("COMMIT", {}, gone, connection_invalidated=True)


async def test_a_commit_whose_answer_was_lost_is_found_by_reading_back(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = AsyncConnection.commit

    async def commit_then_lose(self: AsyncConnection) -> None:
        await original(self)
        raise _lost()

    _breaking(monkeypatch, commit_then_lose)
    step = _step()
    [verdict] = await ledger.post("default", "system", [step])
    assert verdict.result is Result.CREATED
    assert await _booked(database, step) == 1


async def test_a_commit_that_never_happened_is_unavailable_and_can_be_repeated(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(self: AsyncConnection) -> None:
        await self.rollback()
        raise _lost()

    _breaking(monkeypatch, lose)
    step = _step()
    with pytest.raises(ServiceUnavailable):
        await ledger.post("default", "system", [step])
    assert await _booked(database, step) == 0
    [verdict] = await ledger.post("default", "system", [step])
    assert verdict.result is Result.CREATED


async def test_a_caller_that_leaves_before_its_turn_is_dropped_and_later_it_is_not(
    ledger: Ledger, database: Database
) -> None:
    early, late = _step(), _step()
    async with database.unit("default") as session:
        await store.lock_shard(session)  # another process has its turn
        first = asyncio.create_task(ledger.post("default", "system", [early]))
        second = asyncio.create_task(ledger.post("default", "system", [late]))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.wait({first})
    [verdict] = await second
    assert verdict.result is Result.CREATED
    await ledger.close()
    assert await _booked(database, early) == 0 and await _booked(database, late) == 1


async def test_leaving_during_the_commit_does_not_stop_it(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = AsyncConnection.commit
    begun = asyncio.Event()

    async def slowly(self: AsyncConnection) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        await original(self)

    _breaking(monkeypatch, slowly)
    step = _step()
    posting = asyncio.create_task(ledger.post("default", "system", [step]))
    await begun.wait()
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    await ledger.close()
    assert await _booked(database, step) == 1


async def test_a_step_whose_deadline_has_passed_before_its_turn_is_never_booked(
    ledger: Ledger, database: Database
) -> None:
    step = _step()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 0.1
    async with database.unit("default") as session:
        await store.lock_shard(session)
        posting = asyncio.create_task(
            ledger.post(
                "default",
                "system",
                [step],
                remaining_seconds=lambda: max(0.0, deadline - loop.time()),
            )
        )
        await asyncio.sleep(0.3)
    with pytest.raises(DeadlineExceeded):
        await posting
    assert await _booked(database, step) == 0


async def test_places_are_in_the_order_of_commits_of_two_writers(
    ledger: Ledger, database: Database
) -> None:
    other = Ledger(database, Clock())
    seen: list[int] = []

    async def watch() -> None:
        while True:
            async with database.unit("*") as session:
                found = await store.read_booked_after(session, 0, limit=10_000)
            seqs = [booked.seq for _, booked in found]
            assert seqs[: len(seen)] == seen, "nothing may appear before what was seen"
            seen[:] = seqs
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(
        *((ledger if n % 2 else other).post("default", "system", [_step()]) for n in range(60))
    )
    await asyncio.sleep(0.1)
    watching.cancel()
    await asyncio.wait({watching})
    assert watching.cancelled(), watching.exception()
    assert len(seen) == 60


async def test_due_holds_are_released_by_the_job(ledger: Ledger, database: Database) -> None:
    async with database.unit("default") as session:
        now = await store.read_time(session)
    held = Step(
        id=_clock.new_id(),
        kind=StepKind.HOLD,
        code="TRANSFER",
        transaction_id=_clock.new_id(),
        debit=OUTSIDE,
        credit=FEES,
        amount=Money("KES", 70),
        expire_time=now + timedelta(seconds=0.3),
    )
    [verdict] = await ledger.post("umoja", "system", [held])
    assert verdict.debit_account is not None and verdict.debit_account.debits_pending == 70
    assert await ledger.release_due() == 0
    await asyncio.sleep(0.4)
    assert await ledger.release_due() == 1
    assert await ledger.release_due() == 0
    async with database.unit("umoja") as session:
        [account] = await store.read_accounts(session, "umoja", [verdict.debit_account.id])
    assert account.debits_pending == 0 and account.version == 2


async def test_a_posting_takes_six_round_trips(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.post("default", "system", [_step()])
    statements: list[str] = []

    def note(*args: Any) -> None:
        statements.append(args[2])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await ledger.post("default", "system", [_step()])
    assert len(statements) == 4, "settings, lock, load, save; beside them BEGIN and COMMIT"


async def test_a_database_that_is_away_is_unavailable() -> None:
    nowhere = Database("postgresql://x:y@127.0.0.1:1/z", schema="wallet", application_name="test")
    with pytest.raises(ServiceUnavailable):
        await Ledger(nowhere, _clock).post("default", "system", [_step()])
    await nowhere.close()

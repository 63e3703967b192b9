"""The relay: wallet.transfer.booked, in the order of commits, whatever happens to Redis."""

import asyncio
from typing import Any

import pytest

from hazina.event.v1.envelope_pb2 import Envelope
from hazina.wallet.v1 import wallet_events_pb2
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.money import Money
from services.wallet.domain import Step, StepKind
from services.wallet.operations.posting import Ledger
from services.wallet.operations.telling import MARKER, Telling
from tests.factories.wallet import OUTSIDE, Bank, post, wallet_service
from tests.harness import Harness

STREAM = "events.wallet"


async def _told(harness: Harness) -> list[Envelope]:
    entries: Any = await harness.redis.xrange(STREAM)
    return [Envelope.FromString(fields[b"envelope"]) for _, fields in entries]


def _payload(envelope: Envelope) -> wallet_events_pb2.TransferBooked:
    payload = wallet_events_pb2.TransferBooked()
    assert envelope.payload.Unpack(payload)
    return payload


@pytest.fixture
def telling(database: Database, harness: Harness) -> Telling:
    """The relay, told when to work."""
    return Telling(database, harness.redis)


async def _book(ledger: Ledger, count: int, tenant: str = "default") -> list[str]:
    clock = Clock()
    steps = [
        Step(
            id=clock.new_id(),
            kind=StepKind.POST,
            code="TRANSFER",
            transaction_id=clock.new_id(),
            debit=OUTSIDE,
            credit="SYSTEM:FEES",
            amount=Money("KES", 1),
        )
        for _ in range(count)
    ]
    await ledger.post(tenant, "user:amina", steps)
    return [str(step.id) for step in steps]


async def test_a_running_service_tells_of_each_transfer_soon_and_in_order(harness: Harness) -> None:
    async with harness.peers({}), wallet_service(harness) as running:
        bank = Bank(running)
        payments = [post(OUTSIDE, "SYSTEM:FEES", number + 1) for number in range(5)]
        await bank.book(*payments)
        for _ in range(100):
            if await harness.redis.xlen(STREAM) >= 5:
                break
            await asyncio.sleep(0.02)
    envelopes = await _told(harness)
    assert [one.aggregate_id for one in envelopes] == [one.id for one in payments]
    first, payload = envelopes[0], _payload(envelopes[0])
    assert (first.type, first.tenant_id) == ("wallet.transfer.booked", "default")
    assert (first.actor, first.aggregate_version) == ("service:payments", 1)
    assert payload.transfer.amount.minor_units == 1
    assert payload.transfer.debit.account_id == payload.debit_account_id
    assert [_payload(one).seq for one in envelopes] == sorted(
        _payload(one).seq for one in envelopes
    )


async def test_each_transfer_is_told_once_in_batches(
    ledger: Ledger, telling: Telling, harness: Harness
) -> None:
    ids = await _book(ledger, 700) + await _book(ledger, 3, tenant="umoja")
    assert [await telling.tell_once() for _ in range(3)] == [500, 203, 0]
    envelopes = await _told(harness)
    assert [one.aggregate_id for one in envelopes] == ids
    assert {one.tenant_id for one in envelopes} == {"default", "umoja"}
    assert len({one.event_id for one in envelopes}) == 703


async def test_a_wiped_redis_is_told_everything_again_under_the_same_event_ids(
    ledger: Ledger, telling: Telling, harness: Harness
) -> None:
    await _book(ledger, 3)
    await telling.tell_once()
    before = [one.event_id for one in await _told(harness)]
    await harness.redis.flushall()
    await _book(ledger, 1)
    assert await telling.tell_once() == 4
    assert [one.event_id for one in await _told(harness)][:3] == before
    assert await telling.tell_once() == 0


async def test_a_redis_that_was_set_back_is_told_what_it_lacks(
    ledger: Ledger, telling: Telling, harness: Harness
) -> None:
    await _book(ledger, 2)
    await telling.tell_once()
    old: Any = await harness.redis.get(MARKER)
    ids = await _book(ledger, 2)
    await telling.tell_once()
    await harness.redis.set(MARKER, old)
    await harness.redis.delete(STREAM)
    assert await telling.tell_once() == 2
    assert [one.aggregate_id for one in await _told(harness)] == ids


async def test_one_process_tells_at_a_time(
    ledger: Ledger, telling: Telling, database: Database, harness: Harness
) -> None:
    await _book(ledger, 50)
    others = [Telling(database, harness.redis) for _ in range(3)]
    counts = await asyncio.gather(*(one.tell_once() for one in [telling, *others]))
    assert sum(counts) == 50 and len(await _told(harness)) == 50

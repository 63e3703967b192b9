"""Outbox, relay and inbox together: at least one delivery, exactly one effect, whatever is lost on the way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from redis.asyncio import Redis
from sqlalchemy import text

from hazina.event.v1.envelope_pb2 import Envelope
from services.kit import inbox, outbox, relay
from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Database, Session
from services.kit.errors import ServiceUnavailable
from services.kit.inbox import Consumer
from services.kit.relay import Relay
from tests.harness import Harness, probe

HAPPENED = "probe.note.happened"


async def happen(database: Database, note: str, *, tenant_id: str = "default") -> UUID:
    """One event, as an operation writes it."""
    event_id = Clock().new_id()
    async with database.unit(tenant_id) as session:
        await outbox.append(
            session,
            type=HAPPENED,
            tenant_id=tenant_id,
            aggregate_id="thing",
            aggregate_version=1,
            payload=probe.ProbeHappened(note=note),
            actor="system",
            occur_time=datetime.now(UTC),
            event_id=event_id,
        )
    return event_id


async def notes_of(database: Database, tenant_id: str = "default") -> list[str]:
    async with database.unit(tenant_id) as session:
        rows = await session.execute(text("SELECT body FROM note ORDER BY body"))
        return [row.body for row in rows]


async def write_note(session: Session, envelope: Envelope, payload: Message) -> None:
    """The effect: a row. It would appear twice if the event had its effect twice."""
    assert isinstance(payload, probe.ProbeHappened)
    await session.execute(
        text(
            "INSERT INTO note (id, tenant_id, body) VALUES (gen_random_uuid(), :tenant_id, :body)"
        ),
        {"tenant_id": envelope.tenant_id, "body": payload.note},
    )


async def eventually(look: Callable[[], Any], wanted: Any, *, seconds: float = 10) -> None:
    """Looks until it sees what is wanted."""
    until = asyncio.get_running_loop().time() + seconds
    while (seen := await look()) != wanted:
        assert asyncio.get_running_loop().time() < until, f"saw {seen}, not {wanted}"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def running(*works: Callable[[asyncio.Event], Any]) -> AsyncIterator[None]:
    """Background work, stopped as the server stops it."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(work(stop)) for work in works]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


def consumer(
    database: Database, redis: Redis, handler: inbox.Handler = write_note, **more: Any
) -> Consumer:
    return Consumer(
        database,
        redis,
        service="reader",
        streams=["events.probe"],
        handlers={HAPPENED: handler},
        payloads={HAPPENED: probe.ProbeHappened},
        **{"backoff_seconds": 0.05, **more},
    )


@pytest.fixture
def relay_of_probe(database: Database, harness: Harness) -> Relay:
    return Relay(database, harness.redis, service="probe")


async def test_an_event_reaches_its_reader_with_its_facts(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    seen: list[Envelope] = []

    async def see(session: Session, envelope: Envelope, payload: Message) -> None:
        seen.append(envelope)
        assert await session.scalar(text("SELECT current_setting('hazina.tenant_id')")) == "other"

    async def count() -> int:
        return len(seen)

    async with running(relay_of_probe.run, consumer(database, harness.redis, see).run):
        event_id = await happen(database, "hello", tenant_id="other")
        await eventually(count, 1)
    [envelope] = seen
    assert (envelope.event_id, envelope.type, envelope.aggregate_id) == (
        str(event_id),
        HAPPENED,
        "thing",
    )
    assert (envelope.tenant_id, envelope.aggregate_version, envelope.actor) == (
        "other",
        1,
        "system",
    )


async def test_a_notification_wakes_the_relay(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    async with running(relay_of_probe.run):
        await asyncio.sleep(0.3)
        started = asyncio.get_running_loop().time()
        await happen(database, "now")
        await eventually(lambda: harness.redis.xlen("events.probe"), 1, seconds=0.8)
        assert asyncio.get_running_loop().time() - started < 0.8


async def test_an_event_of_a_failed_transaction_is_never_told(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    with pytest.raises(RuntimeError):
        async with database.unit("default") as session:
            await outbox.append(
                session, type=HAPPENED, tenant_id="default", aggregate_id="x", aggregate_version=1,
                payload=probe.ProbeHappened(), actor="system", occur_time=datetime.now(UTC),
            )  # fmt: skip
            raise RuntimeError
    assert await relay_of_probe.publish_once() == 0
    assert await harness.redis.xlen("events.probe") == 0


async def test_an_event_of_a_slow_transaction_is_not_passed_over(
    database: Database, relay_of_probe: Relay
) -> None:
    """Numbers are given before the commit: a relay that remembered the last number would lose the slow one."""
    written, release = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.unit("default") as session:
            await outbox.append(
                session, type=HAPPENED, tenant_id="default", aggregate_id="x", aggregate_version=1,
                payload=probe.ProbeHappened(note="slow"), actor="system", occur_time=datetime.now(UTC),
            )  # fmt: skip
            written.set()
            await release.wait()

    task = asyncio.create_task(slow())
    await written.wait()
    await happen(database, "quick")
    assert await relay_of_probe.publish_once() == 1
    release.set()
    await task
    assert await relay_of_probe.publish_once() == 1


async def test_a_repeated_event_has_its_effect_once(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    await happen(database, "once")
    for _ in range(3):
        assert await relay_of_probe.publish_once() == 1
        async with database.unit(
            ALL_TENANTS
        ) as session:  # as if the relay had died before its note
            await session.execute(text("UPDATE outbox SET publish_time = NULL"))
    assert await harness.redis.xlen("events.probe") == 3
    async with running(consumer(database, harness.redis).run):
        await eventually(lambda: notes_of(database), ["once"])
        await eventually(lambda: pending(harness.redis), 0)
    assert await notes_of(database) == ["once"]


async def test_a_lost_redis_is_filled_again_and_nothing_happens_twice(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    async with running(relay_of_probe.run, consumer(database, harness.redis).run):
        for note in ("1", "2", "3"):
            await happen(database, note)
        await eventually(lambda: notes_of(database), ["1", "2", "3"])
        await harness.redis.flushall()
        await happen(database, "4")
        await eventually(lambda: notes_of(database), ["1", "2", "3", "4"])
        await eventually(lambda: harness.redis.xlen("events.probe"), 4)
        await eventually(lambda: pending(harness.redis), 0)
    assert await notes_of(database) == ["1", "2", "3", "4"]


async def test_what_a_redis_restored_from_an_older_copy_lacks_is_published_again(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    redis = harness.redis
    await happen(database, "1")
    await relay_of_probe.publish_once()
    old_stream: Any = await redis.dump("events.probe")
    old_marker: Any = await redis.get("relay.probe.marker")
    await happen(database, "2")
    await relay_of_probe.publish_once()
    await redis.restore("events.probe", 0, old_stream, replace=True)
    await redis.set("relay.probe.marker", old_marker)

    assert await relay_of_probe.publish_once() == 1
    notes = await notes_in_stream(harness.redis)
    assert notes == ["1", "2"]


async def test_a_great_loss_is_made_good_in_parts(
    database: Database,
    harness: Harness,
    relay_of_probe: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The marker may move only when everything lost is open again, or the rest would be forgotten."""
    for number in range(7):
        await happen(database, str(number))
    await relay_of_probe.publish_once()
    await harness.redis.flushall()
    monkeypatch.setattr(relay, "_SWEEP_BATCH", 2)
    async with running(relay_of_probe.run):
        await eventually(lambda: harness.redis.xlen("events.probe"), 7)
    assert await notes_in_stream(harness.redis) == [str(number) for number in range(7)]


async def test_a_lost_redis_gets_nothing_older_than_a_week(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    await happen(database, "old")
    await relay_of_probe.publish_once()
    async with database.unit(ALL_TENANTS) as session:
        await session.execute(text("UPDATE outbox SET create_time = now() - interval '8 days'"))
    await harness.redis.flushall()
    assert await relay_of_probe.publish_once() == 0


async def test_published_events_are_kept_for_a_week_and_waiting_ones_for_ever(
    database: Database, relay_of_probe: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_SWEEP_BATCH", 2)
    for note in ("old", "old", "old"):
        await happen(database, note)
    await relay_of_probe.publish_once()
    waiting = await happen(database, "waiting")
    async with database.unit(ALL_TENANTS) as session:
        await session.execute(text("UPDATE outbox SET create_time = now() - interval '8 days'"))
    await relay_of_probe._purge()
    async with database.unit(ALL_TENANTS) as session:
        left = (await session.execute(text("SELECT event_id FROM outbox"))).all()
    assert [row.event_id for row in left] == [waiting]


async def test_two_relays_keep_the_order_even_if_one_is_slow(
    database: Database, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, rounds = relay.publish, 0

    async def unevenly(*args: Any, **more: Any) -> None:
        nonlocal rounds
        rounds += 1
        await asyncio.sleep(0.05 * (rounds % 2))
        await publish(*args, **more)

    monkeypatch.setattr(relay, "_BATCH", 5)
    monkeypatch.setattr(relay, "publish", unevenly)
    for number in range(60):
        await happen(database, f"{number:02}")
    relays = [Relay(database, harness.redis, service="probe") for _ in range(2)]
    async with running(*(one.run for one in relays)):
        await eventually(lambda: harness.redis.xlen("events.probe"), 60)
    assert await notes_in_stream(harness.redis) == [f"{number:02}" for number in range(60)]


async def test_a_poison_event_is_parked_after_its_tries_and_others_go_on(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    tries = 0

    async def choke(session: Session, envelope: Envelope, payload: Message) -> None:
        nonlocal tries
        if payload.note == "poison":  # type: ignore[attr-defined]
            tries += 1
            raise ValueError("cannot be swallowed")
        await write_note(session, envelope, payload)

    async def parked() -> int:
        return len(await inbox.list_dead(harness.redis, "reader"))

    async with running(
        relay_of_probe.run, consumer(database, harness.redis, choke, attempts_max=3).run
    ):
        poison_id = await happen(database, "poison")
        await happen(database, "food")
        await eventually(lambda: notes_of(database), ["food"])
        await eventually(parked, 1)
        await eventually(lambda: pending(harness.redis), 0)
    assert tries == 3
    [letter] = await inbox.list_dead(harness.redis, "reader")
    assert letter.envelope.event_id == str(poison_id)
    assert (letter.stream, letter.attempts) == ("events.probe", 3)
    assert "cannot be swallowed" in letter.fault


async def test_an_event_that_can_never_get_its_lock_does_not_stop_the_others(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    """A timeout of one statement looks like a fault of the database; the database itself says it is well."""

    async def choke(session: Session, envelope: Envelope, payload: Message) -> None:
        if payload.note == "poison":  # type: ignore[attr-defined]
            raise ServiceUnavailable
        await write_note(session, envelope, payload)

    async def parked() -> int:
        return len(await inbox.list_dead(harness.redis, "reader"))

    reader = consumer(database, harness.redis, choke, attempts_max=2)
    async with running(relay_of_probe.run, reader.run):
        await happen(database, "poison")
        await happen(database, "food")
        await eventually(lambda: notes_of(database), ["food"])
        await eventually(parked, 1)


async def test_a_redriven_event_has_its_effect(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    is_broken = True

    async def recover(session: Session, envelope: Envelope, payload: Message) -> None:
        if is_broken:
            raise ValueError
        await write_note(session, envelope, payload)

    async def parked() -> int:
        return len(await inbox.list_dead(harness.redis, "reader"))

    async with running(
        relay_of_probe.run, consumer(database, harness.redis, recover, attempts_max=2).run
    ):
        await happen(database, "late")
        await eventually(parked, 1)
        is_broken = False
        assert await inbox.redrive(harness.redis, "reader") == 1
        await eventually(lambda: notes_of(database), ["late"])
    assert await parked() == 0


async def test_only_the_chosen_letters_are_redriven(harness: Harness) -> None:
    for number in range(3):
        await harness.redis.xadd(
            "dead.reader",
            {
                "envelope": b"",
                "stream": "s",
                "attempts": "1",
                "fault": "f",
                "park_time": datetime.now(UTC).isoformat(),
            },
            id=f"{number + 1}-0",
        )
    assert await inbox.redrive(harness.redis, "reader", ["2-0"]) == 1
    assert [letter.id for letter in await inbox.list_dead(harness.redis, "reader")] == [
        "1-0",
        "3-0",
    ]


async def test_bytes_that_are_no_event_are_parked_at_once(
    database: Database, harness: Harness
) -> None:
    await harness.redis.xadd("events.probe", {"envelope": b"\xff\xff\xff"})
    await harness.redis.xadd("events.probe", {"something": "else"})

    async def parked() -> int:
        return len(await inbox.list_dead(harness.redis, "reader"))

    async with running(consumer(database, harness.redis).run):
        await eventually(parked, 2)


async def test_events_that_a_dead_process_had_read_are_taken_over(
    database: Database, harness: Harness, relay_of_probe: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "_ABANDONED_SECONDS", 0.1)
    await happen(database, "orphan")
    await relay_of_probe.publish_once()
    await harness.redis.xgroup_create("events.probe", "reader", id="0", mkstream=True)
    await harness.redis.xreadgroup("reader", "dead-process", {"events.probe": ">"})
    async with running(consumer(database, harness.redis).run):
        await eventually(lambda: notes_of(database), ["orphan"])
        await eventually(lambda: pending(harness.redis), 0)


async def test_events_nobody_asked_for_are_passed_over(
    database: Database, harness: Harness, relay_of_probe: Relay
) -> None:
    await happen(database, "strange")
    await relay_of_probe.publish_once()
    reader = Consumer(
        database,
        harness.redis,
        service="reader",
        streams=["events.probe"],
        handlers={},
        payloads={},
        backoff_seconds=0.05,
    )
    async with running(reader.run):
        await asyncio.sleep(0.3)
        await eventually(lambda: pending(harness.redis), 0)
    async with database.unit(ALL_TENANTS) as session:
        assert await session.scalar(text("SELECT count(*) FROM inbox")) == 0


async def pending(redis: Redis) -> int:
    """How many events were read and not settled."""
    try:
        summary = await redis.xpending("events.probe", "reader")
    except Exception:
        return -1
    return int(summary["pending"])


async def notes_in_stream(redis: Redis) -> list[str]:
    """The notes of the published events, in the order of the stream."""
    entries: Any = await redis.xrange("events.probe")
    envelopes = [Envelope.FromString(fields[b"envelope"]) for _, fields in entries]
    return [probe.ProbeHappened.FromString(one.payload.value).note for one in envelopes]

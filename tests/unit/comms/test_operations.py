"""Sending, with a store in memory and a provider that does as it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from services.comms import app, operations
from services.comms.domain import (
    ATTEMPTS_MAX,
    LEASE,
    Channel,
    Contact,
    Delivery,
    Message,
    Notice,
    Recipient,
    State,
)
from services.comms.errors import (
    ChannelUnavailable,
    ContactUnknown,
    MessageExists,
    RecipientRefused,
)
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.errors import ServiceUnavailable

ASHA = uuid4()
CODE = {"code": "123456", "minutes": "10"}


class StandingClock(Clock):
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 20, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Memory:
    """The store, in memory; also the database, which can be lost for a number of transactions."""

    def __init__(self) -> None:
        self.messages: dict[UUID, Message] = {}
        self.leases: dict[UUID, datetime] = {}
        self.contacts: dict[UUID, Contact] = {}
        self.provider_ids: dict[UUID, str] = {}
        self.lost = 0

    @asynccontextmanager
    async def unit(self, _tenant_id: str, **_: object) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        if self.lost:
            self.lost -= 1
            raise ServiceUnavailable
        yield

    async def add_message(self, _session: None, new: Message, *, now: datetime) -> bool:
        if new.id in self.messages:
            return False
        self.messages[new.id] = new
        return True

    async def find_message(self, _session: None, _tenant: str, message_id: UUID) -> Message | None:
        return self.messages.get(message_id)

    async def find_contact(self, _session: None, _tenant: str, user_id: UUID) -> Contact | None:
        return self.contacts.get(user_id)

    async def begin_attempt(
        self, _session: None, _tenant: str, message_id: UUID, *, now: datetime, lease_time: datetime
    ) -> Message | None:
        message = self.messages[message_id]
        expired = message.state is State.SENDING and self.leases[message_id] <= now
        if message.state is not State.QUEUED and not expired:
            return None
        self.leases[message_id] = lease_time
        owned = replace(message, state=State.SENDING, attempts=message.attempts + 1)
        self.messages[message_id] = owned
        return owned

    async def end_attempt(
        self,
        _session: None,
        owned: Message,
        *,
        state: State,
        fault: str,
        provider_message_id: str,
        now: datetime,
    ) -> bool:
        self.messages[owned.id] = replace(self.messages[owned.id], state=state, fault=fault)
        self.provider_ids[owned.id] = provider_message_id
        return True


class Provider:
    """Takes deliveries, after doing what `then` says."""

    def __init__(self) -> None:
        self.took: list[Delivery] = []
        self.then: Callable[[], Awaitable[None]] | None = None

    async def send(self, delivery: Delivery) -> str:
        await asyncio.sleep(0)
        if self.then is not None:
            await self.then()
        self.took.append(delivery)
        return f"p{len(self.took)}"

    def refuse_with(self, error: Exception) -> None:
        async def refuse() -> None:
            raise error

        self.then = refuse


class Deferred:
    """Jobs that were asked for."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, datetime | None, dict[str, Any]]] = []
        self.locks: list[str | None] = []

    async def defer(
        self,
        session: Any,
        name: str,
        *,
        run_at: datetime | None = None,
        queueing_lock: str | None = None,
        lock: str | None = None,
        **args: object,
    ) -> None:
        self.jobs.append((name, run_at, args))
        self.locks.append(lock)


class Parts:
    def __init__(self) -> None:
        self.memory = Memory()
        self.provider = Provider()
        self.jobs = Deferred()
        self.clock = StandingClock()
        self.post = operations.Post(
            database=cast(Database, self.memory),
            catalog=app.catalog(),
            senders=dict.fromkeys(Channel, self.provider),
            jobs=self.jobs,
            clock=self.clock,
            secret=b"s" * 32,
        )

    async def send(self, message_id: UUID, **changes: Any) -> bool:
        """A sign-up code by email, unless told otherwise."""
        order: dict[str, Any] = {
            "template": "SIGN_UP_CODE",
            "locale": "en",
            "recipient": Recipient(Channel.EMAIL, "asha@example.com"),
            "variables": CODE,
            "wait_seconds": 1.0,
            **changes,
        }
        return await operations.send_message(
            self.post, tenant_id="default", message_id=message_id, **order
        )

    async def tell(self) -> Message:
        """A stored message to Asha."""
        self.memory.contacts[ASHA] = Contact(ASHA, "Asha", "asha@example.com", "", "en", 1)
        message_id = uuid4()
        await operations.tell(
            self.post,
            cast(Any, None),
            tenant_id="default",
            message_id=message_id,
            notice=Notice(ASHA, "WELCOME", {"name": "Asha"}),
        )
        return self.memory.messages[message_id]

    async def deliver(self, message: Message) -> Message:
        """Run the job of a stored message."""
        await operations.deliver_message(self.post, tenant_id="default", message_id=message.id)
        return self.memory.messages[message.id]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts()
    monkeypatch.setattr(operations, "store", parts.memory)
    monkeypatch.setattr(operations, "_NOTE_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(operations, "_TWIN_POLL_SECONDS", 0.01)
    return parts


async def test_a_sent_message_is_noted_with_the_provider_s_id(parts: Parts) -> None:
    message_id = uuid4()
    assert await parts.send(message_id) is False
    assert parts.memory.messages[message_id].state is State.SENT
    assert parts.memory.provider_ids[message_id] == "p1"
    assert await parts.send(message_id) is True
    assert len(parts.provider.took) == 1


async def test_a_fingerprint_does_not_tell_the_code(parts: Parts) -> None:
    recipient = Recipient(Channel.EMAIL, "asha@example.com")
    other = replace(parts.post, secret=b"t" * 32)
    ours = parts.post.fingerprint("SIGN_UP_CODE", "en", recipient, CODE)
    assert ours == parts.post.fingerprint("SIGN_UP_CODE", "en", recipient, dict(CODE))
    assert ours != other.fingerprint("SIGN_UP_CODE", "en", recipient, CODE)


async def test_the_same_id_with_other_words_is_refused(parts: Parts) -> None:
    message_id = uuid4()
    await parts.send(message_id)
    with pytest.raises(MessageExists):
        await parts.send(message_id, variables={**CODE, "code": "654321"})


async def test_a_twin_is_waited_for(parts: Parts) -> None:
    message_id = uuid4()

    async def slowly() -> None:
        await asyncio.sleep(0.1)

    parts.provider.then = slowly
    answers = await asyncio.gather(*(parts.send(message_id) for _ in range(3)))
    assert sorted(answers) == [False, True, True]
    assert len(parts.provider.took) == 1


async def test_a_twin_that_takes_too_long_is_not_waited_for(parts: Parts) -> None:
    message_id = uuid4()
    release = asyncio.Event()
    parts.provider.then = release.wait  # type: ignore[assignment]
    first = asyncio.create_task(parts.send(message_id))
    await asyncio.sleep(0.05)
    with pytest.raises(ChannelUnavailable):
        await parts.send(message_id, wait_seconds=0.6)
    release.set()
    assert await first is False


async def test_a_caller_who_goes_away_leaves_a_note_behind(parts: Parts) -> None:
    message_id = uuid4()
    release = asyncio.Event()
    parts.provider.then = release.wait  # type: ignore[assignment]
    caller = asyncio.create_task(parts.send(message_id))
    await asyncio.sleep(0.05)
    caller.cancel()
    await asyncio.sleep(0.05)
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert parts.memory.messages[message_id].state is State.SENT


async def test_a_database_lost_after_sending_is_waited_for(parts: Parts) -> None:
    message_id = uuid4()

    async def lose_it() -> None:
        parts.memory.lost = 4

    parts.provider.then = lose_it
    assert await parts.send(message_id) is False
    assert parts.memory.messages[message_id].state is State.SENT


async def test_a_refusal_is_final_and_said_again(parts: Parts) -> None:
    message_id = uuid4()
    parts.provider.refuse_with(RecipientRefused("SMTP_550"))
    for _ in range(2):
        with pytest.raises(RecipientRefused):
            await parts.send(message_id)
    message = parts.memory.messages[message_id]
    assert (message.state, message.fault, message.attempts) == (State.FAILED, "SMTP_550", 1)


@pytest.mark.parametrize(
    ("error", "fault"), [(ChannelUnavailable("SMTP_451"), "SMTP_451"), (KeyError("x"), "KeyError")]
)
async def test_after_a_passing_fault_a_repeat_sends(
    parts: Parts, error: Exception, fault: str
) -> None:
    message_id = uuid4()
    parts.provider.refuse_with(error)
    with pytest.raises(ChannelUnavailable):
        await parts.send(message_id)
    assert parts.memory.messages[message_id].fault == fault
    parts.provider.then = None
    assert await parts.send(message_id) is False


async def test_a_provider_that_never_answers_is_given_up(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_SEND_SECONDS_MAX", 0.05)
    parts.provider.then = asyncio.Event().wait  # type: ignore[assignment]
    message_id = uuid4()
    with pytest.raises(ChannelUnavailable):
        await parts.send(message_id)
    assert parts.memory.messages[message_id].fault == "TIMEOUT"


def test_the_longest_send_ends_well_before_its_lease() -> None:
    noting = operations._NOTE_TRIES * (operations._NOTE_PAUSE_SECONDS + 1)
    assert timedelta(seconds=operations._SEND_SECONDS_MAX + noting) < LEASE


async def test_a_person_is_told_by_a_job(parts: Parts) -> None:
    message = await parts.tell()
    assert message.state is State.QUEUED
    assert parts.jobs.jobs == [
        ("comms.send", None, {"tenant_id": "default", "message_id": str(message.id)})
    ]
    assert (await parts.deliver(message)).state is State.SENT


async def test_first_attempts_keep_their_order_and_later_ones_hold_nobody_up(
    parts: Parts,
) -> None:
    message = await parts.tell()
    parts.provider.refuse_with(ChannelUnavailable("SMS_405"))
    await parts.deliver(message)
    assert parts.jobs.locks == [f"default:{ASHA}", None]


async def test_a_job_that_runs_twice_sends_once(parts: Parts) -> None:
    message = await parts.tell()
    await parts.deliver(message)
    await parts.deliver(message)
    assert len(parts.provider.took) == 1


async def test_pauses_follow_faults_until_the_message_is_given_up(parts: Parts) -> None:
    message = await parts.tell()
    parts.provider.refuse_with(ChannelUnavailable("SMS_405"))
    parts.jobs.jobs.clear()
    for _ in range(ATTEMPTS_MAX):
        message = await parts.deliver(message)
    assert (message.state, message.fault) == (State.FAILED, "SMS_405")
    pauses = [run_at - parts.clock.time for _, run_at, _ in parts.jobs.jobs if run_at]
    assert len(pauses) == ATTEMPTS_MAX - 1
    assert pauses[0] == timedelta(seconds=1) and pauses[-1] == timedelta(hours=1)


async def test_the_job_of_a_dead_process_waits_until_its_lease_is_over(parts: Parts) -> None:
    message = await parts.tell()
    now = parts.clock.now()
    await parts.memory.begin_attempt(None, "", message.id, now=now, lease_time=now + LEASE)
    parts.jobs.jobs.clear()
    assert (await parts.deliver(message)).state is State.SENDING
    [(_, run_at, _)] = parts.jobs.jobs
    assert run_at == now + LEASE
    parts.clock.time += LEASE
    assert (await parts.deliver(message)).state is State.SENT


async def test_a_person_nobody_knows_yet_is_an_error(parts: Parts) -> None:
    with pytest.raises(ContactUnknown):
        await operations.tell(
            parts.post,
            cast(Any, None),
            tenant_id="default",
            message_id=uuid4(),
            notice=Notice(uuid4(), "WELCOME", {"name": "Asha"}),
        )


async def test_a_person_without_an_address_is_told_nothing(parts: Parts) -> None:
    parts.memory.contacts[ASHA] = Contact(ASHA, "Asha", "", "", "en", 1)
    await operations.tell(
        parts.post,
        cast(Any, None),
        tenant_id="default",
        message_id=uuid4(),
        notice=Notice(ASHA, "WELCOME", {"name": "Asha"}),
    )
    assert not parts.memory.messages and not parts.jobs.jobs

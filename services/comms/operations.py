"""What the comms service does. Nothing is sent inside a transaction: own the message, send it, note how it went.

An attempt owns its message for a while (a lease), so two processes never send one message at a time. A process that
dies between sending and noting leaves a lease behind; the next attempt sends again with the same message id, which is
what a mail's Message-ID is made from: a receiver can tell.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prometheus_client import Counter

from services.comms import store
from services.comms.domain import (
    LEASE,
    TEMPLATES,
    Catalog,
    Channel,
    Contact,
    Delivery,
    Message,
    Notice,
    Recipient,
    State,
    Text,
    next_pause,
)
from services.comms.errors import (
    ChannelUnavailable,
    ContactUnknown,
    MessageExists,
    RecipientRefused,
)
from services.kit import crash, telemetry
from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Database, Session, finish
from services.kit.errors import ServiceUnavailable

__all__ = [
    "SEND_JOB",
    "Jobs",
    "Post",
    "Sender",
    "deliver_message",
    "forget_messages",
    "save_contact",
    "send_message",
    "tell",
]

SEND_JOB = "comms.send"
"""The job that sends a stored message; arguments `tenant_id` and `message_id`."""

KEPT = timedelta(days=90)
"""How long a message is remembered; longer than any event comes again."""

_SEND_SECONDS_MAX = 8.0  # all of it, waiting for a connection included: well below the lease
_TWIN_POLL_SECONDS = 0.1
_TWIN_MARGIN_SECONDS = 0.5
_NOTE_TRIES = 6
_NOTE_PAUSE_SECONDS = 0.5

_outcomes = Counter(
    "hazina_messages_total",
    "Attempts to send a message, by outcome: sent, postponed, failed",
    ["channel", "template", "outcome"],
)


class Sender(Protocol):
    """The provider of a channel."""

    async def send(self, delivery: Delivery) -> str:
        """Hand a message over; answers the provider's id of it. Raises ChannelUnavailable or RecipientRefused."""


class Jobs(Protocol):
    """Work for later, joined to a transaction."""

    async def defer(
        self,
        session: Session,
        name: str,
        *,
        run_at: datetime | None = None,
        queueing_lock: str | None = None,
        lock: str | None = None,
        **args: object,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Post:
    """What sending needs."""

    database: Database
    catalog: Catalog
    senders: Mapping[Channel, Sender]
    jobs: Jobs
    clock: Clock
    secret: bytes

    def fingerprint(
        self, template: str, locale: str, recipient: Recipient, variables: Mapping[str, str]
    ) -> bytes:
        """Tells two messages apart without storing their words; keyed, because a code has only a million values."""
        content = [
            template,
            locale,
            recipient.channel,
            recipient.address,
            sorted(variables.items()),
        ]
        key = b"hazina comms fingerprint" + self.secret
        return hmac.digest(key, json.dumps(content).encode(), hashlib.sha256)


async def send_message(
    post: Post,
    *,
    tenant_id: str,
    message_id: UUID,
    template: str,
    locale: str,
    recipient: Recipient,
    variables: Mapping[str, str],
    wait_seconds: float,
) -> bool:
    """Send a message now; True when it was sent before. A twin under way is waited for, `wait_seconds` at most.

    Raises TemplateVariableMismatch, MessageExists, ChannelUnavailable, RecipientRefused.
    """
    text = post.catalog.render(
        template, locale=locale, channel=recipient.channel, variables=variables
    )
    is_secret = TEMPLATES[template].is_secret
    message = Message(
        id=message_id,
        tenant_id=tenant_id,
        template=template,
        locale=locale,
        recipient=recipient,
        subject=None if is_secret else text.subject,
        body=None if is_secret else text.body,
        user_id=None,
        fingerprint=post.fingerprint(template, locale, recipient, variables),
    )
    patience = max(0.0, wait_seconds - _TWIN_MARGIN_SECONDS)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience
    while True:
        standing = await _order(post, message)
        if standing.state is State.SENT:
            return True
        if standing.state is State.FAILED:
            raise RecipientRefused(standing.fault)
        if standing.is_ours:
            break
        if loop.time() >= give_up_at:
            raise ChannelUnavailable("TWIN_UNDER_WAY")
        await asyncio.sleep(_TWIN_POLL_SECONDS)
    # From here on the message may leave: a caller who goes away must not leave it without a note.
    await finish(_send_ordered(post, standing.message, text))
    return False


async def deliver_message(post: Post, *, tenant_id: str, message_id: UUID) -> None:
    """Send a stored message; where the provider does not take it now, try again later, and at last give up."""
    now = post.clock.now()
    async with post.database.unit(tenant_id, actor="system") as session:
        message = await store.begin_attempt(
            session, tenant_id, message_id, now=now, lease_time=now + LEASE
        )
        if message is None:
            found = await store.find_message(session, tenant_id, message_id)
            if found is not None and found.state is State.SENDING:
                await _defer(post, session, found, run_at=now + LEASE)
            return
    assert message.body is not None, "messages with secrets are sent while their caller waits"
    text = Text(message.subject or "", message.body)
    try:
        provider_message_id = await _hand_over(post, message, text)
    except RecipientRefused as refusal:
        await _note(post, message, state=State.FAILED, fault=refusal.fault)
        return
    except ChannelUnavailable as fault:
        pause = next_pause(message.attempts)
        if pause is None:
            await _note(post, message, state=State.FAILED, fault=fault.fault)
        else:
            retry_time = post.clock.now() + pause
            await _note(post, message, state=State.QUEUED, fault=fault.fault, retry_time=retry_time)
        return
    await _note(post, message, state=State.SENT, provider_message_id=provider_message_id)


async def save_contact(post: Post, session: Session, *, tenant_id: str, contact: Contact) -> None:
    """Remember how to reach a person. Joins the session's transaction."""
    await store.save_contact(session, tenant_id, contact, now=post.clock.now())


async def tell(
    post: Post, session: Session, *, tenant_id: str, message_id: UUID, notice: Notice
) -> None:
    """Store a message to a person once and have it sent. Joins the session's transaction.

    Raises ContactUnknown. A person without any address is told nothing.
    """
    contact = await store.find_contact(session, tenant_id, notice.user_id)
    if contact is None:
        raise ContactUnknown(f"no contact yet for user {notice.user_id}")
    recipient = contact.recipient
    if recipient is None:
        telemetry.log.warning("contact_unreachable", user=str(notice.user_id))
        return
    text = post.catalog.render(
        notice.template,
        locale=contact.locale,
        channel=recipient.channel,
        variables=notice.variables,
    )
    assert not TEMPLATES[notice.template].is_secret, "events carry no secrets"
    message = Message(
        id=message_id,
        tenant_id=tenant_id,
        template=notice.template,
        locale=contact.locale,
        recipient=recipient,
        subject=text.subject,
        body=text.body,
        user_id=notice.user_id,
        fingerprint=post.fingerprint(notice.template, contact.locale, recipient, notice.variables),
    )
    if await store.add_message(session, message, now=post.clock.now()):
        await _defer(post, session, message)


async def forget_messages(post: Post) -> int:
    """Delete messages whose time is over, of all tenants; answers how many."""
    async with post.database.unit(ALL_TENANTS, actor="system") as session:
        return await store.delete_messages(session, before=post.clock.now() - KEPT)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a message stands; `is_ours` when this call is the one to send it."""

    message: Message
    is_ours: bool

    @property
    def state(self) -> State:
        return self.message.state

    @property
    def fault(self) -> str:
        return self.message.fault


async def _order(post: Post, message: Message) -> _Standing:
    now = post.clock.now()
    async with post.database.unit(message.tenant_id, actor="system") as session:
        await store.add_message(session, message, now=now)
        found = await store.find_message(session, message.tenant_id, message.id)
        assert found is not None, "it was added, or was there"
        if not hmac.compare_digest(found.fingerprint, message.fingerprint):
            raise MessageExists(message_id=str(message.id))
        owned = await store.begin_attempt(
            session, message.tenant_id, message.id, now=now, lease_time=now + LEASE
        )
        return _Standing(owned or found, is_ours=owned is not None)


async def _send_ordered(post: Post, message: Message, text: Text) -> None:
    try:
        provider_message_id = await _hand_over(post, message, text)
    except RecipientRefused as refusal:
        await _note(post, message, state=State.FAILED, fault=refusal.fault)
        raise
    except ChannelUnavailable as fault:
        await _note(post, message, state=State.QUEUED, fault=fault.fault)
        raise
    await _note(post, message, state=State.SENT, provider_message_id=provider_message_id)


async def _hand_over(post: Post, message: Message, text: Text) -> str:
    crash.reach("comms.message.before_send")
    try:
        async with asyncio.timeout(_SEND_SECONDS_MAX):
            provider_message_id = await post.senders[message.recipient.channel].send(
                Delivery(message.id, message.recipient, text)
            )
    except (ChannelUnavailable, RecipientRefused):
        raise
    except TimeoutError as error:
        raise ChannelUnavailable("TIMEOUT") from error
    except Exception as error:
        telemetry.log.error("sender_broke", exc_info=error, message_id=str(message.id))
        raise ChannelUnavailable(type(error).__name__) from error
    crash.reach("comms.message.after_send")
    return provider_message_id


async def _note(
    post: Post,
    message: Message,
    *,
    state: State,
    fault: str = "",
    provider_message_id: str = "",
    retry_time: datetime | None = None,
) -> None:
    """Note how an attempt ended. A lost database is waited for: a sent message without a note would be sent again."""
    for tries_left in reversed(range(_NOTE_TRIES)):
        try:
            async with post.database.unit(message.tenant_id, actor="system") as session:
                is_noted = await store.end_attempt(
                    session,
                    message,
                    state=state,
                    fault=fault,
                    provider_message_id=provider_message_id,
                    now=post.clock.now(),
                )
                if is_noted and retry_time is not None:
                    await _defer(post, session, message, run_at=retry_time)
            break
        except ServiceUnavailable:
            if not tries_left:
                raise
            await asyncio.sleep(_NOTE_PAUSE_SECONDS)
    _report(message, state, fault)


def _report(message: Message, state: State, fault: str) -> None:
    channel = message.recipient.channel.value
    outcome = {State.SENT: "sent", State.FAILED: "failed"}.get(state, "postponed")
    _outcomes.labels(channel, message.template, outcome).inc()
    write = telemetry.log.error if state is State.FAILED else telemetry.log.info
    write(
        f"message_{outcome}",
        message_id=str(message.id),
        tenant=message.tenant_id,
        template=message.template,
        channel=channel,
        attempt=message.attempts,
        fault=fault,
    )


async def _defer(
    post: Post, session: Session, message: Message, *, run_at: datetime | None = None
) -> None:
    """Have a message sent. First attempts at one person keep their order; later ones hold nobody up."""
    await post.jobs.defer(
        session,
        SEND_JOB,
        run_at=run_at,
        lock=f"{message.tenant_id}:{message.user_id}" if run_at is None else None,
        tenant_id=message.tenant_id,
        message_id=str(message.id),
    )

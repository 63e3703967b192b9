"""Events of auth and payments, and the messages that they cause: each once, whatever is repeated, wiped or refused."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from google.protobuf.message import Message

from hazina.auth.v1.auth_events_pb2 import MemberAdded, UserUpdated, UserVerified
from hazina.event.v1.envelope_pb2 import Envelope
from hazina.payments.v1.payments_events_pb2 import TransactionChanged
from hazina.payments.v1.transaction_pb2 import Transaction
from hazina.type.v1.money_pb2 import Money
from services.comms import domain
from services.kit import inbox, relay
from services.kit.clock import Clock
from simulators.sms.exchange import Fault
from tests.factories import comms
from tests.factories.comms import Receivers, until
from tests.harness import Harness, Running

ASHA, BRIAN = "asha@example.com", "+254712345678"
_clock = Clock()


@pytest.fixture
async def running(
    harness: Harness, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    """The service with consumer and jobs, and with short pauses between attempts."""
    monkeypatch.setattr(domain, "_PAUSES_SECONDS", (0.1, 0.1, 0.1))
    monkeypatch.setattr(domain, "ATTEMPTS_MAX", 4)
    async with comms.comms(harness, receivers, background=True) as running:
        yield running


class Facts:
    """Publishes events as the relays of auth and payments do, and remembers them for repeats."""

    def __init__(self, harness: Harness) -> None:
        self._redis = harness.redis
        self.published: list[tuple[str, Envelope]] = []

    async def publish(
        self,
        type_: str,
        payload: Message,
        *,
        about: UUID,
        version: int = 1,
        tenant: str = "default",
    ) -> Envelope:
        """A new event."""
        envelope = Envelope(
            event_id=str(_clock.new_id()),
            type=type_,
            tenant_id=tenant,
            aggregate_id=str(about),
            aggregate_version=version,
            actor="system",
        )
        envelope.occur_time.FromDatetime(datetime.now(UTC))
        envelope.payload.Pack(payload)
        await self.repeat(type_.partition(".")[0], envelope)
        self.published.append((type_.partition(".")[0], envelope))
        return envelope

    async def repeat(self, service: str, envelope: Envelope) -> None:
        """An event that comes once more."""
        await relay.publish(self._redis, service, [envelope])

    async def verified(
        self,
        *,
        email: str = "",
        phone: str = "",
        name: str = "Asha",
        locale: str = "en",
        tenant: str = "default",
    ) -> UUID:
        """A new person; their id."""
        user_id = _clock.new_id()
        payload = UserVerified(
            user_id=str(user_id), display_name=name, email=email, phone=phone, locale=locale
        )
        await self.publish("auth.user.verified", payload, about=user_id, tenant=tenant)
        return user_id

    async def transaction(
        self,
        kind: Any,
        state: Any,
        *,
        payer: UUID | None = None,
        payee: UUID | None = None,
        transaction_id: UUID | None = None,
        version: int = 1,
        tenant: str = "default",
        **facts: Any,
    ) -> UUID:
        """A transaction that changed; its id."""
        transaction_id = transaction_id or _clock.new_id()
        values: dict[str, Any] = {
            "amount": Money(currency="KES", minor_units=120050),
            "fee": Money(currency="KES", minor_units=0),
            **facts,
        }
        payload = TransactionChanged(
            transaction=Transaction(id=str(transaction_id), kind=kind, state=state, **values),
            payer_user_id="" if payer is None else str(payer),
            payee_user_id="" if payee is None else str(payee),
            payer_name="Asha Wanjiru" if payer else "",
            payee_name="B**** O*****" if payee else "",
        )
        await self.publish(
            "payments.transaction.changed",
            payload,
            about=transaction_id,
            version=version,
            tenant=tenant,
        )
        return transaction_id


@pytest.fixture
def facts(harness: Harness) -> Facts:
    return Facts(harness)


async def rows(harness: Harness) -> Sequence[asyncpg.Record]:
    """Every stored message."""
    place = await harness.database("comms")
    admin = await asyncpg.connect(place.admin_url)
    try:
        found: Sequence[asyncpg.Record] = await admin.fetch(
            "SELECT * FROM comms.message ORDER BY create_time"
        )
        return found
    finally:
        await admin.close()


async def settled(harness: Harness, count: int) -> bool:
    """Whether that many messages came to an end."""
    return [row["state"] in ("SENT", "FAILED") for row in await rows(harness)] == [True] * count


async def quiet() -> None:
    """Time for something that must not happen."""
    await asyncio.sleep(1.5)


@pytest.mark.usefixtures("running")
class TestWelcome:
    async def test_a_verified_person_is_welcomed_by_email(
        self, facts: Facts, receivers: Receivers
    ) -> None:
        await facts.verified(email=ASHA)
        await until(lambda: receivers.mails(ASHA))
        assert receivers.mails(ASHA)[0].subject == "Welcome to Hazina, Asha"

    async def test_a_person_without_email_is_welcomed_by_sms_in_their_language(
        self, facts: Facts, receivers: Receivers
    ) -> None:
        await facts.verified(phone=BRIAN, name="Brian", locale="sw")
        await until(lambda: receivers.sms(BRIAN))
        assert receivers.sms(BRIAN)[0].body.startswith("Karibu Hazina, Brian!")

    async def test_a_further_tenant_welcomes_too(self, facts: Facts, receivers: Receivers) -> None:
        user_id = await facts.verified(email=ASHA)
        payload = MemberAdded(user_id=str(user_id), display_name="Asha", email=ASHA, locale="en")
        await facts.publish("auth.member.added", payload, about=user_id, version=2, tenant="second")
        await until(lambda: len(receivers.mails(ASHA)) == 2)

    async def test_the_newest_address_counts_in_whatever_order_events_come(
        self, facts: Facts, receivers: Receivers
    ) -> None:
        user_id = await facts.verified(email=ASHA)
        for version, address in ((3, "new@example.com"), (2, "old@example.com")):
            payload = UserUpdated(user_id=str(user_id), display_name="Asha", email=address)
            await facts.publish("auth.user.updated", payload, about=user_id, version=version)
        await facts.transaction(Transaction.DEPOSIT, Transaction.COMPLETED, payee=user_id)
        await until(lambda: receivers.mails("new@example.com"))
        assert not receivers.mails("old@example.com")


@pytest.mark.usefixtures("running")
class TestMoney:
    async def test_a_deposit_names_amount_and_receipt(
        self, facts: Facts, receivers: Receivers
    ) -> None:
        asha = await facts.verified(email=ASHA)
        await facts.transaction(
            Transaction.DEPOSIT,
            Transaction.COMPLETED,
            payee=asha,
            amount=Money(currency="KES", minor_units=500000),
            provider_receipt="TKJ4XYZ123",
        )
        await until(lambda: len(receivers.mails(ASHA)) == 2)
        mail = receivers.mails(ASHA)[0]
        assert mail.subject == "You deposited KES 5,000.00"
        assert mail.body == "KES 5,000.00 came into your wallet. Receipt TKJ4XYZ123."

    async def test_a_transfer_tells_both_sides(self, facts: Facts, receivers: Receivers) -> None:
        asha = await facts.verified(email=ASHA)
        brian = await facts.verified(phone=BRIAN, name="Brian")
        await facts.transaction(
            Transaction.TRANSFER, Transaction.COMPLETED, payer=asha, payee=brian, note="Rent"
        )
        await until(lambda: len(receivers.mails(ASHA)) == 2 and len(receivers.sms(BRIAN)) == 2)
        assert receivers.mails(ASHA)[0].body == "You sent B**** O***** KES 1,200.50. Note: Rent"
        assert (
            receivers.sms(BRIAN)[0].body == "Hazina: Asha Wanjiru sent you KES 1,200.50. Note: Rent"
        )

    async def test_a_withdrawal_that_failed_and_then_succeeded_is_told_twice(
        self, facts: Facts, receivers: Receivers
    ) -> None:
        brian = await facts.verified(phone=BRIAN)
        transaction_id = await facts.transaction(
            Transaction.WITHDRAWAL, Transaction.FAILED, payer=brian
        )
        await until(lambda: len(receivers.sms(BRIAN)) == 2)
        await facts.transaction(
            Transaction.WITHDRAWAL,
            Transaction.COMPLETED,
            payer=brian,
            transaction_id=transaction_id,
            version=2,
            provider_receipt="TKJ9",
        )
        await until(lambda: len(receivers.sms(BRIAN)) == 3)
        paid, failed, _ = receivers.sms(BRIAN)
        assert paid.body == "Hazina: KES 1,200.50 was paid out. Receipt TKJ9."
        assert "did not go through" in failed.body

    async def test_steps_on_the_way_are_not_told(
        self, facts: Facts, receivers: Receivers, harness: Harness
    ) -> None:
        asha = await facts.verified(email=ASHA)
        for state in (Transaction.PENDING, Transaction.PROCESSING, Transaction.UNKNOWN):
            await facts.transaction(Transaction.WITHDRAWAL, state, payer=asha)
        await until(lambda: receivers.mails(ASHA))
        await quiet()
        assert [row["template"] for row in await rows(harness)] == ["WELCOME"]

    async def test_people_of_one_tenant_are_strangers_in_another(
        self, facts: Facts, harness: Harness, receivers: Receivers
    ) -> None:
        asha = await facts.verified(email=ASHA)
        await facts.transaction(
            Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha, tenant="second"
        )
        await until(lambda: receivers.mails(ASHA))
        await quiet()
        assert len(await rows(harness)) == 1


@pytest.mark.usefixtures("running")
class TestOnce:
    async def test_an_event_that_comes_ten_times_sends_one_message(
        self, facts: Facts, receivers: Receivers, harness: Harness
    ) -> None:
        asha = await facts.verified(email=ASHA)
        await facts.transaction(Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha)
        for _ in range(9):
            for service, envelope in facts.published:
                await facts.repeat(service, envelope)
        await until(lambda: len(receivers.mails(ASHA)) == 2)
        await quiet()
        assert len(receivers.mails(ASHA)) == 2
        assert len(await rows(harness)) == 2

    async def test_a_second_event_of_the_same_outcome_tells_nothing_new(
        self, facts: Facts, receivers: Receivers
    ) -> None:
        asha = await facts.verified(email=ASHA)
        transaction_id = await facts.transaction(
            Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha
        )
        await facts.transaction(
            Transaction.DEPOSIT,
            Transaction.COMPLETED,
            payee=asha,
            transaction_id=transaction_id,
            version=2,
        )
        await until(lambda: len(receivers.mails(ASHA)) == 2)
        await quiet()
        assert len(receivers.mails(ASHA)) == 2

    async def test_a_wiped_valkey_that_is_filled_again_sends_nothing_twice(
        self, facts: Facts, receivers: Receivers, harness: Harness
    ) -> None:
        asha = await facts.verified(email=ASHA)
        await facts.transaction(Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha)
        await until(lambda: len(receivers.mails(ASHA)) == 2)
        await harness.redis.flushall()
        await facts.transaction(Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha)
        for service, envelope in facts.published:
            await facts.repeat(service, envelope)
        await until(lambda: len(receivers.mails(ASHA)) == 3)
        await quiet()
        assert len(receivers.mails(ASHA)) == 3
        assert len(await rows(harness)) == 3


@pytest.mark.usefixtures("running")
class TestProvidersInTrouble:
    async def test_a_mail_server_that_is_busy_gets_the_mail_later_and_once(
        self, facts: Facts, receivers: Receivers, harness: Harness
    ) -> None:
        receivers.mail.faults.temporary = 2
        await facts.verified(email=ASHA)
        await until(lambda: settled(harness, 1))
        await quiet()
        assert len(receivers.mails(ASHA)) == 1
        [row] = await rows(harness)
        assert (row["state"], row["attempts"], row["fault"]) == ("SENT", 3, "")
        assert row["provider_message_id"] == receivers.mails(ASHA)[0].reference

    async def test_a_refused_mail_is_given_up_at_once_with_its_reason(
        self, facts: Facts, receivers: Receivers, harness: Harness
    ) -> None:
        receivers.mail.faults.refused = frozenset({ASHA})
        await facts.verified(email=ASHA)
        await until(lambda: settled(harness, 1))
        [row] = await rows(harness)
        assert (row["state"], row["attempts"], row["fault"]) == ("FAILED", 1, "SMTP_550")

    async def test_a_provider_that_never_recovers_ends_in_failure_with_its_reason(
        self, facts: Facts, receivers: Receivers, harness: Harness
    ) -> None:
        receivers.text_faults.on.append(Fault("InsufficientBalance"))
        await facts.verified(phone=BRIAN)
        await until(lambda: settled(harness, 1), seconds=25)
        [row] = await rows(harness)
        assert (row["state"], row["attempts"], row["fault"]) == ("FAILED", 4, "SMS_405")
        assert not receivers.sms()


async def test_a_payment_before_its_contact_waits_for_it(
    running: Running, facts: Facts, receivers: Receivers
) -> None:
    asha = _clock.new_id()
    await facts.transaction(Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha)
    await asyncio.sleep(0.5)
    payload = UserVerified(user_id=str(asha), display_name="Asha", email=ASHA, locale="en")
    await facts.publish("auth.user.verified", payload, about=asha)
    await until(lambda: len(receivers.mails(ASHA)) == 2)


async def test_a_payment_whose_contact_never_comes_is_parked_and_can_be_redriven(
    harness: Harness, receivers: Receivers, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.comms.app._EVENT_ATTEMPTS_MAX", 2)
    async with comms.comms(harness, receivers, background=True):
        asha = _clock.new_id()
        await facts.transaction(Transaction.DEPOSIT, Transaction.COMPLETED, payee=asha)

        async def parked() -> bool:
            return bool(await inbox.list_dead(harness.redis, "comms"))

        await until(parked)
        [letter] = await inbox.list_dead(harness.redis, "comms")
        assert letter.fault == f"ContactUnknown: no contact yet for user {asha}"
        payload = UserVerified(user_id=str(asha), display_name="Asha", email=ASHA, locale="en")
        await facts.publish("auth.user.verified", payload, about=asha)
        await until(lambda: receivers.mails(ASHA))
        assert await inbox.redrive(harness.redis, "comms") == 1
        await until(lambda: len(receivers.mails(ASHA)) == 2)

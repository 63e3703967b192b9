"""Deposits, transfers and withdrawals: from the caller's wish to the first answer."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit import idempotency
from services.kit.database import Session
from services.kit.errors import (
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    ServiceUnavailable,
)
from services.kit.identity import Call
from services.payments import domain, store
from services.payments.domain import (
    OUTSIDE,
    Destination,
    Direction,
    Kind,
    OutsideOrder,
    Party,
    Person,
    Preview,
    State,
    Transaction,
    TransferOrder,
    Wallet,
)
from services.payments.errors import (
    CurrencyMismatch,
    RecipientIsSource,
    RecipientNotFound,
    WalletNotFound,
    refusal_of,
)
from services.payments.operations import steps
from services.payments.operations.desk import Desk

__all__ = [
    "again",
    "answer",
    "create_deposit",
    "create_transfer",
    "create_withdrawal",
    "earlier",
    "preview_transfer",
]

_TWIN_WAIT_SECONDS = 5.0
_TWIN_POLL_SECONDS, _TWIN_POLL_SECONDS_MAX = 0.05, 0.4
_ANSWER_MARGIN_SECONDS = 0.5


# --- transfers --------------------------------------------------------------------------------------------------------


async def preview_transfer(
    desk: Desk, call: Call, destination: Destination, *, currency: str, amount_minor: int
) -> Preview:
    """Who would get it and what it would cost."""
    _, payee = await _recipient(desk, call.tenant_id, destination, currency)
    async with desk.database.unit(call.tenant_id) as session:
        rule = await store.find_fee(session, "", Kind.TRANSFER, currency)
    fee_minor = domain.fee_minor(amount_minor, rule)
    return Preview(payee.masked_name, currency, amount_minor, fee_minor)


async def create_transfer(desk: Desk, call: Call, order: TransferOrder) -> Transaction:
    """Move money to a person or wallet of the tenant. Answers COMPLETED, or raises what the ledger refused."""
    made_before = await earlier(desk, call)
    if made_before is not None:
        return await again(desk, call, made_before)
    tenant_id = call.tenant_id
    source = await _own_wallet(desk, call, order.source_wallet_id, order.currency)
    wallet, payee = await _recipient(desk, tenant_id, order.destination, order.currency)
    if wallet.id == source.id:
        raise RecipientIsSource
    payer = await _caller(desk, call, source)
    async with desk.database.unit(tenant_id, user_id=call.signed_in.id) as session:
        rule = await store.find_fee(session, "", Kind.TRANSFER, order.currency)
        fee_minor = domain.fee_minor(order.amount_minor, rule)
        made = _new(
            desk,
            call,
            Kind.TRANSFER,
            order.currency,
            amount_minor=order.amount_minor,
            fee_minor=fee_minor,
            payer=payer,
            payee=payee,
            note=order.note,
        )
        lease_id = desk.clock.new_id()
        transaction_id = await _claim_and_begin(desk, session, call, made, lease_id)
    if transaction_id != made.id:
        return await again(desk, call, transaction_id)
    steps.reach(made, "after_t1")
    return await _finish(desk, call, made, lease_id)


async def _recipient(
    desk: Desk, tenant_id: str, destination: Destination, currency: str
) -> tuple[Wallet, Party]:
    """The wallet that would be paid, with its owner. Raises RecipientNotFound, whatever the reason."""
    person: Person | None = None
    wallet: Wallet | None = None
    if destination.wallet_id is not None:
        found = await desk.ledger.wallets(tenant_id, [destination.wallet_id])
        wallet = found.get(destination.wallet_id)
        if wallet is not None and wallet.currency != currency:
            wallet = None
        if wallet is not None and not wallet.is_group:
            people = await desk.directory.people(tenant_id, [wallet.owner_id])
            person = people.get(wallet.owner_id)
    else:
        person = await desk.directory.resolve(tenant_id, destination.identifier)
        if person is not None:
            wallet = await desk.ledger.find_wallet(tenant_id, person.user_id, currency)
    if wallet is None or (person is None and not wallet.is_group):
        raise RecipientNotFound
    if person is None:
        return wallet, Party(None, wallet.id, wallet.name, wallet.name)
    return wallet, Party(person.user_id, wallet.id, person.name, person.masked_name)


# --- deposits and withdrawals -----------------------------------------------------------------------------------------


async def create_deposit(desk: Desk, call: Call, order: OutsideOrder) -> Transaction:
    """Bring money in. Answers PENDING or PROCESSING; a job asks the payer's phone."""
    made_before = await earlier(desk, call)
    if made_before is not None:
        return await again(desk, call, made_before)
    desk.rails.check_method(order.method, Direction.IN)
    wallet = await _own_wallet(desk, call, order.wallet_id, order.currency)
    offer = desk.rails.offer(order.method, Direction.IN, order.currency)
    payee = await _caller(desk, call, wallet)
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        rule = await store.find_fee(session, offer.rail, Kind.DEPOSIT, order.currency)
        offer.check(order.amount_minor)
        fee_minor = domain.fee_minor(order.amount_minor, rule, step_minor=offer.amount_step)
        made = _new(
            desk,
            call,
            Kind.DEPOSIT,
            order.currency,
            amount_minor=order.amount_minor,
            fee_minor=fee_minor,
            payer=OUTSIDE,
            payee=payee,
            rail=offer.rail,
            phone=order.phone,
        )
        transaction_id = await _claim_and_begin(desk, session, call, made, None)
    if transaction_id != made.id:
        return await again(desk, call, transaction_id)
    steps.reach(made, "after_t1")
    return await answer(desk, call, made.id)


async def create_withdrawal(desk: Desk, call: Call, order: OutsideOrder) -> Transaction:
    """Take money out. The money is held when this answers; a job hands it to the provider."""
    made_before = await earlier(desk, call)
    if made_before is not None:
        return await again(desk, call, made_before)
    desk.rails.check_method(order.method, Direction.OUT)
    wallet = await _own_wallet(desk, call, order.wallet_id, order.currency)
    offer = desk.rails.offer(order.method, Direction.OUT, order.currency)
    payer = await _caller(desk, call, wallet)
    async with desk.database.unit(call.tenant_id, user_id=call.signed_in.id) as session:
        rule = await store.find_fee(session, offer.rail, Kind.WITHDRAWAL, order.currency)
        offer.check(order.amount_minor)
        made = _new(
            desk,
            call,
            Kind.WITHDRAWAL,
            order.currency,
            amount_minor=order.amount_minor,
            fee_minor=domain.fee_minor(order.amount_minor, rule),
            payer=payer,
            payee=OUTSIDE,
            rail=offer.rail,
            phone=order.phone,
        )
        lease_id = desk.clock.new_id()
        transaction_id = await _claim_and_begin(desk, session, call, made, lease_id)
    if transaction_id != made.id:
        return await again(desk, call, transaction_id)
    steps.reach(made, "after_t1")
    return await _finish(desk, call, made, lease_id)


# --- what they share --------------------------------------------------------------------------------------------------


async def _own_wallet(desk: Desk, call: Call, wallet_id: UUID, currency: str) -> Wallet:
    """A wallet of the caller in this currency. Raises WalletNotFound or CurrencyMismatch."""
    wallet = (await desk.ledger.wallets(call.tenant_id, [wallet_id])).get(wallet_id)
    if wallet is None or wallet.is_group or wallet.owner_id != call.signed_in.id:
        raise WalletNotFound
    if wallet.currency != currency:
        raise CurrencyMismatch(walletCurrency=wallet.currency)
    return wallet


async def _caller(desk: Desk, call: Call, wallet: Wallet) -> Party:
    user_id = call.signed_in.id
    person = (await desk.directory.people(call.tenant_id, [user_id])).get(user_id)
    if person is None:
        raise WalletNotFound  # a token may outlive its owner's place in the tenant
    return Party(user_id, wallet.id, person.name, person.masked_name)


def _new(
    desk: Desk,
    call: Call,
    kind: Kind,
    currency: str,
    *,
    amount_minor: int,
    fee_minor: int,
    payer: Party,
    payee: Party,
    rail: str = "",
    phone: str = "",
    note: str = "",
) -> Transaction:
    now = desk.clock.now()
    return Transaction(
        tenant_id=call.tenant_id,
        id=desk.clock.new_id(),
        kind=kind,
        state=State.PENDING,
        currency=currency,
        amount_minor=amount_minor,
        fee_minor=fee_minor,
        payer=payer,
        payee=payee,
        actor=call.actor,
        create_time=now,
        update_time=now,
        rail=rail,
        phone=phone,
        note=note,
    )


async def _claim_and_begin(
    desk: Desk, session: Session, call: Call, made: Transaction, lease_id: UUID | None
) -> UUID:
    """T1: key, row and job in one transaction. Answers whose id the key leads to."""
    claim = await idempotency.claim(session, call, resource_id=made.id)
    if claim.is_new:
        await steps.begin(desk, session, made, lease_id=lease_id)
    return claim.resource_id


async def _finish(desk: Desk, call: Call, pending: Transaction, lease_id: UUID) -> Transaction:
    """Do the first ledger step, and answer. What ends here is remembered in the transaction that ends it."""
    ended: list[Transaction] = []

    async def remember(session: Session, transaction: Transaction) -> None:
        await idempotency.remember_answer(session, call, _snapshot(transaction))
        ended.append(transaction)

    step = domain.next_step(pending)
    await steps.first_step(desk, pending, step, lease_id=lease_id, sends=False, remember=remember)
    if ended:
        return _or_refusal(ended[0])
    return await answer(desk, call, pending.id)


# --- repeats ----------------------------------------------------------------------------------------------------------


async def earlier(desk: Desk, call: Call) -> UUID | None:
    """What an earlier call with this key made; asked first, so that a repeat depends on nothing that has changed since."""
    async with desk.database.unit(call.tenant_id) as session:
        known = await store.find_key(session, call)
    if known is None:
        return None
    fingerprint, transaction_id, _ = known
    if fingerprint != call.fingerprint:
        raise IdempotencyKeyReused
    call.mark_replayed()
    return transaction_id


async def again(desk: Desk, call: Call, transaction_id: UUID) -> Transaction:
    """Answer a repeat: wait for a twin in flight, then continue its steps."""
    remaining = call.remaining_seconds()
    wait = _TWIN_WAIT_SECONDS
    if remaining is not None:
        wait = min(wait, remaining - _ANSWER_MARGIN_SECONDS)
    until = time.monotonic() + wait
    pause = _TWIN_POLL_SECONDS
    while True:
        async with desk.database.unit(call.tenant_id) as session:
            known = await store.find_key(session, call)
            found = await store.find_transaction(session, transaction_id)
        assert known is not None and found is not None, "a key is written with its transaction"
        if known[2] is not None or found.state is not State.PENDING or found.flow is domain.Flow.IN:
            return await answer(desk, call, transaction_id)
        if time.monotonic() >= until:
            break
        await asyncio.sleep(pause)
        pause = min(2 * pause, _TWIN_POLL_SECONDS_MAX)
    lease_id = desk.clock.new_id()
    async with desk.database.unit(call.tenant_id) as session:
        leased = await store.take_lease(
            session, transaction_id, lease_id=lease_id, now=desk.clock.now(), lease=steps.LEASE
        )
    if leased is None:
        raise IdempotencyKeyInFlight(retry_after_seconds=1)
    return await _finish(desk, call, leased, lease_id)


async def answer(desk: Desk, call: Call, transaction_id: UUID) -> Transaction:
    """The transaction as it stood when the key was first answered. Raises what the ledger refused."""
    async with desk.database.unit(call.tenant_id) as session:
        transaction = await store.find_transaction(session, transaction_id, lock=True)
        known = await store.find_key(session, call)
        assert transaction is not None and known is not None, "T1 wrote both"
        remembered = known[2]
        if remembered is None:
            if transaction.state is State.PENDING and transaction.flow in (
                domain.Flow.INSIDE,
                domain.Flow.UNDO,
            ):
                raise ServiceUnavailable  # the first step had no end; the job goes on
            await idempotency.remember_answer(session, call, _snapshot(transaction))
            if transaction.state is State.PENDING and transaction.flow is domain.Flow.OUT:
                # The money is held: hand it to the provider now.
                await store.release_lease(session, transaction_id)
                await steps.defer_drive(desk, session, transaction)
    if remembered is not None:
        transaction = _as_answered(transaction, remembered)
    return _or_refusal(transaction)


def _or_refusal(transaction: Transaction) -> Transaction:
    """The transaction, unless the ledger refused it before anything was sent."""
    if transaction.state is State.FAILED and transaction.send_attempt_time is None:
        raise refusal_of(transaction.failure_reason)
    return transaction


def _snapshot(transaction: Transaction) -> dict[str, Any]:
    """What of an answer may change later."""
    t = transaction
    return {
        "state": t.state.value,
        "amount_minor": t.amount_minor,
        "fee_minor": t.fee_minor,
        "failure_reason": t.failure_reason,
        "failure_message": t.failure_message,
        "provider_receipt": t.provider_receipt,
        "sent": t.send_attempt_time is not None,
        "update_time": t.update_time.isoformat(),
        "complete_time": t.complete_time.isoformat() if t.complete_time else None,
    }


def _as_answered(transaction: Transaction, answer: Mapping[str, Any]) -> Transaction:
    complete_time = answer["complete_time"]
    state = State(answer["state"])
    return replace(
        transaction,
        state=state,
        amount_minor=answer["amount_minor"],
        fee_minor=answer["fee_minor"],
        failure_reason=answer["failure_reason"],
        failure_message=answer["failure_message"],
        provider_receipt=answer["provider_receipt"],
        send_attempt_time=transaction.send_attempt_time if answer["sent"] else None,
        reversal_transaction_id=transaction.reversal_transaction_id
        if state is State.REVERSED or transaction.kind is Kind.REVERSAL
        else None,
        update_time=datetime.fromisoformat(answer["update_time"]),
        complete_time=datetime.fromisoformat(complete_time) if complete_time else None,
    )

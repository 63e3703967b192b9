"""Money of groups: contributions and payouts that the groups service wants carried out.

The caller makes the id, so there is no key: a repeat finds the transaction and continues it.
"""

import asyncio
import time
from dataclasses import replace

from services.kit.errors import ServiceUnavailable
from services.kit.identity import Call
from services.payments import domain, store
from services.payments.domain import (
    Direction,
    Flow,
    GroupOrder,
    Kind,
    Method,
    Offer,
    Party,
    State,
    Transaction,
    Wallet,
)
from services.payments.errors import (
    CurrencyMismatch,
    RecipientIsSource,
    RecipientNotFound,
    TransactionExists,
    WalletNotFound,
    refusal_of,
)
from services.payments.operations import steps
from services.payments.operations.desk import Desk

__all__ = ["create", "preview_payout"]

_TWIN_WAIT_SECONDS = 5.0
_ANSWER_MARGIN_SECONDS = 0.5
_TWIN_POLL_SECONDS = 0.05


async def create(desk: Desk, call: Call, order: GroupOrder) -> Transaction:
    """Carry an order out as far as it goes now. Raises what the ledger refused, each time the same."""
    known = await _find(desk, order)
    if known is not None:
        return await _again(desk, call, order, known)
    made = await _prepared(desk, order, actor=call.actor)
    lease_id = None if made.flow is Flow.IN else desk.clock.new_id()
    async with desk.database.unit(order.tenant_id, user_id=order.user_id) as session:
        if await store.lock_new(session, made.id):
            await steps.begin(desk, session, made, lease_id=lease_id)
        else:
            lease_id = None
    known = await _find(desk, order)
    assert known is not None, "one of the twins wrote it"
    if lease_id is None:
        return await _again(desk, call, order, known)
    steps.reach(made, "after_t1")
    step = domain.next_step(made)
    await steps.first_step(desk, made, step, lease_id=lease_id, sends=False)
    return await _answer(desk, order)


async def preview_payout(desk: Desk, order: GroupOrder) -> int:
    """What a payout would cost, in minor units. Raises what would refuse it, but for what the wallet holds."""
    offer = _offer(desk, order)
    group = await _group(desk, order)
    if order.wallet_id is not None:
        await _payee(desk, order)
    return await _fee(desk, order, group, offer)


# --- the row ----------------------------------------------------------------------------------------------------------


async def _prepared(desk: Desk, order: GroupOrder, *, actor: str) -> Transaction:
    """The transaction that the order wants. Raises what can be known before anything is written."""
    offer = _offer(desk, order)
    group = await _group(desk, order)
    group_party = Party(None, group.id, group.name, group.name)
    if order.kind is Kind.CONTRIBUTION:
        payer, payee = await _payer(desk, order), group_party
    else:
        payee = Party() if order.wallet_id is None else await _payee(desk, order)
        payer = replace(group_party, user_id=order.user_id)
    fee_minor = await _fee(desk, order, group, offer)
    now = desk.clock.now()
    return Transaction(
        tenant_id=order.tenant_id,
        id=order.transaction_id,
        kind=order.kind,
        state=State.PENDING,
        currency=order.currency,
        amount_minor=order.amount_minor,
        fee_minor=fee_minor,
        payer=payer,
        payee=payee,
        actor=actor,
        create_time=now,
        update_time=now,
        rail=offer.rail if offer else "",
        phone=order.phone,
        hold_id=order.hold_id,
    )


def _offer(desk: Desk, order: GroupOrder) -> Offer | None:
    """The way in or out; None inside. Raises RailNotAvailable, AmountNotPayable or AmountOutOfRange."""
    if not order.phone:
        return None
    direction = Direction.IN if order.kind is Kind.CONTRIBUTION else Direction.OUT
    offer = desk.rails.offer(Method.MOBILE_MONEY, direction, order.currency)
    offer.check(order.amount_minor)
    return offer


async def _fee(desk: Desk, order: GroupOrder, group: Wallet, offer: Offer | None) -> int:
    async with desk.database.unit(order.tenant_id) as session:
        rail = offer.rail if offer else ""
        rule = await store.find_fee(session, rail, order.kind, group.currency)
    is_in = order.kind is Kind.CONTRIBUTION
    step_minor = offer.amount_step if offer and is_in else 1
    return domain.fee_minor(order.amount_minor, rule, step_minor=step_minor)


async def _group(desk: Desk, order: GroupOrder) -> Wallet:
    """The group's wallet. Raises WalletNotFound or CurrencyMismatch."""
    found = await desk.ledger.wallets(order.tenant_id, [order.group_wallet_id])
    group = found.get(order.group_wallet_id)
    if group is None or not group.is_group:
        raise WalletNotFound
    if group.currency != order.currency:
        raise CurrencyMismatch(walletCurrency=group.currency)
    return group


async def _payer(desk: Desk, order: GroupOrder) -> Party:
    """The member, with their own wallet unless a phone pays. Raises WalletNotFound or CurrencyMismatch."""
    people = await desk.directory.people(order.tenant_id, [order.user_id])
    person = people.get(order.user_id)
    if person is None:
        raise WalletNotFound
    if order.wallet_id is not None:
        wallet = (await desk.ledger.wallets(order.tenant_id, [order.wallet_id])).get(
            order.wallet_id
        )
        if wallet is None or wallet.is_group or wallet.owner_id != order.user_id:
            raise WalletNotFound
        if wallet.currency != order.currency:
            raise CurrencyMismatch(walletCurrency=wallet.currency)
    return Party(order.user_id, order.wallet_id, person.name, person.masked_name)


async def _payee(desk: Desk, order: GroupOrder) -> Party:
    """Whose wallet is paid. Raises RecipientNotFound or RecipientIsSource."""
    assert order.wallet_id is not None, "a phone has no wallet"
    if order.wallet_id == order.group_wallet_id:
        raise RecipientIsSource
    found = await desk.ledger.wallets(order.tenant_id, [order.wallet_id])
    wallet = found.get(order.wallet_id)
    if wallet is None or wallet.currency != order.currency:
        raise RecipientNotFound
    if wallet.is_group:
        return Party(None, wallet.id, wallet.name, wallet.name)
    people = await desk.directory.people(order.tenant_id, [wallet.owner_id])
    person = people.get(wallet.owner_id)
    if person is None:
        raise RecipientNotFound
    return Party(person.user_id, wallet.id, person.name, person.masked_name)


# --- repeats ----------------------------------------------------------------------------------------------------------


async def _find(desk: Desk, order: GroupOrder) -> Transaction | None:
    """What the id was used for. Raises TransactionExists if that is something else."""
    async with desk.database.unit(order.tenant_id) as session:
        found = await store.find_transaction(session, order.transaction_id)
    if found is not None and not order.fits(found):
        raise TransactionExists
    return found


async def _again(desk: Desk, call: Call, order: GroupOrder, known: Transaction) -> Transaction:
    """Wait for a twin in flight, then continue its first step."""
    remaining = call.remaining_seconds()
    wait = _TWIN_WAIT_SECONDS
    if remaining is not None:
        wait = min(wait, remaining - _ANSWER_MARGIN_SECONDS)
    until = time.monotonic() + wait
    lease_id = desk.clock.new_id()
    while known.state is State.PENDING and known.flow is not Flow.IN:
        async with desk.database.unit(order.tenant_id) as session:
            leased = await store.take_lease(
                session, known.id, lease_id=lease_id, now=desk.clock.now(), lease=steps.LEASE
            )
        if leased is not None:
            step = domain.next_step(leased)
            await steps.first_step(desk, leased, step, lease_id=lease_id, sends=False)
            break
        if time.monotonic() >= until:
            raise ServiceUnavailable
        await asyncio.sleep(_TWIN_POLL_SECONDS)
        known = await steps.load(desk, order.tenant_id, known.id)
    return await _answer(desk, order)


async def _answer(desk: Desk, order: GroupOrder) -> Transaction:
    """The transaction as it stands; held money is handed to the provider by a job. Raises what the ledger refused."""
    async with desk.database.unit(order.tenant_id) as session:
        found = await store.find_transaction(session, order.transaction_id, lock=True)
        assert found is not None, "T1 wrote it"
        if found.state is State.PENDING and found.flow is Flow.INSIDE:
            raise ServiceUnavailable  # the first step had no end; the job goes on
        if found.state is State.PENDING and found.flow is Flow.OUT:
            await store.release_lease(session, found.id)
            await steps.defer_drive(desk, session, found)
    if found.state is State.FAILED and found.send_attempt_time is None and found.outcome is None:
        raise refusal_of(found.failure_reason)
    return found

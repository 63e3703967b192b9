"""Accounts: making, finding, freezing; closing periods; the trial balance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.clock import derived_id
from services.kit.database import Database, Session
from services.kit.errors import NotFound
from services.wallet import domain, store
from services.wallet.domain import Account, AccountKind, Booked, TrialBalance
from services.wallet.errors import AccountExists, PeriodEndInvalid

WALLETS_OF_A_PERSON = (("KES", "Kenyan shillings"), ("BTC", "Bitcoin"))
"""Currency and name of the wallets that every verified person has."""

_TRIAL_BALANCE_SECONDS = 28  # the RPC has 30


async def open_wallets(session: Session, tenant_id: str, user_id: UUID, time: datetime) -> None:
    """Make a person's wallets, in the caller's transaction. Their ids follow from the person, so repeating is harmless."""
    for currency, name in WALLETS_OF_A_PERSON:
        wallet_id = derived_id(user_id, f"wallet:{tenant_id}:{currency}")
        wallet = domain.owned_account(wallet_id, AccountKind.USER, user_id, currency, name, time)
        await store.insert_account(session, tenant_id, wallet)


async def create_account(database: Database, tenant_id: str, asked: Account) -> Account:
    """Make an account; repeated, answer it. Raises AccountExists if its id or its owner's place is taken by another."""
    async with database.unit(tenant_id) as session:
        if not await store.insert_account(session, tenant_id, asked):
            [*others] = await store.read_accounts(session, tenant_id, [asked.id])
            if not others or not domain.is_same_account(others[0], asked):
                raise AccountExists(currency=asked.currency)
        [account] = await store.read_accounts(session, tenant_id, [asked.id])
        return account


async def batch_get_accounts(
    database: Database, tenant_id: str, ids: Sequence[UUID]
) -> list[Account]:
    """The accounts with these ids; unknown ones are left out."""
    async with database.unit(tenant_id) as session:
        return await store.read_accounts(session, tenant_id, ids)


async def find_accounts(
    database: Database, tenant_id: str, owner_id: UUID, currency: str | None
) -> list[Account]:
    """The wallets of a person or group; oldest first."""
    async with database.unit(tenant_id) as session:
        return await store.find_accounts(session, tenant_id, owner_id, currency)


async def batch_get_transfers(
    database: Database, tenant_id: str, ids: Sequence[UUID]
) -> list[Booked]:
    """The transfers with these ids; unknown ones are left out."""
    async with database.unit(tenant_id) as session:
        return await store.read_booked(session, tenant_id, ids)


async def freeze_account(
    database: Database, tenant_id: str, account_id: UUID, *, frozen: bool, note: str, actor: str
) -> Account:
    """Freeze or free an account; repeating it changes nothing. Raises NotFound."""
    async with database.unit(tenant_id) as session:
        account = await store.set_frozen(
            session, tenant_id, account_id, frozen=frozen, note=note, actor=actor
        )
        if account is None:
            raise NotFound
        return account


async def close_period(database: Database, tenant_id: str, end: datetime, actor: str) -> datetime:
    """Close everything that counts before `end`; repeating it changes nothing. Raises PeriodEndInvalid.

    It takes its turn among the postings, so none that was judged by the old end is booked after this.
    """
    async with database.unit(tenant_id, actor=actor) as session:
        await store.lock_shard(session)
        now = await store.read_time(session)
        last = await store.read_period_end(session, tenant_id)
        if not domain.period_end_is_valid(end, last=last, now=now):
            raise PeriodEndInvalid
        await store.insert_period(session, tenant_id, end, actor)
        return end


async def get_trial_balance(database: Database, tenant_id: str) -> TrialBalance:
    """Debits and credits of every kind and code at one moment."""
    async with database.unit(tenant_id) as session:
        return await store.read_trial_balance(
            session, tenant_id, timeout_seconds=_TRIAL_BALANCE_SECONDS
        )

"""What a person reads of their own wallets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.money import INT64_MAX
from services.wallet import store
from services.wallet.domain import Account, StatementLine
from services.wallet.operations.accounts import open_wallets


async def list_wallets(
    database: Database, tenant_id: str, user_id: UUID, *, after: int, size: int, now: datetime
) -> tuple[list[Account], int | None]:
    """A page of the person's wallets, oldest first, and the position that the next page begins after (None: the end).

    Who is signed in was verified, so they have wallets: somebody who asks before the event of it arrived gets them now.
    """
    async with database.unit(tenant_id, user_id=user_id) as session:
        found = await store.list_wallets(session, tenant_id, user_id, after=after, limit=size + 1)
        if not found and after == 0:
            await open_wallets(session, tenant_id, user_id, now)
            found = await store.list_wallets(
                session, tenant_id, user_id, after=after, limit=size + 1
            )
    page = found[:size]
    return [wallet for _, wallet in page], page[-1][0] if len(found) > size else None


async def get_wallet(database: Database, tenant_id: str, user_id: UUID, wallet_id: UUID) -> Account:
    """One wallet of the person. Raises NotFound, with one text whatever the cause."""
    async with database.unit(tenant_id, user_id=user_id) as session:
        wallet = await store.read_wallet(session, tenant_id, user_id, wallet_id)
    if wallet is None:
        raise NotFound
    return wallet


async def list_entries(
    database: Database,
    tenant_id: str,
    user_id: UUID,
    wallet_id: UUID,
    *,
    before: int | None,
    size: int,
) -> tuple[list[StatementLine], int | None]:
    """A page of a wallet's lines, newest first, and the place that the next page begins before. Raises NotFound."""
    async with database.unit(tenant_id, user_id=user_id) as session:
        wallet = await store.read_wallet(session, tenant_id, user_id, wallet_id)
        if wallet is None:
            raise NotFound
        lines = await store.list_entries(
            session,
            tenant_id,
            wallet,
            before=INT64_MAX if before is None else before,
            limit=size + 1,
        )
    page = lines[:size]
    return page, page[-1].seq if len(lines) > size else None

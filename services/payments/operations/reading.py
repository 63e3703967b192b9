"""What people may read: their transactions, and the ways in and out."""

from collections.abc import Sequence
from uuid import UUID

from services.kit.errors import NotFound
from services.kit.identity import Call
from services.payments import store
from services.payments.domain import FREE, Direction, FeeRule, Kind, Offer, State, Transaction
from services.payments.operations.desk import Desk

__all__ = ["get_transaction", "list_rails", "list_transactions"]


async def list_transactions(
    desk: Desk,
    call: Call,
    *,
    wallet_id: UUID | None,
    state: State | None,
    kind: Kind | None,
    before_id: UUID | None,
    size: int,
) -> Sequence[Transaction]:
    """Transactions of the caller, newest first."""
    async with desk.database.unit(call.tenant_id) as session:
        return await store.list_transactions(
            session,
            call.signed_in.id,
            wallet_id=wallet_id,
            state=state,
            kind=kind,
            before_id=before_id,
            size=size,
        )


async def get_transaction(desk: Desk, call: Call, transaction_id: UUID) -> Transaction:
    """A transaction that the caller pays, or that has paid them. Raises NotFound."""
    async with desk.database.unit(call.tenant_id) as session:
        found = await store.find_transaction(session, transaction_id)
    if found is None or not _may_see(call.signed_in.id, found):
        raise NotFound
    return found


def _may_see(user_id: UUID, transaction: Transaction) -> bool:
    """The same rule as in `store.list_transactions`: who is paid sees what came, not what failed."""
    if transaction.payer.user_id == user_id:
        return True
    return transaction.payee.user_id == user_id and (
        transaction.payer.user_id is None or transaction.state in (State.COMPLETED, State.REVERSED)
    )


async def list_rails(desk: Desk, call: Call, *, currency: str) -> Sequence[tuple[Offer, FeeRule]]:
    """Every way in and out with its fee in the tenant, installed or not."""
    async with desk.database.unit(call.tenant_id) as session:
        fees = {
            (one.rail, one.kind, one.currency): one.rule for one in await store.list_fees(session)
        }
    kinds = {Direction.IN: Kind.DEPOSIT, Direction.OUT: Kind.WITHDRAWAL}
    return [
        (offer, fees.get((offer.rail, kinds[offer.direction], offer.currency), FREE))
        for offer in desk.rails.offers()
        if currency in ("", offer.currency)
    ]

"""What the payments service tells the others: `payments.transaction.changed` with every change of state."""

from uuid import UUID

from hazina.payments.v1 import payments_events_pb2, transaction_pb2
from hazina.type.v1 import money_pb2
from services.kit import outbox
from services.kit.database import Session
from services.payments.domain import State, Transaction

__all__ = ["CHANGED", "append_changed", "render"]

CHANGED = "payments.transaction.changed"


async def append_changed(session: Session, transaction: Transaction, *, actor: str) -> None:
    """Write the event of a change into the transaction that makes it."""
    await outbox.append(
        session,
        type=CHANGED,
        tenant_id=transaction.tenant_id,
        aggregate_id=str(transaction.id),
        aggregate_version=transaction.version,
        payload=payments_events_pb2.TransactionChanged(
            transaction=render(transaction),
            payer_user_id=_text(transaction.payer.user_id),
            payee_user_id=_text(transaction.payee.user_id),
            payer_name=transaction.payer.name,
            payee_name=transaction.payee.masked_name,
        ),
        actor=actor,
        occur_time=transaction.update_time,
    )


def render(transaction: Transaction, *, counterparty_name: str = "") -> transaction_pb2.Transaction:
    """A transaction as the contract shows it."""
    t = transaction
    shows_reversal = t.kind.value == "REVERSAL" or t.state is State.REVERSED
    message = transaction_pb2.Transaction(
        id=str(t.id),
        kind=transaction_pb2.Transaction.Kind.Value(t.kind),
        state=transaction_pb2.Transaction.State.Value(t.state),
        amount=money_pb2.Money(currency=t.currency, minor_units=t.amount_minor),
        fee=money_pb2.Money(currency=t.currency, minor_units=t.fee_minor),
        total=money_pb2.Money(currency=t.currency, minor_units=t.total_minor),
        source_wallet_id=_text(t.payer.wallet_id),
        destination_wallet_id=_text(t.payee.wallet_id),
        counterparty_name=counterparty_name,
        rail=t.rail,
        note=t.note,
        provider_receipt=t.provider_receipt,
        failure_reason=t.failure_reason,
        failure_message=t.failure_message,
        reversal_transaction_id=_text(t.reversal_transaction_id) if shows_reversal else "",
    )
    message.create_time.FromDatetime(t.create_time)
    message.update_time.FromDatetime(t.update_time)
    if t.complete_time is not None:
        message.complete_time.FromDatetime(t.complete_time)
    return message


def _text(reference: UUID | None) -> str:
    return "" if reference is None else str(reference)

"""Builds the events of the wallet service from what is booked."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.event.v1.envelope_pb2 import Envelope
from hazina.type.v1.money_pb2 import Money
from hazina.wallet.v1 import ledger_pb2, wallet_events_pb2
from services.kit.clock import derived_id
from services.wallet.domain import Booked, Transfer

TRANSFER_BOOKED = "wallet.transfer.booked"


def transfer_booked(tenant_id: str, booked: Booked) -> Envelope:
    """The event of a transfer. Its id follows from the transfer, so it is the same each time it is told."""
    transfer = booked.transfer
    payload = wallet_events_pb2.TransferBooked(
        seq=booked.seq,
        transfer=transfer_message(transfer),
        debit_account_id=str(transfer.debit_account_id),
        credit_account_id=str(transfer.credit_account_id),
        create_time=timestamp(transfer.book_time),
    )
    envelope = Envelope(
        event_id=str(derived_id(transfer.id, f"booked:{tenant_id}")),
        type=TRANSFER_BOOKED,
        tenant_id=tenant_id,
        aggregate_id=str(transfer.id),
        aggregate_version=1,
        occur_time=timestamp(transfer.book_time),
        actor=booked.actor,
    )
    envelope.payload.Pack(payload)
    return envelope


def transfer_message(transfer: Transfer) -> ledger_pb2.Transfer:
    """A booked transfer: accounts by id, amount and times resolved."""
    return ledger_pb2.Transfer(
        id=str(transfer.id),
        kind=ledger_pb2.Transfer.Kind.Value(transfer.kind.value),
        debit=ledger_pb2.AccountReference(account_id=str(transfer.debit_account_id)),
        credit=ledger_pb2.AccountReference(account_id=str(transfer.credit_account_id)),
        amount=Money(currency=transfer.amount.currency, minor_units=transfer.amount.minor_units),
        hold_id="" if transfer.hold_id is None else str(transfer.hold_id),
        expire_time=None if transfer.expire_time is None else timestamp(transfer.expire_time),
        linked=transfer.linked,
        code=transfer.code,
        transaction_id=str(transfer.transaction_id),
        reference=transfer.reference,
        effective_time=timestamp(transfer.effective_time),
    )


def timestamp(moment: datetime) -> Timestamp:
    """A moment as the contracts write it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message

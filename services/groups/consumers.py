"""What the groups service does about other services' events: how money ended, and how people are called."""

from collections.abc import Mapping
from uuid import UUID

from google.protobuf.message import Message

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1.envelope_pb2 import Envelope
from hazina.payments.v1 import payments_events_pb2, transaction_pb2
from services.groups.clients.payments import told
from services.groups.operations import contributions, members, withdrawals
from services.groups.operations.desk import Desk
from services.kit.database import Session
from services.kit.inbox import Handler

__all__ = ["PAYLOADS", "STREAMS", "handlers"]

STREAMS = ("events.payments", "events.auth")

PAYLOADS: Mapping[str, type[Message]] = {
    "payments.transaction.changed": payments_events_pb2.TransactionChanged,
    "auth.user.updated": auth_events_pb2.UserUpdated,
}


def handlers(desk: Desk) -> Mapping[str, Handler]:
    """What happens on which event. Each runs in the transaction that remembers the event."""

    async def transaction_changed(session: Session, envelope: Envelope, payload: Message) -> None:
        assert isinstance(payload, payments_events_pb2.TransactionChanged)
        transaction = payload.transaction
        if transaction.kind == transaction_pb2.Transaction.CONTRIBUTION:
            await contributions.hear(desk, session, UUID(transaction.id), told(transaction))
        elif transaction.kind == transaction_pb2.Transaction.GROUP_PAYOUT:
            await withdrawals.hear(desk, session, UUID(transaction.id), told(transaction))

    async def user_updated(session: Session, envelope: Envelope, payload: Message) -> None:
        assert isinstance(payload, auth_events_pb2.UserUpdated)
        await members.rename(session, UUID(payload.user_id), payload.display_name)

    return {
        "payments.transaction.changed": transaction_changed,
        "auth.user.updated": user_updated,
    }

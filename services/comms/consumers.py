"""What the comms service does by itself: events of auth and payments, and the jobs that send."""

from collections.abc import Mapping
from uuid import UUID

from google.protobuf.message import Message

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1.envelope_pb2 import Envelope
from hazina.payments.v1 import payments_events_pb2
from services.comms import convert, operations
from services.comms.domain import Notice, notices
from services.kit.clock import derived_id
from services.kit.database import Session
from services.kit.inbox import Handler
from services.kit.jobs import Jobs

__all__ = ["PAYLOADS", "STREAMS", "define_jobs", "handlers"]

STREAMS = ("events.auth", "events.payments")

PAYLOADS: Mapping[str, type[Message]] = {
    "auth.user.verified": auth_events_pb2.UserVerified,
    "auth.user.updated": auth_events_pb2.UserUpdated,
    "auth.member.added": auth_events_pb2.MemberAdded,
    "payments.transaction.changed": payments_events_pb2.TransactionChanged,
}


def handlers(post: operations.Post) -> Mapping[str, Handler]:
    """What happens on which event. Each runs in the transaction that remembers the event."""

    async def know(session: Session, envelope: Envelope, payload: Message) -> None:
        assert isinstance(
            payload,
            auth_events_pb2.UserVerified
            | auth_events_pb2.UserUpdated
            | auth_events_pb2.MemberAdded,
        )
        contact = convert.contact(payload, version=envelope.aggregate_version)
        await operations.save_contact(post, session, tenant_id=envelope.tenant_id, contact=contact)

    async def welcome(session: Session, envelope: Envelope, payload: Message) -> None:
        await know(session, envelope, payload)
        assert isinstance(payload, auth_events_pb2.UserVerified | auth_events_pb2.MemberAdded)
        user_id = UUID(payload.user_id)
        await operations.tell(
            post,
            session,
            tenant_id=envelope.tenant_id,
            message_id=derived_id(user_id, f"{envelope.tenant_id}:WELCOME"),
            notice=Notice(user_id, "WELCOME", {"name": payload.display_name}),
        )

    async def transaction_changed(session: Session, envelope: Envelope, payload: Message) -> None:
        assert isinstance(payload, payments_events_pb2.TransactionChanged)
        transaction_id = UUID(payload.transaction.id)
        for notice in notices(convert.movement(payload)):
            await operations.tell(
                post,
                session,
                tenant_id=envelope.tenant_id,
                message_id=derived_id(transaction_id, f"{notice.template}:{notice.user_id}"),
                notice=notice,
            )

    return {
        "auth.user.verified": welcome,
        "auth.user.updated": know,
        "auth.member.added": welcome,
        "payments.transaction.changed": transaction_changed,
    }


def define_jobs(jobs: Jobs, post: operations.Post) -> None:
    """The jobs of this service."""

    @jobs.task(operations.SEND_JOB)
    async def send(tenant_id: str, message_id: str) -> None:
        await operations.deliver_message(post, tenant_id=tenant_id, message_id=UUID(message_id))

    @jobs.periodic("comms.forget", "17 3 * * *")
    async def forget() -> None:
        await operations.forget_messages(post)

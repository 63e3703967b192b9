"""What the wallet service does about other services' events."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from google.protobuf.message import Message

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1.envelope_pb2 import Envelope
from services.kit.clock import Clock
from services.kit.database import Session
from services.kit.inbox import Handler
from services.wallet.operations import accounts

STREAMS = ("events.auth",)

PAYLOADS: Mapping[str, type[Message]] = {
    "auth.user.verified": auth_events_pb2.UserVerified,
    "auth.member.added": auth_events_pb2.MemberAdded,
}


def handlers(clock: Clock) -> Mapping[str, Handler]:
    """By type of event: a person who gets a place in a tenant gets their wallets there."""

    async def open_wallets(session: Session, envelope: Envelope, payload: Message) -> None:
        assert isinstance(payload, auth_events_pb2.UserVerified | auth_events_pb2.MemberAdded)
        await accounts.open_wallets(session, envelope.tenant_id, UUID(payload.user_id), clock.now())

    return dict.fromkeys(PAYLOADS, open_wallets)

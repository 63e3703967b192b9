"""The outbox: what happened is written in the transaction that made it happen; the relay tells the others."""

from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from hazina.event.v1 import envelope_pb2
from services.kit import telemetry
from services.kit.clock import Clock
from services.kit.database import Session

__all__ = ["append", "channel", "table"]

_clock = Clock()


def table(metadata: MetaData) -> Table:
    """The table of events, for the service's `tables.py`."""
    return Table(
        "outbox",
        metadata,
        Column(
            "position",
            BigInteger,
            Identity(always=True),
            primary_key=True,
            comment="Order of writing",
        ),
        Column("event_id", Uuid, nullable=False, unique=True),
        Column("type", Text, nullable=False),
        Column("tenant_id", Text, nullable=False),
        Column("aggregate_id", Text, nullable=False),
        Column("aggregate_version", BigInteger, nullable=False),
        Column("envelope", LargeBinary, nullable=False, comment="hazina.event.v1.Envelope"),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("publish_time", DateTime(timezone=True), comment="Null until it is in the stream"),
        Index("outbox_unpublished", "position", postgresql_where=text("publish_time IS NULL")),
        Index("outbox_publish_time", "publish_time"),
        Index("outbox_create_time", "create_time"),
        comment="Events of this service, kept 7 days so that a lost Redis can be filled again",
        info={"across_tenants": True},
    )


_APPEND = text(
    "WITH written AS (INSERT INTO outbox"
    " (event_id, type, tenant_id, aggregate_id, aggregate_version, envelope)"
    " VALUES (:event_id, :type, :tenant_id, :aggregate_id, :aggregate_version, :envelope) RETURNING 1)"
    " SELECT pg_notify(current_schema() || '_outbox', '') FROM written"
)


def channel(schema: str) -> str:
    """The notification channel on which `append` wakes the relay."""
    return f"{schema}_outbox"


async def append(
    session: Session,
    *,
    type: str,  # noqa: A002
    tenant_id: str,
    aggregate_id: str,
    aggregate_version: int,
    payload: Message,
    actor: str,
    occur_time: datetime,
    event_id: UUID | None = None,
) -> None:
    """Write one event into the session's transaction. `type` is `<service>.<noun>.<verb>`.

    `aggregate_version` counts the changes of the thing from 1 without gaps. A given `event_id` makes repeating the
    append an error rather than a second event.
    """
    event_id = event_id or _clock.new_id()
    envelope = envelope_pb2.Envelope(
        event_id=str(event_id),
        type=type,
        tenant_id=tenant_id,
        aggregate_id=aggregate_id,
        aggregate_version=aggregate_version,
        actor=actor,
        traceparent=telemetry.traceparent(),
    )
    envelope.occur_time.FromDatetime(occur_time)
    envelope.payload.Pack(payload)
    await session.execute(
        _APPEND,
        {
            "event_id": event_id,
            "type": type,
            "tenant_id": tenant_id,
            "aggregate_id": aggregate_id,
            "aggregate_version": aggregate_version,
            "envelope": envelope.SerializeToString(),
        },
    )

"""The tables of the schema `comms`."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from services.kit import audit, inbox

__all__ = ["contact", "message", "metadata"]

metadata = MetaData()

inbox.table(metadata)
audit.table(metadata)

contact = Table(
    "contact",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("email", Text, nullable=False, comment="Empty: none"),
    Column("phone", Text, nullable=False, comment="E.164; empty: none"),
    Column("locale", Text, nullable=False),
    Column(
        "version", BigInteger, nullable=False, comment="Version of the person that this is from"
    ),
    Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant_id", "user_id", name="contact_pkey"),
    comment="How to reach people, as the auth service last said",
)

message = Table(
    "message",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="Made by the caller, or derived from what is told"),
    Column("template", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, comment="Null for secret templates"),
    Column("body", Text, comment="Null for secret templates"),
    Column("user_id", Uuid, comment="The person, when the message is to one"),
    Column("fingerprint", LargeBinary, nullable=False, comment="HMAC of the content"),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("fault", Text, nullable=False, server_default="", comment="Why the last attempt failed"),
    Column("provider_message_id", Text, nullable=False, server_default=""),
    Column("lease_time", DateTime(timezone=True), comment="Until when an attempt owns it"),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("update_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant_id", "id", name="message_pkey"),
    CheckConstraint("channel IN ('EMAIL', 'SMS')", name="message_channel"),
    CheckConstraint("state IN ('QUEUED', 'SENDING', 'SENT', 'FAILED')", name="message_state"),
    CheckConstraint(
        "(state = 'SENDING') = (lease_time IS NOT NULL)", name="message_lease_while_sending"
    ),
    Index("message_create_time", "create_time"),
    Index("message_failed", "tenant_id", "update_time", postgresql_where=text("state = 'FAILED'")),
    comment="Messages to people, each once",
    info={"across_tenants": True},
)

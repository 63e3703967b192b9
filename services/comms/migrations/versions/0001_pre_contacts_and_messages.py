"""Contacts, messages, the inbox and audit records."""

import sqlalchemy as sa
from alembic import op

from services.kit import audit, inbox, migrations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    migrations.create(inbox.table, audit.table)
    op.create_table(
        "contact",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False, comment="Empty: none"),
        sa.Column("phone", sa.Text, nullable=False, comment="E.164; empty: none"),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column(
            "version",
            sa.BigInteger,
            nullable=False,
            comment="Version of the person that this is from",
        ),
        sa.Column(
            "update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="contact_pkey"),
        comment="How to reach people, as the auth service last said",
    )
    migrations.protect("contact")
    op.create_table(
        "message",
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column(
            "id",
            sa.Uuid,
            nullable=False,
            comment="Made by the caller, or derived from what is told",
        ),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("locale", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, comment="Null for secret templates"),
        sa.Column("body", sa.Text, comment="Null for secret templates"),
        sa.Column("user_id", sa.Uuid, comment="The person, when the message is to one"),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False, comment="HMAC of the content"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column(
            "fault",
            sa.Text,
            nullable=False,
            server_default="",
            comment="Why the last attempt failed",
        ),
        sa.Column("provider_message_id", sa.Text, nullable=False, server_default=""),
        sa.Column(
            "lease_time", sa.DateTime(timezone=True), comment="Until when an attempt owns it"
        ),
        sa.Column(
            "create_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column(
            "update_time", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="message_pkey"),
        sa.CheckConstraint("channel IN ('EMAIL', 'SMS')", name="message_channel"),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'SENDING', 'SENT', 'FAILED')", name="message_state"
        ),
        sa.CheckConstraint(
            "(state = 'SENDING') = (lease_time IS NOT NULL)", name="message_lease_while_sending"
        ),
        comment="Messages to people, each once",
    )
    op.create_index("message_create_time", "message", ["create_time"])
    op.create_index(
        "message_failed",
        "message",
        ["tenant_id", "update_time"],
        postgresql_where=sa.text("state = 'FAILED'"),
    )
    migrations.protect("message", across_tenants=True)

"""Idempotency keys, outbox, inbox and audit records."""

from services.kit import audit, idempotency, inbox, migrations, outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    migrations.create(audit.table, idempotency.table, inbox.table, outbox.table)

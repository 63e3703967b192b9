"""The tables of the kit, and one of the probe's own."""

from alembic import op

from services.kit import audit, idempotency, inbox, migrations, outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    migrations.create(idempotency.table, outbox.table, inbox.table, audit.table)
    op.execute(
        "CREATE TABLE note (id uuid PRIMARY KEY, tenant_id text NOT NULL, body text NOT NULL)"
    )
    migrations.protect("note")

"""Who froze or freed an account, when and why."""

from alembic import op

from services.kit import migrations

revision = "0002"
down_revision = "0001"

_FREEZE_NOTE = """
CREATE TABLE freeze_note (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL,
    account_id uuid NOT NULL,
    frozen boolean NOT NULL,
    note text NOT NULL,
    actor text NOT NULL,
    create_time timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT freeze_note_account FOREIGN KEY (tenant_id, account_id)
        REFERENCES account (tenant_id, id)
)
"""


def upgrade() -> None:
    """Make the table, append-only like the books."""
    op.execute(_FREEZE_NOTE)
    op.execute(
        "CREATE INDEX freeze_note_of_account ON freeze_note (tenant_id, account_id, position)"
    )
    migrations.protect("freeze_note")
    op.execute(
        "CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON freeze_note"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON freeze_note FROM hazina_wallet")

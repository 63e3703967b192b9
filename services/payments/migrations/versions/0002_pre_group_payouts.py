"""Payouts of groups begin with a hold that the group made."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """A nullable column: the code before this migration does not mind."""
    op.execute("ALTER TABLE transaction ADD COLUMN hold_id uuid")

"""The name by which people are found, in lower case and a column of its own.

Behind row-level security an index is used only for operators that cannot leak what they compare: `>=` and `<` on a
column are such, `LIKE` and `lower()` are not.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, and an index in its order in place of the one on an expression."""
    op.execute("DROP INDEX user_account_name")
    op.execute(
        'ALTER TABLE user_account ADD COLUMN name_key TEXT COLLATE "C" NOT NULL'
        " GENERATED ALWAYS AS (lower(display_name)) STORED"
    )
    op.execute("COMMENT ON COLUMN user_account.name_key IS 'The name in lower case, by bytes'")
    op.execute("CREATE INDEX user_account_name ON user_account (name_key, id)")

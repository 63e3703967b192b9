"""Accounts, transfers, holds, entries, periods; the position of the relay; inbox and audit records.

`transfer` and `entry` are append-only for everybody, `account` cannot be deleted from, and a tenant's session sees only its
own rows. A unit of ALL_TENANTS may read transfers (the relay) and holds (the job that looks for expired ones), no more.
"""

from alembic import op

from services.kit import audit, inbox, migrations

revision = "0001"
down_revision = None

_ACCOUNT = """
CREATE TABLE account (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    owner_id uuid,
    code text,
    currency text NOT NULL,
    name text NOT NULL,
    debits_posted bigint DEFAULT 0 NOT NULL,
    credits_posted bigint DEFAULT 0 NOT NULL,
    debits_pending bigint DEFAULT 0 NOT NULL,
    credits_pending bigint DEFAULT 0 NOT NULL,
    protected boolean NOT NULL,
    frozen boolean DEFAULT false NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    create_time timestamptz DEFAULT now() NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT account_owner UNIQUE (tenant_id, kind, owner_id, currency),
    CONSTRAINT account_code UNIQUE (tenant_id, code, currency),
    CONSTRAINT account_kind CHECK (kind IN ('USER', 'GROUP', 'SYSTEM', 'EXTERNAL')),
    CONSTRAINT account_has_owner_or_code CHECK (
        (kind IN ('USER', 'GROUP')) = (owner_id IS NOT NULL)
        AND (kind IN ('USER', 'GROUP')) = (code IS NULL)
    ),
    CONSTRAINT account_wallets_are_protected CHECK ((kind IN ('USER', 'GROUP')) = protected),
    CONSTRAINT account_currency CHECK (currency IN ('KES', 'USD', 'BTC')),
    CONSTRAINT account_totals_not_negative CHECK (
        debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0
    ),
    CONSTRAINT account_not_overdrawn CHECK (
        NOT protected OR credits_posted - debits_posted - debits_pending >= 0
    )
) WITH (fillfactor = 70)
"""

_TRANSFER = """
CREATE TABLE transfer (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    debit_account_id uuid NOT NULL,
    credit_account_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    hold_id uuid,
    expire_time timestamptz,
    linked boolean NOT NULL,
    code text NOT NULL,
    transaction_id uuid NOT NULL,
    reference text NOT NULL,
    actor text NOT NULL,
    effective_time timestamptz NOT NULL,
    book_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT transfer_seq UNIQUE (seq),
    CONSTRAINT transfer_debit_account FOREIGN KEY (tenant_id, debit_account_id)
        REFERENCES account (tenant_id, id),
    CONSTRAINT transfer_credit_account FOREIGN KEY (tenant_id, credit_account_id)
        REFERENCES account (tenant_id, id),
    CONSTRAINT transfer_kind CHECK (kind IN ('POST', 'HOLD', 'POST_HOLD', 'VOID_HOLD')),
    CONSTRAINT transfer_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT transfer_two_accounts CHECK (debit_account_id <> credit_account_id),
    CONSTRAINT transfer_currency CHECK (currency IN ('KES', 'USD', 'BTC')),
    CONSTRAINT transfer_hold CHECK ((kind IN ('POST_HOLD', 'VOID_HOLD')) = (hold_id IS NOT NULL)),
    CONSTRAINT transfer_expire_time CHECK (expire_time IS NULL OR kind = 'HOLD')
)
"""

_HOLD = """
CREATE TABLE hold (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    debit_account_id uuid NOT NULL,
    credit_account_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    expire_time timestamptz,
    state text NOT NULL,
    end_transfer_id uuid,
    end_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT hold_transfer FOREIGN KEY (tenant_id, id) REFERENCES transfer (tenant_id, id),
    CONSTRAINT hold_end_transfer FOREIGN KEY (tenant_id, end_transfer_id)
        REFERENCES transfer (tenant_id, id),
    CONSTRAINT hold_state CHECK (state IN ('HELD', 'POSTED', 'VOIDED', 'EXPIRED')),
    CONSTRAINT hold_ends_once CHECK ((state = 'HELD') = (end_time IS NULL)),
    CONSTRAINT hold_ended_by CHECK ((state IN ('POSTED', 'VOIDED')) = (end_transfer_id IS NOT NULL))
)
"""

_ENTRY = """
CREATE TABLE entry (
    tenant_id text NOT NULL,
    account_id uuid NOT NULL,
    seq bigint NOT NULL,
    transfer_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    balance_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, account_id, seq),
    CONSTRAINT entry_account FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id),
    CONSTRAINT entry_transfer FOREIGN KEY (tenant_id, transfer_id) REFERENCES transfer (tenant_id, id),
    CONSTRAINT entry_changes_something CHECK (amount_minor <> 0)
)
"""

_PERIOD = """
CREATE TABLE period (
    tenant_id text NOT NULL,
    end_time timestamptz NOT NULL,
    actor text NOT NULL,
    create_time timestamptz DEFAULT now() NOT NULL,
    PRIMARY KEY (tenant_id, end_time)
)
"""

_RELAY_POSITION = "CREATE TABLE relay_position (shard smallint PRIMARY KEY, seq bigint NOT NULL)"

_INDEXES = (
    "CREATE INDEX account_of_owner ON account (tenant_id, owner_id, position)",
    "CREATE INDEX transfer_book_time ON transfer USING brin (book_time)",
    (
        "CREATE INDEX hold_of_debit_account ON hold (tenant_id, debit_account_id, expire_time)"
        " WHERE state = 'HELD'"
    ),
    (
        "CREATE INDEX hold_of_credit_account ON hold (tenant_id, credit_account_id, expire_time)"
        " WHERE state = 'HELD'"
    ),
    "CREATE INDEX hold_due ON hold (expire_time) WHERE state = 'HELD' AND expire_time IS NOT NULL",
)

_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""

# A hold ends once, and nothing else about it changes. An account keeps what it is; only totals, name, flag and
# version move.
_HOLD_ENDS_ONCE = """
CREATE FUNCTION hold_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'HELD' OR NEW.state = 'HELD'
        OR (NEW.tenant_id, NEW.id, NEW.debit_account_id, NEW.credit_account_id, NEW.amount_minor, NEW.currency)
            <> (OLD.tenant_id, OLD.id, OLD.debit_account_id, OLD.credit_account_id, OLD.amount_minor, OLD.currency)
        OR NEW.expire_time IS DISTINCT FROM OLD.expire_time
    THEN
        RAISE EXCEPTION 'a hold ends once, and nothing else about it changes'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

_ACCOUNT_KEEPS_IDENTITY = """
CREATE FUNCTION account_keeps_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.tenant_id, NEW.id, NEW.kind, NEW.currency, NEW.protected)
            <> (OLD.tenant_id, OLD.id, OLD.kind, OLD.currency, OLD.protected)
        OR NEW.owner_id IS DISTINCT FROM OLD.owner_id OR NEW.code IS DISTINCT FROM OLD.code
    THEN
        RAISE EXCEPTION 'an account keeps its kind, owner, code, currency and protection'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    """Make everything."""
    for table in (_ACCOUNT, _TRANSFER, _HOLD, _ENTRY, _PERIOD, _RELAY_POSITION, *_INDEXES):
        op.execute(table)
    for table in ("account", "transfer", "hold", "entry", "period"):
        migrations.protect(table)
    for table in ("transfer", "hold"):
        op.execute(
            f"CREATE POLICY sweep ON {table} FOR SELECT"
            " USING (current_setting('hazina.tenant_id', true) = '*')"
        )
    for function in (_REFUSE, _HOLD_ENDS_ONCE, _ACCOUNT_KEEPS_IDENTITY):
        op.execute(function)
    for table in ("transfer", "entry", "period"):
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table in ("account", "hold"):
        op.execute(
            f"CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER hold_ends_once BEFORE UPDATE ON hold"
        " FOR EACH ROW EXECUTE FUNCTION hold_ends_once()"
    )
    op.execute(
        "CREATE TRIGGER account_keeps_identity BEFORE UPDATE ON account"
        " FOR EACH ROW EXECUTE FUNCTION account_keeps_identity()"
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON transfer, entry, period FROM hazina_wallet")
    op.execute("REVOKE DELETE, TRUNCATE ON account, hold FROM hazina_wallet")
    op.execute("INSERT INTO relay_position (shard, seq) VALUES (0, 0)")
    migrations.create(inbox.table, audit.table)

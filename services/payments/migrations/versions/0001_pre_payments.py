"""Transactions, what providers said about them, reviews and fees; the kit's keys, outbox and audit records."""

from alembic import op

from services.kit import audit, idempotency, migrations, outbox

revision = "0001"
down_revision = None

_TRANSACTION = """
CREATE TABLE transaction (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    fee_minor bigint DEFAULT 0 NOT NULL,
    payer_user_id uuid,
    payer_wallet_id uuid,
    payer_name text DEFAULT '' NOT NULL,
    payer_masked_name text DEFAULT '' NOT NULL,
    payee_user_id uuid,
    payee_wallet_id uuid,
    payee_name text DEFAULT '' NOT NULL,
    payee_masked_name text DEFAULT '' NOT NULL,
    actor text NOT NULL,
    rail text DEFAULT '' NOT NULL,
    phone text DEFAULT '' NOT NULL,
    note text DEFAULT '' NOT NULL,
    anchor_id uuid,
    send_attempt_time timestamptz,
    provider_request_id text DEFAULT '' NOT NULL,
    provider_conversation_id text DEFAULT '' NOT NULL,
    provider_receipt text DEFAULT '' NOT NULL,
    ask_count integer DEFAULT 0 NOT NULL,
    outcome text,
    outcome_minor bigint,
    charge_minor bigint DEFAULT 0 NOT NULL,
    suspended boolean DEFAULT false NOT NULL,
    receivable_minor bigint DEFAULT 0 NOT NULL,
    failure_reason text DEFAULT '' NOT NULL,
    failure_message text DEFAULT '' NOT NULL,
    reversal_transaction_id uuid,
    lease_id uuid,
    lease_end_time timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    complete_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT transaction_kind CHECK (kind IN ('DEPOSIT', 'TRANSFER', 'WITHDRAWAL', 'CONTRIBUTION', 'GROUP_PAYOUT', 'REVERSAL')),
    CONSTRAINT transaction_state CHECK (state IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'REVERSED', 'UNKNOWN', 'MANUAL_REVIEW')),
    CONSTRAINT transaction_currency CHECK (currency IN ('KES', 'USD', 'BTC')),
    CONSTRAINT transaction_amounts CHECK (amount_minor > 0 AND fee_minor >= 0),
    CONSTRAINT transaction_outcome CHECK (outcome IN ('SUCCEEDED', 'FAILED')),
    CONSTRAINT transaction_sent_before_it_waits CHECK (state NOT IN ('PROCESSING', 'UNKNOWN', 'MANUAL_REVIEW') OR send_attempt_time IS NOT NULL),
    CONSTRAINT transaction_ends CHECK ((state IN ('COMPLETED', 'FAILED', 'REVERSED')) = (complete_time IS NOT NULL))
)
"""

_TRANSACTION_INDEXES = (
    "CREATE INDEX transaction_of_payee ON transaction (tenant_id, payee_user_id, id)",
    "CREATE INDEX transaction_of_payer ON transaction (tenant_id, payer_user_id, id)",
)

_PROVIDER_REQUEST = """
CREATE TABLE provider_request (
    transaction_id uuid NOT NULL,
    tenant_id text NOT NULL,
    rail text NOT NULL,
    open boolean DEFAULT true NOT NULL,
    due_time timestamptz NOT NULL,
    PRIMARY KEY (transaction_id)
)
"""

_PROVIDER_REQUEST_INDEXES = (
    "CREATE INDEX provider_request_due ON provider_request (due_time) WHERE open",
)

_PROVIDER_RECEIPT = """
CREATE TABLE provider_receipt (
    rail text NOT NULL,
    receipt text NOT NULL,
    tenant_id text NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (rail, receipt)
)
"""

_CALLBACK = """
CREATE TABLE callback (
    id uuid NOT NULL,
    rail text NOT NULL,
    transaction_id uuid,
    answers_question boolean NOT NULL,
    body bytea NOT NULL,
    create_time timestamptz NOT NULL,
    process_time timestamptz,
    PRIMARY KEY (id)
)
"""

_CALLBACK_INDEXES = ("CREATE INDEX callback_create_time ON callback (create_time)",)

_EVIDENCE = """
CREATE TABLE evidence (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    transaction_id uuid,
    review_case_id uuid,
    source text NOT NULL,
    body text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT evidence_source CHECK (source IN ('CALLBACK', 'QUERY', 'RESPONSE'))
)
"""

_EVIDENCE_INDEXES = (
    "CREATE INDEX evidence_of_review_case ON evidence (tenant_id, review_case_id, id)",
    "CREATE INDEX evidence_of_transaction ON evidence (tenant_id, transaction_id, id)",
)

_REVIEW_CASE = """
CREATE TABLE review_case (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    transaction_id uuid,
    reason text NOT NULL,
    create_time timestamptz NOT NULL,
    close_time timestamptz,
    PRIMARY KEY (tenant_id, id)
)
"""

_REVIEW_CASE_INDEXES = (
    "CREATE UNIQUE INDEX review_case_once ON review_case (tenant_id, transaction_id) WHERE close_time IS NULL AND transaction_id IS NOT NULL",
    "CREATE INDEX review_case_open ON review_case (tenant_id, id) WHERE close_time IS NULL",
)

_REVIEW = """
CREATE TABLE review (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    action text NOT NULL,
    state text NOT NULL,
    note text NOT NULL,
    proposer_id uuid NOT NULL,
    decider_id uuid,
    decision_note text DEFAULT '' NOT NULL,
    reversal_transaction_id uuid,
    create_time timestamptz NOT NULL,
    decide_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT review_action CHECK (action IN ('COMPLETE', 'FAIL', 'REVERSE')),
    CONSTRAINT review_state CHECK (state IN ('PROPOSED', 'CONFIRMED', 'REJECTED')),
    CONSTRAINT review_needs_two_people CHECK (state <> 'CONFIRMED' OR decider_id <> proposer_id)
)
"""

_REVIEW_INDEXES = (
    "CREATE UNIQUE INDEX review_open ON review (tenant_id, transaction_id) WHERE state = 'PROPOSED'",
)

_FEE_SCHEDULE = """
CREATE TABLE fee_schedule (
    tenant_id text NOT NULL,
    rail text NOT NULL,
    kind text NOT NULL,
    currency text NOT NULL,
    basis_points integer NOT NULL,
    fee_min bigint NOT NULL,
    fee_max bigint NOT NULL,
    actor text NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, rail, kind, currency),
    CONSTRAINT fee_schedule_makes_sense CHECK (basis_points BETWEEN 0 AND 10000 AND fee_min >= 0 AND fee_max >= 0 AND (fee_max = 0 OR fee_min <= fee_max))
)
"""


def upgrade() -> None:
    """Make the tables and the walls between tenants."""
    op.execute(_TRANSACTION)
    for index in _TRANSACTION_INDEXES:
        op.execute(index)
    op.execute(_PROVIDER_REQUEST)
    for index in _PROVIDER_REQUEST_INDEXES:
        op.execute(index)
    op.execute(_PROVIDER_RECEIPT)
    op.execute(_CALLBACK)
    for index in _CALLBACK_INDEXES:
        op.execute(index)
    op.execute(_EVIDENCE)
    for index in _EVIDENCE_INDEXES:
        op.execute(index)
    op.execute(_REVIEW_CASE)
    for index in _REVIEW_CASE_INDEXES:
        op.execute(index)
    op.execute(_REVIEW)
    for index in _REVIEW_INDEXES:
        op.execute(index)
    op.execute(_FEE_SCHEDULE)
    for table in ("transaction", "evidence", "review_case", "review", "fee_schedule"):
        migrations.protect(table)
    for table in ("provider_request", "provider_receipt"):
        migrations.protect(table, across_tenants=True)
    migrations.create(idempotency.table, outbox.table, audit.table)

"""The tables of the payments service, as the newest migration leaves them. Amounts are in minor units."""

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    text,
)

from services.kit import audit, idempotency, outbox

__all__ = ["ACROSS_TENANTS", "TENANT_OWNED", "metadata"]

metadata = MetaData()


def _time(name: str, *, nullable: bool = False, comment: str | None = None) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


def _text(name: str, comment: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"), comment=comment)


def _amount(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"), comment=comment)


transaction = Table(
    "transaction",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="UUIDv7; ledger ids are derived from it"),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column(
        "version",
        BigInteger,
        nullable=False,
        comment="Counts changes of state from 1, without gaps",
    ),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    _amount("fee_minor"),
    Column("payer_user_id", Uuid),
    Column("payer_wallet_id", Uuid),
    _text("payer_name"),
    _text("payer_masked_name"),
    Column("payee_user_id", Uuid),
    Column("payee_wallet_id", Uuid),
    _text("payee_name"),
    _text("payee_masked_name"),
    Column("actor", Text, nullable=False),
    _text("rail", "Empty for movements inside"),
    _text("phone"),
    _text("note"),
    Column(
        "anchor_id", Uuid, comment="Ids of late ledger steps are derived from it; null means id"
    ),
    _time("send_attempt_time", nullable=True, comment="Committed before the provider is called"),
    _text("provider_request_id"),
    _text("provider_conversation_id"),
    _text("provider_receipt"),
    Column("ask_count", Integer, nullable=False, server_default=text("0")),
    Column("outcome", Text),
    Column("outcome_minor", BigInteger, comment="What the provider says that it moved"),
    _amount("charge_minor", "What the provider charged"),
    Column("suspended", Boolean, nullable=False, server_default=text("false")),
    _amount("receivable_minor", "What the payer owes after a late success"),
    _text("failure_reason"),
    _text("failure_message"),
    Column("reversal_transaction_id", Uuid),
    Column("lease_id", Uuid, comment="Who carries out the first ledger step"),
    _time("lease_end_time", nullable=True),
    _time("create_time"),
    _time("update_time"),
    _time("complete_time", nullable=True),
    Column("hold_id", Uuid, comment="What the group held for its payout"),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("transaction_of_payer", "tenant_id", "payer_user_id", "id"),
    Index("transaction_of_payee", "tenant_id", "payee_user_id", "id"),
    CheckConstraint(
        "kind IN ('DEPOSIT', 'TRANSFER', 'WITHDRAWAL', 'CONTRIBUTION', 'GROUP_PAYOUT', 'REVERSAL')",
        name="transaction_kind",
    ),
    CheckConstraint(
        "state IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'REVERSED', 'UNKNOWN', 'MANUAL_REVIEW')",
        name="transaction_state",
    ),
    CheckConstraint("currency IN ('KES', 'USD', 'BTC')", name="transaction_currency"),
    CheckConstraint("amount_minor > 0 AND fee_minor >= 0", name="transaction_amounts"),
    CheckConstraint("outcome IN ('SUCCEEDED', 'FAILED')", name="transaction_outcome"),
    CheckConstraint(
        "state NOT IN ('PROCESSING', 'UNKNOWN', 'MANUAL_REVIEW') OR send_attempt_time IS NOT NULL",
        name="transaction_sent_before_it_waits",
    ),
    CheckConstraint(
        "(state IN ('COMPLETED', 'FAILED', 'REVERSED')) = (complete_time IS NOT NULL)",
        name="transaction_ends",
    ),
    comment="All money that people see moving",
)

provider_request = Table(
    "provider_request",
    metadata,
    Column("transaction_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("rail", Text, nullable=False),
    Column("open", Boolean, nullable=False, server_default=text("true")),
    _time(
        "due_time", comment="When the transaction should have moved on; a sweep looks after it then"
    ),
    Index("provider_request_due", "due_time", postgresql_where=text("open")),
    comment="Whose transaction a callback speaks of, and which ones a sweep must look after",
)

provider_receipt = Table(
    "provider_receipt",
    metadata,
    Column("rail", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("transaction_id", Uuid, nullable=False),
    PrimaryKeyConstraint("rail", "receipt"),
    comment="One receipt of a provider completes one transaction, whatever is said later",
)

callback = Table(
    "callback",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("rail", Text, nullable=False),
    Column("transaction_id", Uuid, comment="Which the address named; null if it named none"),
    Column(
        "answers_question",
        Boolean,
        nullable=False,
        comment="Came to the address of a question of ours",
    ),
    Column("body", LargeBinary, nullable=False, comment="As it came"),
    _time("create_time"),
    _time("process_time", nullable=True),
    Index("callback_create_time", "create_time"),
    comment="What providers sent to us, as it came. Belongs to no tenant until it is looked at",
)

evidence = Table(
    "evidence",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("transaction_id", Uuid),
    Column("review_case_id", Uuid),
    Column("source", Text, nullable=False),
    Column("body", Text, nullable=False),
    _time("create_time"),
    PrimaryKeyConstraint("tenant_id", "id"),
    CheckConstraint("source IN ('CALLBACK', 'QUERY', 'RESPONSE')", name="evidence_source"),
    Index("evidence_of_transaction", "tenant_id", "transaction_id", "id"),
    Index("evidence_of_review_case", "tenant_id", "review_case_id", "id"),
    comment="What the provider said about a transaction, for the people who decide",
)

review_case = Table(
    "review_case",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("transaction_id", Uuid),
    Column("reason", Text, nullable=False),
    _time("create_time"),
    _time("close_time", nullable=True),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index("review_case_open", "tenant_id", "id", postgresql_where=text("close_time IS NULL")),
    Index(
        "review_case_once",
        "tenant_id",
        "transaction_id",
        unique=True,
        postgresql_where=text("close_time IS NULL AND transaction_id IS NOT NULL"),
    ),
    comment="Things that wait for a person",
)

review = Table(
    "review",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("transaction_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("proposer_id", Uuid, nullable=False),
    Column("decider_id", Uuid),
    _text("decision_note"),
    Column("reversal_transaction_id", Uuid),
    _time("create_time"),
    _time("decide_time", nullable=True),
    PrimaryKeyConstraint("tenant_id", "id"),
    Index(
        "review_open",
        "tenant_id",
        "transaction_id",
        unique=True,
        postgresql_where=text("state = 'PROPOSED'"),
    ),
    CheckConstraint("action IN ('COMPLETE', 'FAIL', 'REVERSE')", name="review_action"),
    CheckConstraint("state IN ('PROPOSED', 'CONFIRMED', 'REJECTED')", name="review_state"),
    CheckConstraint(
        "state <> 'CONFIRMED' OR decider_id <> proposer_id", name="review_needs_two_people"
    ),
    comment="Proposals of one person that a second one confirms",
)

fee_schedule = Table(
    "fee_schedule",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("rail", Text, nullable=False, comment="Empty for movements inside"),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("basis_points", Integer, nullable=False),
    Column("fee_min", BigInteger, nullable=False),
    Column("fee_max", BigInteger, nullable=False, comment="0 means no maximum"),
    Column("actor", Text, nullable=False),
    _time("update_time"),
    PrimaryKeyConstraint("tenant_id", "rail", "kind", "currency"),
    CheckConstraint(
        "basis_points BETWEEN 0 AND 10000 AND fee_min >= 0 AND fee_max >= 0"
        " AND (fee_max = 0 OR fee_min <= fee_max)",
        name="fee_schedule_makes_sense",
    ),
    comment="What movements cost; none means nothing",
)

idempotency_key = idempotency.table(metadata)
outbox_event = outbox.table(metadata)
audit_record = audit.table(metadata)

TENANT_OWNED = ("transaction", "evidence", "review_case", "review", "fee_schedule")
"""Seen by units of their tenant only."""

ACROSS_TENANTS = ("provider_request", "provider_receipt")
"""Also seen by sweeps and by the reading of callbacks, whose tenant is not known at first."""

"""The tables of the groups service, as the newest migration leaves them. Amounts are in minor units."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kit import audit, idempotency, inbox, outbox

__all__ = [
    "TENANT_OWNED",
    "approval",
    "contribution",
    "idempotency_key",
    "invitation",
    "member",
    "metadata",
    "savings_group",
    "withdrawal",
]

metadata = MetaData()


def _time(name: str, *, nullable: bool = False, comment: str | None = None) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment)


def _text(name: str, comment: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"), comment=comment)


def _amount(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"), comment=comment)


def _flag(name: str, comment: str | None = None) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"), comment=comment)


def _of_group() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "group_id"], ["savings_group.tenant_id", "savings_group.id"]
    )


savings_group = Table(
    "savings_group",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="UUIDv7; the id of the wallet follows from it"),
    Column("name", Text, nullable=False),
    _text("description"),
    Column("currency", Text, nullable=False),
    Column("policy_kind", Text, nullable=False),
    Column("approvals_needed", Integer, nullable=False, server_default=text("0")),
    Column("policy_steps", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("schedule_amount_minor", BigInteger),
    Column("schedule_period", Text),
    Column("schedule_due_day", Integer),
    _time("schedule_time", nullable=True, comment="Since when the schedule counts"),
    Column("reminded_day", Date, comment="The last due day of which members were reminded"),
    Column("reminder_count", BigInteger, nullable=False, server_default=text("0")),
    Column("exit_rule", Text, nullable=False),
    _flag("is_open", "It has its wallet"),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    _time("create_time"),
    PrimaryKeyConstraint("tenant_id", "id"),
    CheckConstraint("currency IN ('KES', 'USD', 'BTC')", name="savings_group_currency"),
    CheckConstraint(
        "policy_kind IN ('ALL_ADMINS', 'QUORUM', 'BY_AMOUNT')", name="savings_group_policy"
    ),
    CheckConstraint("exit_rule IN ('PAY_OUT', 'FORFEIT')", name="savings_group_exit_rule"),
    CheckConstraint(
        "(schedule_time IS NULL) = (schedule_period IS NULL)"
        " AND (schedule_time IS NULL) = (schedule_amount_minor IS NULL)"
        " AND (schedule_time IS NULL) = (schedule_due_day IS NULL)",
        name="savings_group_schedule",
    ),
    comment="People who save together",
)

member = Table(
    "member",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False, comment="As auth last said"),
    Column("role", Text, nullable=False),
    Column("state", Text, nullable=False),
    _amount("contributed_minor", "From wallets and by mobile money, in all their time"),
    _amount("cash_minor"),
    _amount("settled_minor", "What was settled when they left before"),
    _amount("base_minor", "What they had contributed when the schedule began to count"),
    Column("exit_id", Uuid, comment="The payout that they leave with"),
    _time("join_time"),
    PrimaryKeyConstraint("tenant_id", "group_id", "user_id"),
    _of_group(),
    Index("member_of_user", "tenant_id", "user_id"),
    Index("member_by_name", "tenant_id", "group_id", "name", "user_id"),
    CheckConstraint(
        "role IN ('OWNER', 'ADMIN', 'TREASURER', 'SECRETARY', 'MEMBER')", name="member_role"
    ),
    CheckConstraint("state IN ('ACTIVE', 'LEAVING', 'LEFT')", name="member_state"),
    CheckConstraint(
        "contributed_minor >= 0 AND cash_minor >= 0 AND settled_minor >= 0", name="member_totals"
    ),
    comment="People in groups, and those who were",
)

invitation = Table(
    "invitation",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("group_id", Uuid, nullable=False),
    Column("identifier", Text, nullable=False, comment="Email address or phone number"),
    Column("role", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("inviter_id", Uuid, nullable=False),
    Column("inviter_name", Text, nullable=False),
    Column("user_id", Uuid, comment="Who accepted or declined"),
    _time("create_time"),
    _time("expire_time"),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_group(),
    Index("invitation_of_identifier", "tenant_id", "identifier", "id"),
    Index(
        "invitation_once",
        "tenant_id",
        "group_id",
        "identifier",
        unique=True,
        postgresql_where=text("state = 'PENDING'"),
    ),
    CheckConstraint(
        "state IN ('PENDING', 'ACCEPTED', 'DECLINED', 'REVOKED', 'EXPIRED')",
        name="invitation_state",
    ),
    CheckConstraint(
        "role IN ('ADMIN', 'TREASURER', 'SECRETARY', 'MEMBER')", name="invitation_role"
    ),
    comment="Places in groups that wait for people",
)

contribution = Table(
    "contribution",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="Also the id of the transaction, but for cash"),
    Column("group_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("recorder_id", Uuid, nullable=False),
    Column("source_wallet_id", Uuid),
    _text("phone"),
    Column("booking_id", Uuid, comment="Cash: the ledger entry, once it is confirmed"),
    Column("confirmer_id", Uuid),
    _text("failure_reason"),
    _time("create_time"),
    _time("complete_time", nullable=True),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_group(),
    Index("contribution_of_group", "tenant_id", "group_id", "id"),
    Index(
        "contribution_open",
        "tenant_id",
        "group_id",
        "user_id",
        postgresql_where=text("state = 'PENDING'"),
    ),
    CheckConstraint("method IN ('WALLET', 'MOBILE_MONEY', 'CASH')", name="contribution_method"),
    CheckConstraint(
        "state IN ('PENDING', 'COMPLETED', 'FAILED', 'REVERSED')", name="contribution_state"
    ),
    CheckConstraint("amount_minor > 0", name="contribution_amount"),
    CheckConstraint(
        "method <> 'CASH' OR state <> 'COMPLETED' OR confirmer_id <> recorder_id",
        name="contribution_cash_needs_two_people",
    ),
    comment="What members pay",
)

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="Also the id of the transaction"),
    Column("group_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("requester_id", Uuid, nullable=False),
    Column("requester_name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("wallet_id", Uuid),
    _text("identifier"),
    _text("phone"),
    _flag("named_wallet", "Asked for by the id of the wallet"),
    Column("reason", Text, nullable=False),
    Column("required", Integer, comment="How many approvals; null means every owner and admin"),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    _flag("is_held", "The hold was made; before, nobody sees the withdrawal"),
    _flag("is_free", "The ledger has said that nothing is held any more"),
    _text("failure_reason"),
    _time("create_time"),
    _time("expire_time"),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_group(),
    Index("withdrawal_of_group", "tenant_id", "group_id", "id"),
    Index(
        "withdrawal_open",
        "tenant_id",
        "group_id",
        postgresql_where=text("state IN ('PENDING', 'APPROVED', 'PROCESSING')"),
    ),
    CheckConstraint("kind IN ('REQUEST', 'EXIT')", name="withdrawal_kind"),
    CheckConstraint(
        "state IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'PROCESSING',"
        " 'COMPLETED', 'FAILED', 'REVERSED')",
        name="withdrawal_state",
    ),
    CheckConstraint("amount_minor > 0", name="withdrawal_amount"),
    CheckConstraint(
        "is_held OR state IN ('PENDING', 'FAILED')", name="withdrawal_held_before_it_moves"
    ),
    comment="What groups pay out",
)

approval = Table(
    "approval",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("withdrawal_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("decision", Text, nullable=False),
    _time("create_time"),
    PrimaryKeyConstraint("tenant_id", "withdrawal_id", "user_id"),
    ForeignKeyConstraint(["tenant_id", "withdrawal_id"], ["withdrawal.tenant_id", "withdrawal.id"]),
    CheckConstraint("decision IN ('APPROVED', 'REJECTED')", name="approval_decision"),
    comment="What owners and admins said; one of each",
)

TENANT_OWNED = (savings_group, member, invitation, contribution, withdrawal, approval)

audit.table(metadata)
idempotency_key = idempotency.table(metadata)
inbox.table(metadata)
outbox.table(metadata)

"""What is stored. Every rule about balances that the database can check is a constraint here.

`transfer` and `entry` are append-only: the service's role may neither change nor delete rows, and a trigger refuses it to
everybody else. What becomes of a hold is kept beside its transfer, in `hold`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from services.kit import audit as kit_audit
from services.kit import inbox as kit_inbox

metadata = MetaData()

_CURRENCIES = "currency IN ('KES', 'USD', 'BTC')"

account = Table(
    "account",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False),
    Column(
        "position", BigInteger, Identity(always=True), nullable=False, comment="Order of opening"
    ),
    Column("kind", Text, nullable=False),
    Column("owner_id", Uuid, comment="The person or group; null for system and external accounts"),
    Column("code", Text, comment="SYSTEM:… or EXTERNAL:…; null for wallets"),
    Column("currency", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("debits_posted", BigInteger, nullable=False, server_default=text("0")),
    Column("credits_posted", BigInteger, nullable=False, server_default=text("0")),
    Column("debits_pending", BigInteger, nullable=False, server_default=text("0")),
    Column("credits_pending", BigInteger, nullable=False, server_default=text("0")),
    Column("protected", Boolean, nullable=False, comment="May not go below zero"),
    Column(
        "frozen", Boolean, nullable=False, server_default=text("false"), comment="Gives nothing"
    ),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("tenant_id", "kind", "owner_id", "currency", name="account_owner"),
    UniqueConstraint("tenant_id", "code", "currency", name="account_code"),
    Index("account_of_owner", "tenant_id", "owner_id", "position"),
    CheckConstraint("kind IN ('USER', 'GROUP', 'SYSTEM', 'EXTERNAL')", name="account_kind"),
    CheckConstraint(
        "(kind IN ('USER', 'GROUP')) = (owner_id IS NOT NULL)"
        " AND (kind IN ('USER', 'GROUP')) = (code IS NULL)",
        name="account_has_owner_or_code",
    ),
    CheckConstraint(
        "(kind IN ('USER', 'GROUP')) = protected", name="account_wallets_are_protected"
    ),
    CheckConstraint(_CURRENCIES, name="account_currency"),
    CheckConstraint(
        "debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0",
        name="account_totals_not_negative",
    ),
    CheckConstraint(
        "NOT protected OR credits_posted - debits_posted - debits_pending >= 0",
        name="account_not_overdrawn",
    ),
    comment="One side of every entry, with its four totals in minor units",
)

transfer = Table(
    "transfer",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="Made by the caller"),
    Column("seq", BigInteger, Identity(always=True), nullable=False, comment="Order of commits"),
    Column("kind", Text, nullable=False),
    Column("debit_account_id", Uuid, nullable=False),
    Column("credit_account_id", Uuid, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("hold_id", Uuid, comment="The hold that it ends"),
    Column("expire_time", DateTime(timezone=True)),
    Column("linked", Boolean, nullable=False),
    Column("code", Text, nullable=False),
    Column("transaction_id", Uuid, nullable=False),
    Column("reference", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("effective_time", DateTime(timezone=True), nullable=False),
    Column("book_time", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("tenant_id", "id"),
    UniqueConstraint("seq", name="transfer_seq"),
    ForeignKeyConstraint(
        ["tenant_id", "debit_account_id"],
        ["account.tenant_id", "account.id"],
        name="transfer_debit_account",
    ),
    ForeignKeyConstraint(
        ["tenant_id", "credit_account_id"],
        ["account.tenant_id", "account.id"],
        name="transfer_credit_account",
    ),
    CheckConstraint("kind IN ('POST', 'HOLD', 'POST_HOLD', 'VOID_HOLD')", name="transfer_kind"),
    CheckConstraint("amount_minor > 0", name="transfer_amount_positive"),
    CheckConstraint("debit_account_id <> credit_account_id", name="transfer_two_accounts"),
    CheckConstraint(_CURRENCIES, name="transfer_currency"),
    CheckConstraint(
        "(kind IN ('POST_HOLD', 'VOID_HOLD')) = (hold_id IS NOT NULL)", name="transfer_hold"
    ),
    CheckConstraint("expire_time IS NULL OR kind = 'HOLD'", name="transfer_expire_time"),
    Index("transfer_book_time", "book_time", postgresql_using="brin"),
    comment="Steps as they were booked; rows never change",
)

hold = Table(
    "hold",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("id", Uuid, nullable=False, comment="Id of the HOLD transfer"),
    Column("debit_account_id", Uuid, nullable=False),
    Column("credit_account_id", Uuid, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("expire_time", DateTime(timezone=True)),
    Column("state", Text, nullable=False),
    Column("end_transfer_id", Uuid, comment="What posted or voided it"),
    Column("end_time", DateTime(timezone=True)),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(
        ["tenant_id", "id"], ["transfer.tenant_id", "transfer.id"], name="hold_transfer"
    ),
    ForeignKeyConstraint(
        ["tenant_id", "end_transfer_id"],
        ["transfer.tenant_id", "transfer.id"],
        name="hold_end_transfer",
    ),
    CheckConstraint("state IN ('HELD', 'POSTED', 'VOIDED', 'EXPIRED')", name="hold_state"),
    CheckConstraint("(state = 'HELD') = (end_time IS NULL)", name="hold_ends_once"),
    CheckConstraint(
        "(state IN ('POSTED', 'VOIDED')) = (end_transfer_id IS NOT NULL)", name="hold_ended_by"
    ),
    Index(
        "hold_of_debit_account",
        "tenant_id",
        "debit_account_id",
        "expire_time",
        postgresql_where=text("state = 'HELD'"),
    ),
    Index(
        "hold_of_credit_account",
        "tenant_id",
        "credit_account_id",
        "expire_time",
        postgresql_where=text("state = 'HELD'"),
    ),
    Index(
        "hold_due",
        "expire_time",
        postgresql_where=text("state = 'HELD' AND expire_time IS NOT NULL"),
    ),
    comment="What has become of each HOLD",
)

entry = Table(
    "entry",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False, comment="That of the transfer"),
    Column("transfer_id", Uuid, nullable=False),
    Column("amount_minor", BigInteger, nullable=False, comment="Positive came in"),
    Column("balance_minor", BigInteger, nullable=False, comment="Of the account, after this entry"),
    PrimaryKeyConstraint("tenant_id", "account_id", "seq"),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"], ["account.tenant_id", "account.id"], name="entry_account"
    ),
    ForeignKeyConstraint(
        ["tenant_id", "transfer_id"], ["transfer.tenant_id", "transfer.id"], name="entry_transfer"
    ),
    CheckConstraint("amount_minor <> 0", name="entry_changes_something"),
    comment="Lines of accounts, two for each posted transfer; rows never change",
)

period = Table(
    "period",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("end_time", DateTime(timezone=True), nullable=False, comment="Nothing counts before it"),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("tenant_id", "end_time"),
    comment="Closed periods",
)

freeze_note = Table(
    "freeze_note",
    metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("account_id", Uuid, nullable=False),
    Column("frozen", Boolean, nullable=False, comment="Whether it was frozen or freed"),
    Column("note", Text, nullable=False, comment="Why"),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["tenant_id", "account_id"], ["account.tenant_id", "account.id"], name="freeze_note_account"
    ),
    Index("freeze_note_of_account", "tenant_id", "account_id", "position"),
    comment="Who froze or freed an account, and why; rows never change",
)

relay_position = Table(
    "relay_position",
    metadata,
    Column("shard", SmallInteger, primary_key=True),
    Column("seq", BigInteger, nullable=False, comment="The last transfer that was published"),
    comment="How far wallet.transfer events have been told",
)

inbox = kit_inbox.table(metadata)
audit_record = kit_audit.table(metadata)

"""The tables of the auth service, as the newest migration leaves them.

Walls between people: a unit of work sees the rows of its tenant (role, membership, api_key, and the people who have a
place in it) and those of its own user. Only units of all tenants see everything: they serve calls before anyone is
signed in, when all that is known of a person is an identifier and a secret.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from services.kit import audit, outbox

__all__ = ["PERSON_TABLES", "metadata"]

metadata = MetaData()

PERSON_TABLES = ("identifier", "credential", "totp", "session", "refresh_token", "suspension")
"""Tables whose rows belong to a person by `user_id`."""


def _time(name: str, *, nullable: bool = False, comment: str = "") -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment or None)


def _user(*, primary_key: bool = False) -> Column[object]:
    return Column(
        "user_id",
        Uuid,
        ForeignKey("user_account.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


tenant = Table(
    "tenant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    _time("create_time"),
    CheckConstraint("id ~ '^[a-z][a-z0-9-]{0,30}$'", name="tenant_id_is_a_slug"),
    comment="Organisations whose people and books are their own",
)

role = Table(
    "role",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("permissions", ARRAY(Text), nullable=False, comment="Permission bundle"),
    comment="Roles of a tenant",
    info={"across_tenants": True},
)

user_account = Table(
    "user_account",
    metadata,
    Column("id", Uuid, primary_key=True, comment="UUIDv7, the id of the sign-up"),
    Column("display_name", Text, nullable=False),
    Column(
        "name_key",
        Text(collation="C"),
        Computed("lower(display_name)", persisted=True),
        nullable=False,
        comment="The name in lower case, by bytes",
    ),
    Column("locale", Text, nullable=False),
    Column("kyc_tier", Integer, nullable=False, server_default=text("0")),
    Column("default_tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column(
        "version", BigInteger, nullable=False, comment="Counts the person's events without gaps"
    ),
    _time("create_time"),
    _time("suspend_time", nullable=True, comment="Set while the person is suspended"),
    CheckConstraint("char_length(display_name) BETWEEN 1 AND 80", name="user_account_name_length"),
    CheckConstraint("locale IN ('en', 'sw')", name="user_account_locale"),
    Index("user_account_name", "name_key", "id"),
    comment="Verified people; one person may belong to several tenants",
)

identifier = Table(
    "identifier",
    metadata,
    Column("value", Text, primary_key=True, comment="Email in lower case, or phone in E.164 form"),
    Column("kind", Text, nullable=False),
    _user(),
    _time("verify_time"),
    CheckConstraint("kind IN ('email', 'phone')", name="identifier_kind"),
    Index("identifier_user_kind", "user_id", "kind", unique=True),
    comment="Verified ways to reach a person; each belongs to one person only",
)

credential = Table(
    "credential",
    metadata,
    _user(primary_key=True),
    Column("kind", Text, nullable=False),
    Column("hash", Text, nullable=False, comment="argon2id; a PIN is peppered first"),
    _time("update_time"),
    CheckConstraint("kind IN ('password', 'pin')", name="credential_kind"),
    comment="What a person's secret is compared with",
)

sign_up = Table(
    "sign_up",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("identifier_kind", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("secret_kind", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    _time("create_time"),
    Index("sign_up_identifier", "identifier", "create_time"),
    Index("sign_up_create_time", "create_time"),
    comment="Accounts that wait for their code; whoever gives a code back owns that one",
    info={"across_tenants": True},
)

verification_code = Table(
    "verification_code",
    metadata,
    Column("id", Uuid, primary_key=True, comment="Also the id of the message that carries it"),
    Column("tenant_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("identifier_kind", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("sign_up_id", Uuid, ForeignKey("sign_up.id", ondelete="CASCADE")),
    Column("user_id", Uuid, ForeignKey("user_account.id", ondelete="CASCADE")),
    Column("code_hash", LargeBinary, nullable=False, comment="HMAC of id and code"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _time("create_time"),
    _time("expire_time"),
    _time("use_time", nullable=True),
    CheckConstraint("purpose IN ('sign_up', 'recover')", name="verification_code_purpose"),
    CheckConstraint(
        "(sign_up_id IS NULL) <> (user_id IS NULL)", name="verification_code_has_one_owner"
    ),
    Index("verification_code_identifier", "identifier", "purpose", "create_time"),
    Index("verification_code_sign_up", "sign_up_id"),
    Index("verification_code_user", "user_id"),
    Index("verification_code_expire_time", "expire_time"),
    comment="Codes that were sent; they work once",
    info={"across_tenants": True},
)

attempt = Table(
    "attempt",
    metadata,
    Column("subject", LargeBinary, primary_key=True, comment="HMAC of action, identifier, address"),
    Column("count", Integer, nullable=False),
    Column("window_seconds", Integer, nullable=False),
    _time("start_time", comment="Of the window"),
    Index("attempt_start_time", "start_time"),
    comment="Tries per identity and address, and per identity",
)

session = Table(
    "session",
    metadata,
    Column("id", Uuid, primary_key=True),
    _user(),
    Column("generation", Integer, nullable=False, comment="Of the newest refresh token"),
    Column("methods", ARRAY(Text), nullable=False, comment="How the person proved who they are"),
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    _time("create_time"),
    _time("refresh_time", comment="When the newest generation was made"),
    _time("expire_time"),
    _time("end_time", nullable=True),
    Column("end_reason", Text),
    _time("second_factor_time", nullable=True),
    Index(
        "session_live",
        "user_id",
        text("create_time DESC"),
        text("id DESC"),
        postgresql_where=text("end_time IS NULL"),
    ),
    Index("session_expire_time", "expire_time"),
    comment="Signed-in programs; each is one family of refresh tokens",
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("hash", LargeBinary, primary_key=True, comment="SHA-256 of a 256-bit token"),
    Column("session_id", Uuid, ForeignKey("session.id", ondelete="CASCADE"), nullable=False),
    _user(),
    Column("generation", Integer, nullable=False),
    Index("refresh_token_session", "session_id", "generation", unique=True),
    Index("refresh_token_user", "user_id"),
    comment="Hashes of refresh tokens; old ones stay to be recognised when they are used again",
)

membership = Table(
    "membership",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.id"), primary_key=True),
    _user(primary_key=True),
    Column("roles", ARRAY(Text), nullable=False),
    _time("create_time"),
    Index("membership_user", "user_id"),
    Index("membership_tenant_time", "tenant_id", "create_time", "user_id"),
    comment="Who belongs to which tenant, with which roles",
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False, comment="HMAC of the key"),
    Column("permissions", ARRAY(Text), nullable=False),
    _time("create_time"),
    _time("expire_time"),
    _time("last_use_time", nullable=True, comment="To the minute"),
    _time("revoke_time", nullable=True),
    ForeignKeyConstraint(
        ["tenant_id", "user_id"],
        ["membership.tenant_id", "membership.user_id"],
        name="api_key_membership",
        ondelete="CASCADE",
    ),
    Index(
        "api_key_live",
        "user_id",
        "tenant_id",
        text("create_time DESC"),
        text("id DESC"),
        postgresql_where=text("revoke_time IS NULL"),
    ),
    comment="Keys that act for a person in one tenant",
)

totp = Table(
    "totp",
    metadata,
    _user(primary_key=True),
    Column(
        "sealed_secret", LargeBinary, nullable=False, comment="AES-256-GCM, bound to the person"
    ),
    _time("create_time"),
    _time("confirm_time", nullable=True, comment="Set once the app is on"),
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
    comment="Authenticator apps",
)

suspension = Table(
    "suspension",
    metadata,
    Column("id", Uuid, primary_key=True),
    _user(),
    Column("kind", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('suspend', 'unsuspend')", name="suspension_kind"),
    Index("suspension_user", "user_id", "create_time"),
    comment="Who was suspended or let in again, by whom and why",
)

outbox_event = outbox.table(metadata)
audit_record = audit.table(metadata)

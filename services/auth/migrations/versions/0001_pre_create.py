"""All tables of the auth service, and the walls between people and tenants."""

from alembic import op

from services.kit import audit, migrations, outbox

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE attempt (
  subject BYTEA NOT NULL,
  count INTEGER NOT NULL,
  window_seconds INTEGER NOT NULL,
  start_time TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (subject)
);
CREATE INDEX attempt_start_time ON attempt (start_time);
COMMENT ON TABLE attempt IS 'Tries per identity and address, and per identity';
COMMENT ON COLUMN attempt.subject IS 'HMAC of action, identifier, address';
COMMENT ON COLUMN attempt.start_time IS 'Of the window';

CREATE TABLE tenant (
  id TEXT NOT NULL,
  display_name TEXT NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT tenant_id_is_a_slug CHECK (id ~ '^[a-z][a-z0-9-]{0,30}$')
);
COMMENT ON TABLE tenant IS 'Organisations whose people and books are their own';

CREATE TABLE role (
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  permissions TEXT[] NOT NULL,
  PRIMARY KEY (tenant_id, name),
  FOREIGN KEY(tenant_id) REFERENCES tenant (id)
);
COMMENT ON TABLE role IS 'Roles of a tenant';
COMMENT ON COLUMN role.permissions IS 'Permission bundle';

CREATE TABLE sign_up (
  id UUID NOT NULL,
  tenant_id TEXT NOT NULL,
  identifier_kind TEXT NOT NULL,
  identifier TEXT NOT NULL,
  display_name TEXT NOT NULL,
  locale TEXT NOT NULL,
  secret_kind TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(tenant_id) REFERENCES tenant (id)
);
CREATE INDEX sign_up_create_time ON sign_up (create_time);
CREATE INDEX sign_up_identifier ON sign_up (identifier, create_time);
COMMENT ON TABLE sign_up IS 'Accounts that wait for their code; whoever gives a code back owns that one';

CREATE TABLE user_account (
  id UUID NOT NULL,
  display_name TEXT NOT NULL,
  locale TEXT NOT NULL,
  kyc_tier INTEGER DEFAULT 0 NOT NULL,
  default_tenant_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  suspend_time TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (id),
  CONSTRAINT user_account_name_length CHECK (char_length(display_name) BETWEEN 1 AND 80),
  CONSTRAINT user_account_locale CHECK (locale IN ('en', 'sw')),
  FOREIGN KEY(default_tenant_id) REFERENCES tenant (id)
);
CREATE INDEX user_account_name ON user_account ((lower(display_name) COLLATE "C"), id);
COMMENT ON TABLE user_account IS 'Verified people; one person may belong to several tenants';
COMMENT ON COLUMN user_account.id IS 'UUIDv7, the id of the sign-up';
COMMENT ON COLUMN user_account.version IS 'Counts the person''s events without gaps';
COMMENT ON COLUMN user_account.suspend_time IS 'Set while the person is suspended';

CREATE TABLE credential (
  user_id UUID NOT NULL,
  kind TEXT NOT NULL,
  hash TEXT NOT NULL,
  update_time TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (user_id),
  CONSTRAINT credential_kind CHECK (kind IN ('password', 'pin')),
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
COMMENT ON TABLE credential IS 'What a person''s secret is compared with';
COMMENT ON COLUMN credential.hash IS 'argon2id; a PIN is peppered first';

CREATE TABLE identifier (
  value TEXT NOT NULL,
  kind TEXT NOT NULL,
  user_id UUID NOT NULL,
  verify_time TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (value),
  CONSTRAINT identifier_kind CHECK (kind IN ('email', 'phone')),
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX identifier_user_kind ON identifier (user_id, kind);
COMMENT ON TABLE identifier IS 'Verified ways to reach a person; each belongs to one person only';
COMMENT ON COLUMN identifier.value IS 'Email in lower case, or phone in E.164 form';

CREATE TABLE membership (
  tenant_id TEXT NOT NULL,
  user_id UUID NOT NULL,
  roles TEXT[] NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (tenant_id, user_id),
  FOREIGN KEY(tenant_id) REFERENCES tenant (id),
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE INDEX membership_tenant_time ON membership (tenant_id, create_time, user_id);
CREATE INDEX membership_user ON membership (user_id);
COMMENT ON TABLE membership IS 'Who belongs to which tenant, with which roles';

CREATE TABLE session (
  id UUID NOT NULL,
  user_id UUID NOT NULL,
  generation INTEGER NOT NULL,
  methods TEXT[] NOT NULL,
  user_agent TEXT NOT NULL,
  address TEXT NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  refresh_time TIMESTAMP WITH TIME ZONE NOT NULL,
  expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
  end_time TIMESTAMP WITH TIME ZONE,
  end_reason TEXT,
  second_factor_time TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (id),
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE INDEX session_expire_time ON session (expire_time);
CREATE INDEX session_live ON session (user_id, create_time DESC, id DESC) WHERE end_time IS NULL;
COMMENT ON TABLE session IS 'Signed-in programs; each is one family of refresh tokens';
COMMENT ON COLUMN session.generation IS 'Of the newest refresh token';
COMMENT ON COLUMN session.methods IS 'How the person proved who they are';
COMMENT ON COLUMN session.refresh_time IS 'When the newest generation was made';

CREATE TABLE suspension (
  id UUID NOT NULL,
  user_id UUID NOT NULL,
  kind TEXT NOT NULL,
  note TEXT NOT NULL,
  actor TEXT NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT suspension_kind CHECK (kind IN ('suspend', 'unsuspend')),
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE INDEX suspension_user ON suspension (user_id, create_time);
COMMENT ON TABLE suspension IS 'Who was suspended or let in again, by whom and why';

CREATE TABLE totp (
  user_id UUID NOT NULL,
  sealed_secret BYTEA NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  confirm_time TIMESTAMP WITH TIME ZONE,
  last_step BIGINT DEFAULT 0 NOT NULL,
  PRIMARY KEY (user_id),
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
COMMENT ON TABLE totp IS 'Authenticator apps';
COMMENT ON COLUMN totp.sealed_secret IS 'AES-256-GCM, bound to the person';
COMMENT ON COLUMN totp.confirm_time IS 'Set once the app is on';

CREATE TABLE verification_code (
  id UUID NOT NULL,
  tenant_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  identifier_kind TEXT NOT NULL,
  identifier TEXT NOT NULL,
  sign_up_id UUID,
  user_id UUID,
  code_hash BYTEA NOT NULL,
  attempts INTEGER DEFAULT 0 NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
  use_time TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (id),
  CONSTRAINT verification_code_purpose CHECK (purpose IN ('sign_up', 'recover')),
  CONSTRAINT verification_code_has_one_owner CHECK ((sign_up_id IS NULL) <> (user_id IS NULL)),
  FOREIGN KEY(sign_up_id) REFERENCES sign_up (id) ON DELETE CASCADE,
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE INDEX verification_code_expire_time ON verification_code (expire_time);
CREATE INDEX verification_code_identifier ON verification_code (identifier, purpose, create_time);
CREATE INDEX verification_code_sign_up ON verification_code (sign_up_id);
CREATE INDEX verification_code_user ON verification_code (user_id);
COMMENT ON TABLE verification_code IS 'Codes that were sent; they work once';
COMMENT ON COLUMN verification_code.id IS 'Also the id of the message that carries it';
COMMENT ON COLUMN verification_code.code_hash IS 'HMAC of id and code';

CREATE TABLE api_key (
  id UUID NOT NULL,
  tenant_id TEXT NOT NULL,
  user_id UUID NOT NULL,
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  hash BYTEA NOT NULL,
  permissions TEXT[] NOT NULL,
  create_time TIMESTAMP WITH TIME ZONE NOT NULL,
  expire_time TIMESTAMP WITH TIME ZONE NOT NULL,
  last_use_time TIMESTAMP WITH TIME ZONE,
  revoke_time TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (id),
  CONSTRAINT api_key_membership FOREIGN KEY(tenant_id, user_id) REFERENCES membership (tenant_id, user_id) ON DELETE CASCADE,
  UNIQUE (prefix)
);
CREATE INDEX api_key_live ON api_key (user_id, tenant_id, create_time DESC, id DESC) WHERE revoke_time IS NULL;
COMMENT ON TABLE api_key IS 'Keys that act for a person in one tenant';
COMMENT ON COLUMN api_key.hash IS 'HMAC of the key';
COMMENT ON COLUMN api_key.last_use_time IS 'To the minute';

CREATE TABLE refresh_token (
  hash BYTEA NOT NULL,
  session_id UUID NOT NULL,
  user_id UUID NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (hash),
  FOREIGN KEY(session_id) REFERENCES session (id) ON DELETE CASCADE,
  FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX refresh_token_session ON refresh_token (session_id, generation);
CREATE INDEX refresh_token_user ON refresh_token (user_id);
COMMENT ON TABLE refresh_token IS 'Hashes of refresh tokens; old ones stay to be recognised when they are used again';
COMMENT ON COLUMN refresh_token.hash IS 'SHA-256 of a 256-bit token';
"""

_EVERYWHERE = "current_setting('hazina.tenant_id', true) = '*'"
_TENANT = "tenant_id = current_setting('hazina.tenant_id', true)"
_OWN = "user_id = nullif(current_setting('hazina.user_id', true), '')::uuid"
_NEIGHBOUR = "EXISTS (SELECT 1 FROM membership place WHERE place.user_id = {table}.{column})"


def upgrade() -> None:
    """Make the tables, then the walls."""
    op.execute(_TABLES)
    migrations.create(outbox.table, audit.table)
    for table in ("role", "sign_up", "verification_code"):
        migrations.protect(table, across_tenants=True)
    own_id = _OWN.replace("user_id =", "id =")
    _wall("membership", sees=f"{_TENANT} OR {_OWN}", writes=_TENANT)
    _wall(
        "user_account",
        sees=f"{own_id} OR {_NEIGHBOUR.format(table='user_account', column='id')}",
        writes=own_id,
    )
    _wall(
        "identifier",
        sees=f"{_OWN} OR {_NEIGHBOUR.format(table='identifier', column='user_id')}",
        writes=_OWN,
    )
    for table in ("credential", "totp", "session", "refresh_token", "suspension"):
        _wall(table, sees=_OWN, writes=_OWN)
    _wall("api_key", sees=_OWN, writes=f"{_OWN} AND {_TENANT}")


def _wall(table: str, *, sees: str, writes: str) -> None:
    """A unit of all tenants sees and writes everything; any other one sees and writes what is said here."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY wall ON {table} USING ({_EVERYWHERE} OR {sees})"
        f" WITH CHECK ({_EVERYWHERE} OR {writes})"
    )

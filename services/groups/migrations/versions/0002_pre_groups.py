"""Groups, members, invitations, contributions, withdrawals and what was said about them."""

from alembic import op

from services.kit import migrations

revision = "0002"
down_revision = "0001"

_SAVINGS_GROUP = """
CREATE TABLE savings_group (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT '' NOT NULL,
    currency text NOT NULL,
    policy_kind text NOT NULL,
    approvals_needed integer DEFAULT 0 NOT NULL,
    policy_steps jsonb DEFAULT '[]'::jsonb NOT NULL,
    schedule_amount_minor bigint,
    schedule_period text,
    schedule_due_day integer,
    schedule_time timestamptz,
    reminded_day date,
    reminder_count bigint DEFAULT 0 NOT NULL,
    exit_rule text NOT NULL,
    is_open boolean DEFAULT false NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT savings_group_currency CHECK (currency IN ('KES', 'USD', 'BTC')),
    CONSTRAINT savings_group_policy CHECK (policy_kind IN ('ALL_ADMINS', 'QUORUM', 'BY_AMOUNT')),
    CONSTRAINT savings_group_exit_rule CHECK (exit_rule IN ('PAY_OUT', 'FORFEIT')),
    CONSTRAINT savings_group_schedule CHECK ((schedule_time IS NULL) = (schedule_period IS NULL) AND (schedule_time IS NULL) = (schedule_amount_minor IS NULL) AND (schedule_time IS NULL) = (schedule_due_day IS NULL))
)
"""

_MEMBER = """
CREATE TABLE member (
    tenant_id text NOT NULL,
    group_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    contributed_minor bigint DEFAULT 0 NOT NULL,
    cash_minor bigint DEFAULT 0 NOT NULL,
    settled_minor bigint DEFAULT 0 NOT NULL,
    base_minor bigint DEFAULT 0 NOT NULL,
    exit_id uuid,
    join_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, group_id, user_id),
    FOREIGN KEY(tenant_id, group_id) REFERENCES savings_group (tenant_id, id),
    CONSTRAINT member_role CHECK (role IN ('OWNER', 'ADMIN', 'TREASURER', 'SECRETARY', 'MEMBER')),
    CONSTRAINT member_state CHECK (state IN ('ACTIVE', 'LEAVING', 'LEFT')),
    CONSTRAINT member_totals CHECK (contributed_minor >= 0 AND cash_minor >= 0 AND settled_minor >= 0)
)
"""

_MEMBER_INDEXES = (
    "CREATE INDEX member_by_name ON member (tenant_id, group_id, name, user_id)",
    "CREATE INDEX member_of_user ON member (tenant_id, user_id)",
)

_INVITATION = """
CREATE TABLE invitation (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    group_id uuid NOT NULL,
    identifier text NOT NULL,
    role text NOT NULL,
    state text NOT NULL,
    inviter_id uuid NOT NULL,
    inviter_name text NOT NULL,
    user_id uuid,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, group_id) REFERENCES savings_group (tenant_id, id),
    CONSTRAINT invitation_state CHECK (state IN ('PENDING', 'ACCEPTED', 'DECLINED', 'REVOKED', 'EXPIRED')),
    CONSTRAINT invitation_role CHECK (role IN ('ADMIN', 'TREASURER', 'SECRETARY', 'MEMBER'))
)
"""

_INVITATION_INDEXES = (
    "CREATE INDEX invitation_of_identifier ON invitation (tenant_id, identifier, id)",
    "CREATE UNIQUE INDEX invitation_once ON invitation (tenant_id, group_id, identifier) WHERE state = 'PENDING'",
)

_CONTRIBUTION = """
CREATE TABLE contribution (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    group_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    method text NOT NULL,
    state text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    recorder_id uuid NOT NULL,
    source_wallet_id uuid,
    phone text DEFAULT '' NOT NULL,
    booking_id uuid,
    confirmer_id uuid,
    failure_reason text DEFAULT '' NOT NULL,
    create_time timestamptz NOT NULL,
    complete_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, group_id) REFERENCES savings_group (tenant_id, id),
    CONSTRAINT contribution_method CHECK (method IN ('WALLET', 'MOBILE_MONEY', 'CASH')),
    CONSTRAINT contribution_state CHECK (state IN ('PENDING', 'COMPLETED', 'FAILED', 'REVERSED')),
    CONSTRAINT contribution_amount CHECK (amount_minor > 0),
    CONSTRAINT contribution_cash_needs_two_people CHECK (method <> 'CASH' OR state <> 'COMPLETED' OR confirmer_id <> recorder_id)
)
"""

_CONTRIBUTION_INDEXES = (
    "CREATE INDEX contribution_of_group ON contribution (tenant_id, group_id, id)",
    "CREATE INDEX contribution_open ON contribution (tenant_id, group_id, user_id) WHERE state = 'PENDING'",
)

_WITHDRAWAL = """
CREATE TABLE withdrawal (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    group_id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    requester_id uuid NOT NULL,
    requester_name text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    wallet_id uuid,
    identifier text DEFAULT '' NOT NULL,
    phone text DEFAULT '' NOT NULL,
    named_wallet boolean DEFAULT false NOT NULL,
    reason text NOT NULL,
    required integer,
    version bigint DEFAULT 0 NOT NULL,
    is_held boolean DEFAULT false NOT NULL,
    is_free boolean DEFAULT false NOT NULL,
    failure_reason text DEFAULT '' NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY(tenant_id, group_id) REFERENCES savings_group (tenant_id, id),
    CONSTRAINT withdrawal_kind CHECK (kind IN ('REQUEST', 'EXIT')),
    CONSTRAINT withdrawal_state CHECK (state IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'PROCESSING', 'COMPLETED', 'FAILED', 'REVERSED')),
    CONSTRAINT withdrawal_amount CHECK (amount_minor > 0),
    CONSTRAINT withdrawal_held_before_it_moves CHECK (is_held OR state IN ('PENDING', 'FAILED'))
)
"""

_WITHDRAWAL_INDEXES = (
    "CREATE INDEX withdrawal_of_group ON withdrawal (tenant_id, group_id, id)",
    "CREATE INDEX withdrawal_open ON withdrawal (tenant_id, group_id) WHERE state IN ('PENDING', 'APPROVED', 'PROCESSING')",
)

_APPROVAL = """
CREATE TABLE approval (
    tenant_id text NOT NULL,
    withdrawal_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    decision text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, withdrawal_id, user_id),
    FOREIGN KEY(tenant_id, withdrawal_id) REFERENCES withdrawal (tenant_id, id),
    CONSTRAINT approval_decision CHECK (decision IN ('APPROVED', 'REJECTED'))
)
"""

_COMMENTS = (
    "COMMENT ON TABLE savings_group IS 'People who save together'",
    "COMMENT ON COLUMN savings_group.id IS 'UUIDv7; the id of the wallet follows from it'",
    "COMMENT ON COLUMN savings_group.schedule_time IS 'Since when the schedule counts'",
    "COMMENT ON COLUMN savings_group.reminded_day IS 'The last due day of which members were reminded'",
    "COMMENT ON COLUMN savings_group.is_open IS 'It has its wallet'",
    "COMMENT ON TABLE member IS 'People in groups, and those who were'",
    "COMMENT ON COLUMN member.name IS 'As auth last said'",
    "COMMENT ON COLUMN member.contributed_minor IS 'From wallets and by mobile money, in all their time'",
    "COMMENT ON COLUMN member.settled_minor IS 'What was settled when they left before'",
    "COMMENT ON COLUMN member.base_minor IS 'What they had contributed when the schedule began to count'",
    "COMMENT ON COLUMN member.exit_id IS 'The payout that they leave with'",
    "COMMENT ON TABLE invitation IS 'Places in groups that wait for people'",
    "COMMENT ON COLUMN invitation.identifier IS 'Email address or phone number'",
    "COMMENT ON COLUMN invitation.user_id IS 'Who accepted or declined'",
    "COMMENT ON TABLE contribution IS 'What members pay'",
    "COMMENT ON COLUMN contribution.id IS 'Also the id of the transaction, but for cash'",
    "COMMENT ON COLUMN contribution.booking_id IS 'Cash: the ledger entry, once it is confirmed'",
    "COMMENT ON TABLE withdrawal IS 'What groups pay out'",
    "COMMENT ON COLUMN withdrawal.id IS 'Also the id of the transaction'",
    "COMMENT ON COLUMN withdrawal.named_wallet IS 'Asked for by the id of the wallet'",
    "COMMENT ON COLUMN withdrawal.required IS 'How many approvals; null means every owner and admin'",
    "COMMENT ON COLUMN withdrawal.is_held IS 'The hold was made; before, nobody sees the withdrawal'",
    "COMMENT ON COLUMN withdrawal.is_free IS 'The ledger has said that nothing is held any more'",
    "COMMENT ON TABLE approval IS 'What owners and admins said; one of each'",
)


def upgrade() -> None:
    """Make the tables and the walls between tenants."""
    op.execute(_SAVINGS_GROUP)
    op.execute(_MEMBER)
    for index in _MEMBER_INDEXES:
        op.execute(index)
    op.execute(_INVITATION)
    for index in _INVITATION_INDEXES:
        op.execute(index)
    op.execute(_CONTRIBUTION)
    for index in _CONTRIBUTION_INDEXES:
        op.execute(index)
    op.execute(_WITHDRAWAL)
    for index in _WITHDRAWAL_INDEXES:
        op.execute(index)
    op.execute(_APPROVAL)
    for table in (
        "savings_group",
        "member",
        "invitation",
        "contribution",
        "withdrawal",
        "approval",
    ):
        migrations.protect(table)
    for comment in _COMMENTS:
        op.execute(comment)

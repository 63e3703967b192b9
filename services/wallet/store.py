"""All SQL of the wallet service. Takes a session, answers domain objects; decides nothing.

Posting is two statements: `load` reads and locks everything that steps name, `save` stores what was decided, each for any
number of steps. Both run under the lock of the ledger's shard, so `seq` is the order of commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kit.database import Session
from services.kit.money import INT64_MAX, Money
from services.wallet.domain import (
    Account,
    AccountKind,
    BalanceLine,
    Booked,
    Books,
    Decision,
    Hold,
    HoldState,
    Needs,
    StatementLine,
    StepKind,
    Transfer,
    TrialBalance,
)

CHANNEL = "wallet_ledger"
"""Where commits are told of: ids of wallets that changed, separated by commas; `-` when only others did."""

SHARD = 0
"""Tenants that commit one after the other. One shard holds them all."""

_LOCK_SPACE = 1_464_617_033
_RELAY_LOCK = 1_464_617_034
_NOTICE_IDS_MAX = 200  # a notification holds 8,000 bytes

_ACCOUNT_COLUMNS = (
    "id, kind, owner_id, code, currency, name, protected, create_time,"
    " debits_posted, credits_posted, debits_pending, credits_pending, frozen, version"
)
_TRANSFER_COLUMNS = (
    "id, kind, debit_account_id, credit_account_id, amount_minor, currency, hold_id, expire_time,"
    " linked, code, transaction_id, reference, effective_time, book_time"
)
_HOLD_COLUMNS = (
    "id, debit_account_id, credit_account_id, amount_minor, currency, expire_time, state,"
    " end_transfer_id, end_time"
)

_LOCK = text(f"SELECT pg_advisory_xact_lock({_LOCK_SPACE}, :shard)")

# The time is the statement's: it begins after the lock was taken, so book times never run backwards in `seq`.
_LOAD = text(
    f"""
    WITH named AS MATERIALIZED (
        SELECT {_HOLD_COLUMNS} FROM hold WHERE tenant_id = :tenant_id AND id = ANY(:hold_ids)
    ), touched AS MATERIALIZED (
        SELECT unnest(CAST(:account_ids AS uuid[])) AS id
        UNION SELECT id FROM account WHERE tenant_id = :tenant_id AND code = ANY(:codes)
        UNION SELECT debit_account_id FROM named
        UNION SELECT credit_account_id FROM named
    ), due AS MATERIALIZED (
        SELECT hold.* FROM touched JOIN hold ON hold.debit_account_id = touched.id
        WHERE tenant_id = :tenant_id AND state = 'HELD' AND expire_time <= statement_timestamp()
        UNION
        SELECT hold.* FROM touched JOIN hold ON hold.credit_account_id = touched.id
        WHERE tenant_id = :tenant_id AND state = 'HELD' AND expire_time <= statement_timestamp()
    ), locked AS MATERIALIZED (
        SELECT {_ACCOUNT_COLUMNS} FROM account
        WHERE tenant_id = :tenant_id AND id IN (
            SELECT id FROM touched
            UNION SELECT debit_account_id FROM due
            UNION SELECT credit_account_id FROM due
        )
        ORDER BY id FOR NO KEY UPDATE
    )
    SELECT
        statement_timestamp() AS time,
        (SELECT max(end_time) FROM period WHERE tenant_id = :tenant_id) AS period_end,
        (SELECT array_agg(ROW({_ACCOUNT_COLUMNS})) FROM locked) AS accounts,
        (SELECT array_agg(ROW({_HOLD_COLUMNS})) FROM (
            SELECT {_HOLD_COLUMNS} FROM due UNION SELECT {_HOLD_COLUMNS} FROM named
        ) AS wanted) AS holds,
        (SELECT array_agg(ROW({_TRANSFER_COLUMNS})) FROM transfer
            WHERE tenant_id = :tenant_id AND id = ANY(:transfer_ids)) AS transfers
    """
)

_SAVE = text(
    """
    WITH opened AS (
        INSERT INTO account (tenant_id, id, kind, code, currency, name, protected, create_time,
            debits_posted, credits_posted, debits_pending, credits_pending)
        SELECT :tenant_id, * FROM unnest(CAST(:opened_ids AS uuid[]), CAST(:opened_kinds AS text[]),
            CAST(:opened_codes AS text[]), CAST(:opened_currencies AS text[]), CAST(:opened_names AS text[]),
            CAST(:opened_protected AS boolean[]), CAST(:opened_times AS timestamptz[]),
            CAST(:opened_debits_posted AS bigint[]), CAST(:opened_credits_posted AS bigint[]),
            CAST(:opened_debits_pending AS bigint[]), CAST(:opened_credits_pending AS bigint[]))
    ), changed AS (
        UPDATE account SET debits_posted = a.debits_posted, credits_posted = a.credits_posted,
            debits_pending = a.debits_pending, credits_pending = a.credits_pending, version = a.version
        FROM unnest(CAST(:changed_ids AS uuid[]), CAST(:changed_debits_posted AS bigint[]),
            CAST(:changed_credits_posted AS bigint[]), CAST(:changed_debits_pending AS bigint[]),
            CAST(:changed_credits_pending AS bigint[]), CAST(:changed_versions AS bigint[]))
            AS a (id, debits_posted, credits_posted, debits_pending, credits_pending, version)
        WHERE account.tenant_id = :tenant_id AND account.id = a.id
        RETURNING 1
    ), booked AS (
        INSERT INTO transfer (tenant_id, actor, id, kind, debit_account_id, credit_account_id, amount_minor,
            currency, hold_id, expire_time, linked, code, transaction_id, reference, effective_time, book_time)
        SELECT :tenant_id, :actor, t.id, t.kind, t.debit_account_id, t.credit_account_id, t.amount_minor,
            t.currency, t.hold_id, t.expire_time, t.linked, t.code, t.transaction_id, t.reference,
            t.effective_time, t.book_time
        FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:debit_ids AS uuid[]),
            CAST(:credit_ids AS uuid[]), CAST(:amounts AS bigint[]), CAST(:currencies AS text[]),
            CAST(:hold_ids AS uuid[]), CAST(:expire_times AS timestamptz[]), CAST(:linked AS boolean[]),
            CAST(:codes AS text[]), CAST(:transaction_ids AS uuid[]), CAST(:references AS text[]),
            CAST(:effective_times AS timestamptz[]), CAST(:book_times AS timestamptz[]))
            WITH ORDINALITY AS t (id, kind, debit_account_id, credit_account_id, amount_minor, currency, hold_id,
            expire_time, linked, code, transaction_id, reference, effective_time, book_time, place)
        ORDER BY t.place
        RETURNING id, seq
    ), lines AS (
        INSERT INTO entry (tenant_id, account_id, seq, transfer_id, amount_minor, balance_minor)
        SELECT :tenant_id, e.account_id, booked.seq, booked.id, e.amount_minor, e.balance_minor
        FROM unnest(CAST(:entry_account_ids AS uuid[]), CAST(:entry_transfer_ids AS uuid[]),
            CAST(:entry_amounts AS bigint[]), CAST(:entry_balances AS bigint[]))
            AS e (account_id, transfer_id, amount_minor, balance_minor)
        JOIN booked ON booked.id = e.transfer_id
        RETURNING 1
    ), made AS (
        INSERT INTO hold (tenant_id, id, debit_account_id, credit_account_id, amount_minor, currency, expire_time,
            state, end_transfer_id, end_time)
        SELECT :tenant_id, * FROM unnest(CAST(:made_ids AS uuid[]), CAST(:made_debit_ids AS uuid[]),
            CAST(:made_credit_ids AS uuid[]), CAST(:made_amounts AS bigint[]), CAST(:made_currencies AS text[]),
            CAST(:made_expire_times AS timestamptz[]), CAST(:made_states AS text[]),
            CAST(:made_end_ids AS uuid[]), CAST(:made_end_times AS timestamptz[]))
    ), ended AS (
        UPDATE hold SET state = h.state, end_transfer_id = h.end_transfer_id, end_time = h.end_time
        FROM unnest(CAST(:ended_ids AS uuid[]), CAST(:ended_states AS text[]),
            CAST(:ended_end_ids AS uuid[]), CAST(:ended_end_times AS timestamptz[]))
            AS h (id, state, end_transfer_id, end_time)
        WHERE hold.tenant_id = :tenant_id AND hold.id = h.id AND hold.state = 'HELD'
        RETURNING 1
    )
    SELECT
        (SELECT count(*) FROM changed) AS changed,
        (SELECT count(*) FROM lines) AS lines,
        (SELECT count(*) FROM ended) AS ended,
        (SELECT count(pg_notify(:channel, notice)) FROM unnest(CAST(:notices AS text[])) AS notice) AS told
    """
)


async def lock_shard(session: Session) -> None:
    """Wait for the shard's turn; it is ours until the transaction ends. Must come before anything is read."""
    await session.execute(_LOCK, {"shard": SHARD})


async def load(session: Session, tenant_id: str, needs: Needs) -> Books:
    """Everything that is needed to decide, with the accounts locked in the order of their ids.

    Besides what is named: holds that expired and touch a named account, with the accounts on their other side.
    """
    row = (
        await session.execute(
            _LOAD,
            {
                "tenant_id": tenant_id,
                "account_ids": list(needs.account_ids),
                "codes": list(needs.codes),
                "hold_ids": list(needs.hold_ids),
                "transfer_ids": list(needs.transfer_ids),
            },
        )
    ).one()
    accounts = [_account(one) for one in row.accounts or ()]
    holds = [_hold(one) for one in row.holds or ()]
    transfers = [_transfer(one) for one in row.transfers or ()]
    return Books(
        time=row.time,
        accounts={account.id: account for account in accounts},
        holds={hold.id: hold for hold in holds},
        transfers={transfer.id: transfer for transfer in transfers},
        period_end=row.period_end,
    )


async def save(session: Session, tenant_id: str, actor: str, decision: Decision) -> None:
    """Store a decision, and tell whoever listens once it is committed."""
    opened, changed = decision.opened, decision.changed
    transfers, entries = decision.transfers, decision.entries
    made, ended = decision.holds_made, decision.holds_ended
    row = (
        await session.execute(
            _SAVE,
            {
                "tenant_id": tenant_id,
                "actor": actor,
                "channel": CHANNEL,
                "notices": notices(changed),
                "opened_ids": [one.id for one in opened],
                "opened_kinds": [one.kind.value for one in opened],
                "opened_codes": [one.code for one in opened],
                "opened_currencies": [one.currency for one in opened],
                "opened_names": [one.name for one in opened],
                "opened_protected": [one.protected for one in opened],
                "opened_times": [one.create_time for one in opened],
                "opened_debits_posted": [one.debits_posted for one in opened],
                "opened_credits_posted": [one.credits_posted for one in opened],
                "opened_debits_pending": [one.debits_pending for one in opened],
                "opened_credits_pending": [one.credits_pending for one in opened],
                "changed_ids": [one.id for one in changed],
                "changed_debits_posted": [one.debits_posted for one in changed],
                "changed_credits_posted": [one.credits_posted for one in changed],
                "changed_debits_pending": [one.debits_pending for one in changed],
                "changed_credits_pending": [one.credits_pending for one in changed],
                "changed_versions": [one.version for one in changed],
                "ids": [one.id for one in transfers],
                "kinds": [one.kind.value for one in transfers],
                "debit_ids": [one.debit_account_id for one in transfers],
                "credit_ids": [one.credit_account_id for one in transfers],
                "amounts": [one.amount.minor_units for one in transfers],
                "currencies": [one.amount.currency for one in transfers],
                "hold_ids": [one.hold_id for one in transfers],
                "expire_times": [one.expire_time for one in transfers],
                "linked": [one.linked for one in transfers],
                "codes": [one.code for one in transfers],
                "transaction_ids": [one.transaction_id for one in transfers],
                "references": [one.reference for one in transfers],
                "effective_times": [one.effective_time for one in transfers],
                "book_times": [one.book_time for one in transfers],
                "entry_account_ids": [one.account_id for one in entries],
                "entry_transfer_ids": [one.transfer_id for one in entries],
                "entry_amounts": [one.amount_minor for one in entries],
                "entry_balances": [one.balance_minor for one in entries],
                "made_ids": [one.id for one in made],
                "made_debit_ids": [one.debit_account_id for one in made],
                "made_credit_ids": [one.credit_account_id for one in made],
                "made_amounts": [one.amount.minor_units for one in made],
                "made_currencies": [one.amount.currency for one in made],
                "made_expire_times": [one.expire_time for one in made],
                "made_states": [one.state.value for one in made],
                "made_end_ids": [one.end_transfer_id for one in made],
                "made_end_times": [one.end_time for one in made],
                "ended_ids": [one.id for one in ended],
                "ended_states": [one.state.value for one in ended],
                "ended_end_ids": [one.end_transfer_id for one in ended],
                "ended_end_times": [one.end_time for one in ended],
            },
        )
    ).one()
    stored = (row.changed, row.lines, row.ended)
    assert stored == (len(changed), len(entries), len(ended)), "what was loaded was locked"


def notices(changed: Sequence[Account]) -> list[str]:
    """The notifications for a commit: ids of changed wallets, so many at a time as fit into one."""
    ids = [one.id.hex for one in changed if one.owner_id is not None]
    starts = range(0, len(ids), _NOTICE_IDS_MAX)
    return [",".join(ids[start : start + _NOTICE_IDS_MAX]) for start in starts] or ["-"]


async def read_accounts(session: Session, tenant_id: str, ids: Sequence[UUID]) -> list[Account]:
    """The accounts with these ids; unknown ones are left out."""
    rows = await session.execute(
        text(
            f"SELECT {_ACCOUNT_COLUMNS} FROM account"
            " WHERE tenant_id = :tenant_id AND id = ANY(:ids) ORDER BY position"
        ),
        {"tenant_id": tenant_id, "ids": list(ids)},
    )
    return [_account(row) for row in rows]


async def find_accounts(
    session: Session, tenant_id: str, owner_id: UUID, currency: str | None
) -> list[Account]:
    """The wallets of a person or group, of all currencies or one; oldest first."""
    rows = await session.execute(
        text(
            f"SELECT {_ACCOUNT_COLUMNS} FROM account"
            " WHERE tenant_id = :tenant_id AND owner_id = :owner_id"
            " AND currency = coalesce(CAST(:currency AS text), currency) ORDER BY position"
        ),
        {"tenant_id": tenant_id, "owner_id": owner_id, "currency": currency},
    )
    return [_account(row) for row in rows]


async def list_wallets(
    session: Session, tenant_id: str, user_id: UUID, *, after: int, limit: int
) -> list[tuple[int, Account]]:
    """A person's own wallets with their positions, oldest first, from behind the position `after`."""
    rows = await session.execute(
        text(
            f"SELECT {_ACCOUNT_COLUMNS}, position FROM account WHERE tenant_id = :tenant_id"
            " AND owner_id = :user_id AND kind = 'USER' AND position > :after"
            " ORDER BY position LIMIT :limit"
        ),
        {"tenant_id": tenant_id, "user_id": user_id, "after": after, "limit": limit},
    )
    return [(row.position, _account(row[:-1])) for row in rows]


async def read_wallet(
    session: Session, tenant_id: str, user_id: UUID, wallet_id: UUID
) -> Account | None:
    """A person's own wallet."""
    row = (
        await session.execute(
            text(
                f"SELECT {_ACCOUNT_COLUMNS} FROM account WHERE tenant_id = :tenant_id"
                " AND id = :wallet_id AND owner_id = :user_id AND kind = 'USER'"
            ),
            {"tenant_id": tenant_id, "wallet_id": wallet_id, "user_id": user_id},
        )
    ).one_or_none()
    return None if row is None else _account(row)


async def list_entries(
    session: Session, tenant_id: str, account: Account, *, before: int = INT64_MAX, limit: int
) -> list[StatementLine]:
    """Lines of an account, newest first, from before the place `before` in the order of commits."""
    rows = await session.execute(
        text(
            "SELECT line.seq, line.transfer_id, line.amount_minor, line.balance_minor,"
            " transfer.transaction_id, transfer.code, transfer.book_time, transfer.effective_time"
            " FROM (SELECT * FROM entry WHERE tenant_id = :tenant_id AND account_id = :account_id"
            "  AND seq < :before ORDER BY seq DESC LIMIT :limit) AS line"
            " JOIN transfer ON transfer.tenant_id = :tenant_id AND transfer.id = line.transfer_id"
            " ORDER BY line.seq DESC"
        ),
        {"tenant_id": tenant_id, "account_id": account.id, "before": before, "limit": limit},
    )
    return [
        StatementLine(
            seq=row.seq,
            transfer_id=row.transfer_id,
            transaction_id=row.transaction_id,
            code=row.code,
            amount=Money(account.currency, row.amount_minor),
            balance=Money(account.currency, row.balance_minor),
            book_time=row.book_time,
            effective_time=row.effective_time,
        )
        for row in rows
    ]


async def insert_account(session: Session, tenant_id: str, account: Account) -> bool:
    """Make a new account; False, and nothing happens, if its id or its owner's place is taken."""
    made = await session.scalar(
        text(
            "INSERT INTO account (tenant_id, id, kind, owner_id, code, currency, name, protected)"
            " VALUES (:tenant_id, :id, :kind, :owner_id, :code, :currency, :name, :protected)"
            " ON CONFLICT DO NOTHING RETURNING true"
        ),
        {
            "tenant_id": tenant_id,
            "id": account.id,
            "kind": account.kind.value,
            "owner_id": account.owner_id,
            "code": account.code,
            "currency": account.currency,
            "name": account.name,
            "protected": account.protected,
        },
    )
    return bool(made)


async def set_frozen(
    session: Session, tenant_id: str, account_id: UUID, *, frozen: bool, note: str, actor: str
) -> Account | None:
    """Freeze or free an account; None if there is none. When that changes it, the note is kept and streams are told."""
    changed = (
        await session.execute(
            text(
                "WITH changed AS (UPDATE account SET frozen = :frozen, version = version + 1"
                " WHERE tenant_id = :tenant_id AND id = :id AND frozen <> :frozen RETURNING *),"
                " noted AS (INSERT INTO freeze_note (tenant_id, account_id, frozen, note, actor)"
                "  SELECT tenant_id, id, frozen, :note, :actor FROM changed)"
                f" SELECT {_ACCOUNT_COLUMNS}, pg_notify(:channel, :notice) FROM changed"
            ),
            {
                "tenant_id": tenant_id,
                "id": account_id,
                "frozen": frozen,
                "note": note,
                "actor": actor,
                "channel": CHANNEL,
                "notice": account_id.hex,
            },
        )
    ).one_or_none()
    if changed is not None:
        return _account(changed[:-1])
    return next(iter(await read_accounts(session, tenant_id, [account_id])), None)


async def read_booked(session: Session, tenant_id: str, ids: Sequence[UUID]) -> list[Booked]:
    """The transfers with these ids; unknown ones are left out."""
    rows = await session.execute(
        text(
            f"SELECT {_prefixed('transfer', _TRANSFER_COLUMNS)}, transfer.seq, transfer.actor, hold.state"
            " FROM transfer LEFT JOIN hold ON hold.tenant_id = :tenant_id AND hold.id = transfer.id"
            " WHERE transfer.tenant_id = :tenant_id AND transfer.id = ANY(:ids) ORDER BY seq"
        ),
        {"tenant_id": tenant_id, "ids": list(ids)},
    )
    return [
        Booked(_transfer(row[:-3]), row.seq, row.actor, HoldState(row.state) if row.state else None)
        for row in rows
    ]


async def read_time(session: Session) -> datetime:
    """The database's clock."""
    time = await session.scalar(text("SELECT statement_timestamp()"))
    assert isinstance(time, datetime)
    return time


async def read_period_end(session: Session, tenant_id: str) -> datetime | None:
    """End of the last closed period."""
    end: datetime | None = await session.scalar(
        text("SELECT max(end_time) FROM period WHERE tenant_id = :tenant_id"),
        {"tenant_id": tenant_id},
    )
    return end


async def insert_period(session: Session, tenant_id: str, end: datetime, actor: str) -> None:
    """Close everything before `end`; does nothing if that is done."""
    await session.execute(
        text(
            "INSERT INTO period (tenant_id, end_time, actor) VALUES (:tenant_id, :end, :actor)"
            " ON CONFLICT DO NOTHING"
        ),
        {"tenant_id": tenant_id, "end": end, "actor": actor},
    )


async def read_trial_balance(
    session: Session, tenant_id: str, *, timeout_seconds: int
) -> TrialBalance:
    """Totals of every kind and code, and how many accounts disagree with their entries and holds. One statement, so one snapshot."""
    await session.execute(text(f"SET LOCAL statement_timeout = '{int(timeout_seconds)}s'"))
    rows = (
        await session.execute(
            text(
                """
                WITH lines AS (
                    SELECT account_id,
                        coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS credits,
                        coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS debits
                    FROM entry WHERE tenant_id = :tenant_id GROUP BY account_id
                ), held_debits AS (
                    SELECT debit_account_id AS account_id, sum(amount_minor) AS amount
                    FROM hold WHERE tenant_id = :tenant_id AND state = 'HELD' GROUP BY 1
                ), held_credits AS (
                    SELECT credit_account_id AS account_id, sum(amount_minor) AS amount
                    FROM hold WHERE tenant_id = :tenant_id AND state = 'HELD' GROUP BY 1
                ), totals AS (
                    SELECT account.currency, account.kind, coalesce(account.code, '') AS code,
                        count(*) AS account_count,
                        sum(account.debits_posted) AS debits_posted,
                        sum(account.credits_posted) AS credits_posted,
                        sum(account.debits_pending) AS debits_pending,
                        sum(account.credits_pending) AS credits_pending,
                        count(*) FILTER (WHERE
                            account.debits_posted <> coalesce(lines.debits, 0)
                            OR account.credits_posted <> coalesce(lines.credits, 0)
                            OR account.debits_pending <> coalesce(held_debits.amount, 0)
                            OR account.credits_pending <> coalesce(held_credits.amount, 0)
                        ) AS inconsistent_count
                    FROM account
                    LEFT JOIN lines ON lines.account_id = account.id
                    LEFT JOIN held_debits ON held_debits.account_id = account.id
                    LEFT JOIN held_credits ON held_credits.account_id = account.id
                    WHERE account.tenant_id = :tenant_id
                    GROUP BY 1, 2, 3
                )
                SELECT statement_timestamp() AS time, totals.*
                FROM (SELECT 1) AS always LEFT JOIN totals ON true
                ORDER BY currency, kind, code
                """
            ),
            {"tenant_id": tenant_id},
        )
    ).all()
    return TrialBalance(
        time=rows[0].time,
        lines=tuple(
            BalanceLine(
                currency=row.currency,
                kind=AccountKind(row.kind),
                code=row.code,
                account_count=row.account_count,
                debits_posted=int(row.debits_posted),
                credits_posted=int(row.credits_posted),
                debits_pending=int(row.debits_pending),
                credits_pending=int(row.credits_pending),
                inconsistent_count=row.inconsistent_count,
            )
            for row in rows
            if row.currency is not None
        ),
    )


async def list_due(session: Session, *, limit: int) -> list[tuple[str, UUID]]:
    """Tenants and giving accounts of holds that have expired and are still held. Needs a unit of ALL_TENANTS."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT tenant_id, debit_account_id FROM (SELECT * FROM hold"
            " WHERE state = 'HELD' AND expire_time <= statement_timestamp()"
            " ORDER BY expire_time LIMIT :limit) AS due"
        ),
        {"limit": limit},
    )
    return [(row.tenant_id, row.debit_account_id) for row in rows]


async def lock_relay(session: Session) -> bool:
    """Whether this process may be the relay until the transaction ends."""
    return bool(
        await session.scalar(text(f"SELECT pg_try_advisory_xact_lock({_RELAY_LOCK}, {SHARD})"))
    )


async def read_relay_position(session: Session) -> int:
    """The last transfer that was told of."""
    seq = await session.scalar(
        text("SELECT seq FROM relay_position WHERE shard = :shard"), {"shard": SHARD}
    )
    return int(seq)


async def move_relay(session: Session, seq: int) -> None:
    """Remember that everything up to this transfer was told."""
    await session.execute(
        text("UPDATE relay_position SET seq = :seq WHERE shard = :shard"),
        {"shard": SHARD, "seq": seq},
    )


async def read_last_seq_before(session: Session, time: datetime) -> int:
    """The last transfer that was booked before a moment; 0 if there is none. Needs a unit of ALL_TENANTS."""
    seq = await session.scalar(
        text(
            "SELECT coalesce((SELECT min(seq) - 1 FROM transfer WHERE book_time >= :time),"
            " (SELECT max(seq) FROM transfer), 0)"
        ),
        {"time": time},
    )
    return int(seq)


async def read_booked_after(session: Session, seq: int, *, limit: int) -> list[tuple[str, Booked]]:
    """Transfers of all tenants in the order of commits, from behind a place. Needs a unit of ALL_TENANTS."""
    rows = await session.execute(
        text(
            f"SELECT {_TRANSFER_COLUMNS}, seq, actor, tenant_id FROM transfer"
            " WHERE seq > :seq ORDER BY seq LIMIT :limit"
        ),
        {"seq": seq, "limit": limit},
    )
    return [(row.tenant_id, Booked(_transfer(row[:-3]), row.seq, row.actor, None)) for row in rows]


def _prefixed(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{column.strip()}" for column in columns.split(","))


def _account(row: Sequence[Any]) -> Account:
    """From a row of _ACCOUNT_COLUMNS."""
    return Account(row[0], AccountKind(row[1]), *row[2:])


def _transfer(row: Sequence[Any]) -> Transfer:
    """From a row of _TRANSFER_COLUMNS."""
    transfer_id, kind, debit, credit, amount_minor, currency, *others = row
    return Transfer(
        transfer_id, StepKind(kind), debit, credit, Money(currency, amount_minor), *others
    )


def _hold(row: Sequence[Any]) -> Hold:
    """From a row of _HOLD_COLUMNS."""
    hold_id, debit, credit, amount_minor, currency, expire_time, state, *end = row
    return Hold(
        hold_id, debit, credit, Money(currency, amount_minor), expire_time, HoldState(state), *end
    )

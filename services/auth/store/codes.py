"""Sign-ups that wait, codes on their way, and how often somebody tried."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, text

from services.auth.domain import Identifier, Limit, SignUp, Tries, Verification
from services.kit.database import Session

_ADD_SIGN_UP = text(
    "INSERT INTO sign_up (id, tenant_id, identifier_kind, identifier, display_name, locale, secret_kind, secret_hash,"
    " create_time) VALUES (:id, :tenant_id, :kind, :value, :display_name, :locale, :secret_kind, :secret_hash,"
    " :create_time)"
)
_SIGN_UP_COLUMNS = "id, tenant_id, identifier_kind, identifier, display_name, locale, secret_kind, secret_hash, create_time"
_NEWEST_SIGN_UP = text(
    f"SELECT {_SIGN_UP_COLUMNS} FROM sign_up WHERE identifier = :value ORDER BY create_time DESC LIMIT 1"
)
_SIGN_UP = text(f"SELECT {_SIGN_UP_COLUMNS} FROM sign_up WHERE id = :id")
_DROP_SIGN_UPS = text("DELETE FROM sign_up WHERE identifier = :value")


async def add_sign_up(session: Session, sign_up: SignUp) -> None:
    """Store an account that waits for its code."""
    await session.execute(
        _ADD_SIGN_UP,
        {
            "id": sign_up.id,
            "tenant_id": sign_up.tenant_id,
            "kind": sign_up.identifier.kind,
            "value": sign_up.identifier.value,
            "display_name": sign_up.display_name,
            "locale": sign_up.locale,
            "secret_kind": sign_up.secret_kind,
            "secret_hash": sign_up.secret_hash,
            "create_time": sign_up.create_time,
        },
    )


async def find_newest_sign_up(session: Session, identifier: Identifier) -> SignUp | None:
    """The newest account of this identifier that waits for its code."""
    row = (await session.execute(_NEWEST_SIGN_UP, {"value": identifier.value})).one_or_none()
    return None if row is None else _sign_up(row)


async def find_sign_up(session: Session, sign_up_id: UUID) -> SignUp | None:
    """An account that waits for its code."""
    row = (await session.execute(_SIGN_UP, {"id": sign_up_id})).one_or_none()
    return None if row is None else _sign_up(row)


async def drop_sign_ups(session: Session, identifier: Identifier) -> None:
    """Forget all sign-ups of an identifier, and their codes: it has an owner now."""
    await session.execute(_DROP_SIGN_UPS, {"value": identifier.value})


def _sign_up(row: Row[tuple[object, ...]]) -> SignUp:
    return SignUp(
        id=row.id,
        tenant_id=row.tenant_id,
        identifier=Identifier(row.identifier_kind, row.identifier),
        display_name=row.display_name,
        locale=row.locale,
        secret_kind=row.secret_kind,
        secret_hash=row.secret_hash,
        create_time=row.create_time,
    )


_ADD_CODE = text(
    "INSERT INTO verification_code (id, tenant_id, purpose, identifier_kind, identifier, sign_up_id, user_id,"
    " code_hash, create_time, expire_time) VALUES (:id, :tenant_id, :purpose, :kind, :value, :sign_up_id, :user_id,"
    " :code_hash, :create_time, :expire_time)"
)
_LIVE_CODES = text(
    "SELECT id, tenant_id, purpose, identifier_kind, identifier, sign_up_id, user_id, code_hash, create_time,"
    " expire_time FROM verification_code WHERE identifier = :value AND purpose = :purpose AND use_time IS NULL"
    " AND expire_time > :now AND attempts < :attempts_max ORDER BY create_time DESC, id DESC LIMIT :count FOR UPDATE"
)
_CODE = text(
    "SELECT id, tenant_id, purpose, identifier_kind, identifier, sign_up_id, user_id, code_hash, create_time,"
    " expire_time FROM verification_code WHERE id = :id AND use_time IS NULL AND expire_time > :now"
)
_COUNT_ATTEMPT = text("UPDATE verification_code SET attempts = attempts + 1 WHERE id = ANY (:ids)")
_USE = text("UPDATE verification_code SET use_time = :now WHERE id = :id")


async def add(session: Session, verification: Verification) -> None:
    """Store a code, hashed."""
    await session.execute(
        _ADD_CODE,
        {
            "id": verification.id,
            "tenant_id": verification.tenant_id,
            "purpose": verification.purpose,
            "kind": verification.identifier.kind,
            "value": verification.identifier.value,
            "sign_up_id": verification.sign_up_id,
            "user_id": verification.user_id,
            "code_hash": verification.code_hash,
            "create_time": verification.create_time,
            "expire_time": verification.expire_time,
        },
    )


async def lock_live(
    session: Session,
    identifier: Identifier,
    purpose: str,
    *,
    now: datetime,
    attempts_max: int,
    count: int,
) -> list[Verification]:
    """The newest codes of an identifier that still work. Nobody else can use them until the unit ends."""
    parameters = {
        "value": identifier.value,
        "purpose": purpose,
        "now": now,
        "attempts_max": attempts_max,
        "count": count,
    }
    return [_verification(row) for row in await session.execute(_LIVE_CODES, parameters)]


async def find_live(session: Session, code_id: UUID, now: datetime) -> Verification | None:
    """A code that may still be sent; None once it was used, replaced or has expired."""
    row = (await session.execute(_CODE, {"id": code_id, "now": now})).one_or_none()
    return None if row is None else _verification(row)


async def count_attempt(session: Session, ids: Sequence[UUID]) -> None:
    """A wrong code was tried against each of these."""
    if ids:
        await session.execute(_COUNT_ATTEMPT, {"ids": list(ids)})


async def use(session: Session, code_id: UUID, now: datetime) -> None:
    """A code was given back; it does not work again."""
    await session.execute(_USE, {"id": code_id, "now": now})


def _verification(row: Row[tuple[object, ...]]) -> Verification:
    return Verification(
        id=row.id,
        purpose=row.purpose,
        tenant_id=row.tenant_id,
        identifier=Identifier(row.identifier_kind, row.identifier),
        sign_up_id=row.sign_up_id,
        user_id=row.user_id,
        code_hash=row.code_hash,
        create_time=row.create_time,
        expire_time=row.expire_time,
    )


# One statement counts in both windows; a window that is over begins again.
_COUNT_TRY = text(
    """
INSERT INTO attempt AS a (subject, count, window_seconds, start_time)
SELECT s, 1, w, CAST(:now AS timestamptz) FROM unnest(CAST(:subjects AS bytea[]), CAST(:windows AS int[])) AS t(s, w)
ON CONFLICT (subject) DO UPDATE SET
  count = CASE WHEN a.start_time + make_interval(secs => a.window_seconds) <= excluded.start_time
    THEN 1 ELSE a.count + 1 END,
  start_time = CASE WHEN a.start_time + make_interval(secs => a.window_seconds) <= excluded.start_time
    THEN excluded.start_time ELSE a.start_time END,
  window_seconds = excluded.window_seconds
RETURNING subject, count AS tried, start_time
"""
)
_FORGET_TRIES = text("DELETE FROM attempt WHERE subject = ANY (:subjects)")


async def count_try(
    session: Session, limits: Sequence[tuple[bytes, Limit]], now: datetime
) -> list[Tries]:
    """Count one more try for each subject; answers where each stands now, in the same order."""
    parameters = {
        "subjects": [subject for subject, _ in limits],
        "windows": [int(limit.window / timedelta(seconds=1)) for _, limit in limits],
        "now": now,
    }
    rows = {
        bytes(row.subject): Tries(row.tried, row.start_time)
        for row in await session.execute(_COUNT_TRY, parameters)
    }
    return [rows[subject] for subject, _ in limits]


async def forget_tries(session: Session, subjects: Sequence[bytes]) -> None:
    """The person proved who they are: earlier tries were theirs."""
    await session.execute(_FORGET_TRIES, {"subjects": list(subjects)})


_PURGE = (
    text("DELETE FROM sign_up WHERE create_time < CAST(:now AS timestamptz) - interval '7 days'"),
    text(
        "DELETE FROM verification_code WHERE expire_time < CAST(:now AS timestamptz) - interval '1 day'"
    ),
    text("DELETE FROM attempt WHERE start_time < CAST(:now AS timestamptz) - interval '1 hour'"),
    text(
        "DELETE FROM session WHERE expire_time < CAST(:now AS timestamptz) - interval '7 days'"
        " OR end_time < CAST(:now AS timestamptz) - interval '30 days'"
    ),
)


async def purge(session: Session, now: datetime) -> None:
    """Forget what nobody can use any more."""
    for statement in _PURGE:
        await session.execute(statement, {"now": now})

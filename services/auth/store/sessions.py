"""Sessions and their refresh tokens, API keys, authenticator apps."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Row, text

from services.auth.domain import ApiKey, KeyHolder, Session, Totp
from services.kit.database import Session as Unit

_SESSION = (
    "s.id, s.user_id, s.generation, s.methods, s.user_agent, s.address, s.create_time, s.refresh_time, s.expire_time,"
    " s.end_time, s.second_factor_time"
)
_ADD = text(
    """
WITH made AS (
  INSERT INTO session (id, user_id, generation, methods, user_agent, address, create_time, refresh_time, expire_time,
    second_factor_time)
  VALUES (:id, :user_id, :generation, :methods, :user_agent, :address, :create_time, :refresh_time, :expire_time,
    :second_factor_time))
INSERT INTO refresh_token (hash, session_id, user_id, generation) VALUES (:hash, :id, :user_id, :generation)
"""
)
_TRADE = text(
    """
WITH made AS (
  INSERT INTO refresh_token (hash, session_id, user_id, generation) VALUES (:hash, :id, :user_id, :generation))
UPDATE session SET generation = :generation, refresh_time = :refresh_time, expire_time = :expire_time,
  methods = :methods, second_factor_time = :second_factor_time WHERE id = :id
"""
)
_BY_TOKEN = text("SELECT session_id, generation FROM refresh_token WHERE hash = :hash")
_LOCK = text(f"SELECT {_SESSION} FROM session s WHERE s.id = :id FOR UPDATE")
_END = text(
    "UPDATE session SET end_time = :now, end_reason = :reason WHERE id = :id AND end_time IS NULL"
)
_END_OWN = text(
    "UPDATE session SET end_time = :now, end_reason = :reason"
    " WHERE id = :id AND user_id = :user_id AND end_time IS NULL AND expire_time > :now RETURNING 1"
)
_END_ALL = text(
    "UPDATE session SET end_time = :now, end_reason = :reason WHERE user_id = :user_id AND end_time IS NULL"
)
_LIST = text(
    f"SELECT {_SESSION} FROM session s WHERE s.user_id = :user_id AND s.end_time IS NULL AND s.expire_time > :now"
    " AND (CAST(:after_id AS uuid) IS NULL OR (s.create_time, s.id) < (:after_time, :after_id))"
    " ORDER BY s.create_time DESC, s.id DESC LIMIT :count"
)
# The session of the token, or the API key that the token was made from.
_STANDS = text(
    """
SELECT EXISTS (SELECT 1 FROM session s
    WHERE s.id = :id AND s.user_id = :user_id AND s.end_time IS NULL AND s.expire_time > :now)
  OR EXISTS (SELECT 1 FROM api_key k JOIN user_account u ON u.id = k.user_id
    WHERE k.id = :id AND k.user_id = :user_id AND k.revoke_time IS NULL AND k.expire_time > :now
      AND u.suspend_time IS NULL)
"""
)


async def add(unit: Unit, session: Session, *, token_hash: bytes) -> None:
    """Store a new session with the hash of its first refresh token."""
    await unit.execute(_ADD, {**_values(session), "hash": token_hash})


async def trade(unit: Unit, session: Session, *, token_hash: bytes) -> None:
    """Store a session's next generation with the hash of its refresh token."""
    values = _values(session)
    names = (
        "id",
        "user_id",
        "generation",
        "refresh_time",
        "expire_time",
        "methods",
        "second_factor_time",
    )
    await unit.execute(_TRADE, {**{name: values[name] for name in names}, "hash": token_hash})


async def lock_by_token(unit: Unit, token_hash: bytes) -> tuple[Session, int] | None:
    """The session of a refresh token, and the token's generation. Nobody else can trade until the unit ends.

    Two statements on purpose: the row of the token never changes, the row of the session is read after its lock.
    """
    token = (await unit.execute(_BY_TOKEN, {"hash": token_hash})).one_or_none()
    if token is None:
        return None
    row = (await unit.execute(_LOCK, {"id": token.session_id})).one_or_none()
    return None if row is None else (_session(row), token.generation)


async def end(unit: Unit, session_id: UUID, *, reason: str, now: datetime) -> None:
    """End a session; an ended one stays as it is."""
    await unit.execute(_END, {"id": session_id, "reason": reason, "now": now})


async def end_own(
    unit: Unit, user_id: UUID, session_id: UUID, *, reason: str, now: datetime
) -> bool:
    """End one of a person's live sessions; False when there is no such one."""
    parameters = {"user_id": user_id, "id": session_id, "reason": reason, "now": now}
    return await unit.scalar(_END_OWN, parameters) is not None


async def end_all(unit: Unit, user_id: UUID, *, reason: str, now: datetime) -> None:
    """End every session of a person."""
    await unit.execute(_END_ALL, {"user_id": user_id, "reason": reason, "now": now})


async def list_live(
    unit: Unit, user_id: UUID, *, now: datetime, after: tuple[datetime, UUID] | None, count: int
) -> list[Session]:
    """A person's live sessions, newest first, behind `after`."""
    after_time, after_id = after or (None, None)
    parameters = {
        "user_id": user_id,
        "now": now,
        "after_time": after_time,
        "after_id": after_id,
        "count": count,
    }
    return [_session(row) for row in await unit.execute(_LIST, parameters)]


async def stands(unit: Unit, user_id: UUID, either_id: UUID, now: datetime) -> bool:
    """Whether a session, or the API key of this id, is live. Two index look-ups."""
    return bool(await unit.scalar(_STANDS, {"user_id": user_id, "id": either_id, "now": now}))


def _values(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "generation": session.generation,
        "methods": list(session.methods),
        "user_agent": session.user_agent,
        "address": session.address,
        "create_time": session.create_time,
        "refresh_time": session.refresh_time,
        "expire_time": session.expire_time,
        "second_factor_time": session.second_factor_time,
    }


def _session(row: Row[tuple[object, ...]]) -> Session:
    return Session(
        id=row.id,
        user_id=row.user_id,
        generation=row.generation,
        methods=tuple(row.methods),
        user_agent=row.user_agent,
        address=row.address,
        create_time=row.create_time,
        refresh_time=row.refresh_time,
        expire_time=row.expire_time,
        end_time=row.end_time,
        second_factor_time=row.second_factor_time,
    )


# API keys

_KEY = "k.id, k.user_id, k.tenant_id, k.name, k.prefix, k.permissions, k.create_time, k.expire_time, k.last_use_time"
_LOCK_OWNER = text("SELECT 1 FROM user_account WHERE id = :user_id FOR UPDATE")
_COUNT_KEYS = text(
    "SELECT count(*) FROM api_key WHERE user_id = :user_id AND revoke_time IS NULL AND expire_time > :now"
)
_ADD_KEY = text(
    "INSERT INTO api_key (id, tenant_id, user_id, name, prefix, hash, permissions, create_time, expire_time)"
    " VALUES (:id, :tenant_id, :user_id, :name, :prefix, :hash, :permissions, :create_time, :expire_time)"
)
_LIST_KEYS = text(
    f"SELECT {_KEY} FROM api_key k WHERE k.user_id = :user_id AND k.tenant_id = :tenant_id AND k.revoke_time IS NULL"
    " AND k.expire_time > :now"
    " AND (CAST(:after_id AS uuid) IS NULL OR (k.create_time, k.id) < (:after_time, :after_id))"
    " ORDER BY k.create_time DESC, k.id DESC LIMIT :count"
)
_REVOKE_KEY = text(
    "UPDATE api_key SET revoke_time = :now WHERE id = :id AND user_id = :user_id AND tenant_id = :tenant_id"
    " AND revoke_time IS NULL AND expire_time > :now RETURNING 1"
)
_HOLDER = text(
    f"""
SELECT {_KEY}, k.hash, m.roles, u.kyc_tier,
  ARRAY(SELECT DISTINCT p FROM role r, unnest(r.permissions) p
    WHERE r.tenant_id = m.tenant_id AND r.name = ANY (m.roles) ORDER BY p) AS held
FROM api_key k
JOIN membership m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
JOIN user_account u ON u.id = k.user_id AND u.suspend_time IS NULL
WHERE k.prefix = :prefix AND k.revoke_time IS NULL AND k.expire_time > :now
"""
)
_TOUCH_KEY = text("UPDATE api_key SET last_use_time = :minute WHERE id = :id")


async def count_keys(unit: Unit, user_id: UUID, now: datetime) -> int:
    """How many live keys a person has in all tenants; nobody can add one until the unit ends."""
    await unit.execute(_LOCK_OWNER, {"user_id": user_id})
    return int(await unit.scalar(_COUNT_KEYS, {"user_id": user_id, "now": now}) or 0)


async def add_key(unit: Unit, key: ApiKey, *, key_hash: bytes) -> None:
    """Store a key by its hash."""
    await unit.execute(
        _ADD_KEY,
        {
            "id": key.id,
            "tenant_id": key.tenant_id,
            "user_id": key.user_id,
            "name": key.name,
            "prefix": key.prefix,
            "hash": key_hash,
            "permissions": list(key.permissions),
            "create_time": key.create_time,
            "expire_time": key.expire_time,
        },
    )


async def list_keys(
    unit: Unit,
    user_id: UUID,
    tenant_id: str,
    *,
    now: datetime,
    after: tuple[datetime, UUID] | None,
    count: int,
) -> list[ApiKey]:
    """A person's live keys in a tenant, newest first, behind `after`."""
    after_time, after_id = after or (None, None)
    parameters = {
        "user_id": user_id,
        "tenant_id": tenant_id,
        "now": now,
        "after_time": after_time,
        "after_id": after_id,
        "count": count,
    }
    return [_key(row) for row in await unit.execute(_LIST_KEYS, parameters)]


async def revoke_key(
    unit: Unit, user_id: UUID, tenant_id: str, key_id: UUID, now: datetime
) -> bool:
    """End a person's live key in a tenant; False when there is no such one."""
    parameters = {"user_id": user_id, "tenant_id": tenant_id, "id": key_id, "now": now}
    return await unit.scalar(_REVOKE_KEY, parameters) is not None


async def find_holder(unit: Unit, prefix: str, now: datetime) -> tuple[KeyHolder, bytes] | None:
    """The live key with this prefix, what its maker may do today, and the key's hash."""
    row = (await unit.execute(_HOLDER, {"prefix": prefix, "now": now})).one_or_none()
    if row is None:
        return None
    holder = KeyHolder(_key(row), tuple(row.roles), tuple(row.held), row.kyc_tier)
    return holder, bytes(row.hash)


async def touch_key(unit: Unit, key_id: UUID, minute: datetime) -> None:
    """Remember when a key was used."""
    await unit.execute(_TOUCH_KEY, {"id": key_id, "minute": minute})


def _key(row: Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        name=row.name,
        prefix=row.prefix,
        permissions=tuple(row.permissions),
        create_time=row.create_time,
        expire_time=row.expire_time,
        last_use_time=row.last_use_time,
    )


# Authenticator apps

_LOCK_TOTP = text(
    "SELECT user_id, sealed_secret, confirm_time IS NOT NULL AS is_confirmed, last_step FROM totp"
    " WHERE user_id = :user_id FOR UPDATE"
)
# An app that is on is never replaced: then nothing is returned.
_START_TOTP = text(
    "INSERT INTO totp (user_id, sealed_secret, create_time) VALUES (:user_id, :sealed_secret, :now)"
    " ON CONFLICT (user_id) DO UPDATE SET sealed_secret = excluded.sealed_secret, create_time = excluded.create_time,"
    " last_step = 0 WHERE totp.confirm_time IS NULL RETURNING 1"
)
_USE_TOTP = text("UPDATE totp SET last_step = :step WHERE user_id = :user_id")
_CONFIRM_TOTP = text(
    "UPDATE totp SET confirm_time = :now, last_step = :step WHERE user_id = :user_id"
)
_DROP_TOTP = text("DELETE FROM totp WHERE user_id = :user_id")


async def lock_totp(unit: Unit, user_id: UUID) -> Totp | None:
    """A person's authenticator app; no code of it can be used twice until the unit ends."""
    row = (await unit.execute(_LOCK_TOTP, {"user_id": user_id})).one_or_none()
    if row is None:
        return None
    return Totp(row.user_id, bytes(row.sealed_secret), row.is_confirmed, row.last_step)


async def start_totp(unit: Unit, user_id: UUID, sealed_secret: bytes, now: datetime) -> bool:
    """Store a secret that is still to be confirmed; False when an app is on."""
    parameters = {"user_id": user_id, "sealed_secret": sealed_secret, "now": now}
    return await unit.scalar(_START_TOTP, parameters) is not None


async def use_totp(unit: Unit, user_id: UUID, step: int) -> None:
    """The code of this step was used; it and those before it do not work again."""
    await unit.execute(_USE_TOTP, {"user_id": user_id, "step": step})


async def confirm_totp(unit: Unit, user_id: UUID, step: int, now: datetime) -> None:
    """The app is on, and the code of this step was used."""
    await unit.execute(_CONFIRM_TOTP, {"user_id": user_id, "step": step, "now": now})


async def drop_totp(unit: Unit, user_id: UUID) -> None:
    """The app is off."""
    await unit.execute(_DROP_TOTP, {"user_id": user_id})

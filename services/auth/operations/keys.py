"""API keys: making, listing, ending them, and exchanging one for a short-lived token."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from services.auth import derivation, domain
from services.auth.domain import ApiKey
from services.auth.errors import PermissionNotGrantable, TooManyApiKeys
from services.auth.operations.desk import EVERYWHERE, Desk
from services.auth.store import sessions
from services.kit.errors import FieldViolation, NotFound, ValidationFailed


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key and what is kept of it. The key itself is shown once."""

    kept: ApiKey
    key: str = field(repr=False)


async def create_api_key(
    desk: Desk,
    *,
    tenant_id: str,
    user_id: UUID,
    held: frozenset[str],
    is_key: bool,
    name: str,
    permissions: Sequence[str],
    expire_time: datetime | None,
) -> NewKey:
    """Make a key for the caller in this tenant. `held` is what the caller may do, `is_key` that a key is calling.

    A key makes no keys: it could outlive its own end that way.
    """
    lacking = sorted(permissions) if is_key else sorted(set(permissions) - held)
    if lacking:
        raise PermissionNotGrantable(permission=lacking[0])
    now = desk.clock.now()
    key, prefix = derivation.new_api_key()
    kept = ApiKey(
        id=desk.clock.new_id(),
        user_id=user_id,
        tenant_id=tenant_id,
        name=name,
        prefix=prefix,
        permissions=tuple(sorted(permissions)),
        create_time=now,
        expire_time=_checked_end(expire_time, now),
        last_use_time=None,
    )
    async with desk.database.unit(tenant_id, user_id=user_id) as session:
        if await sessions.count_keys(session, user_id, now) >= domain.API_KEYS_MAX:
            raise TooManyApiKeys
        await sessions.add_key(session, kept, key_hash=desk.derivation.api_key_hash(key))
    return NewKey(kept, key)


def _checked_end(expire_time: datetime | None, now: datetime) -> datetime:
    if expire_time is None:
        return now + domain.API_KEY_LIFE
    if not now < expire_time <= now + domain.API_KEY_LIFE_MAX:
        violation = FieldViolation(
            "expireTime", "must be in the future and at most a year ahead", "expire_time.range"
        )
        raise ValidationFailed(field_violations=[violation])
    return expire_time


async def list_api_keys(
    desk: Desk,
    *,
    tenant_id: str,
    user_id: UUID,
    after: tuple[datetime, UUID] | None,
    count: int,
) -> Sequence[ApiKey]:
    """The person's live keys in this tenant, newest first."""
    async with desk.database.unit(tenant_id, user_id=user_id) as session:
        return await sessions.list_keys(
            session, user_id, tenant_id, now=desk.clock.now(), after=after, count=count
        )


async def revoke_api_key(desk: Desk, *, tenant_id: str, user_id: UUID, key_id: UUID) -> None:
    """End one of the person's own keys in this tenant. Raises NotFound."""
    async with desk.database.unit(tenant_id, user_id=user_id) as session:
        revoked = await sessions.revoke_key(session, user_id, tenant_id, key_id, desk.clock.now())
    if not revoked:
        raise NotFound


async def exchange(desk: Desk, *, key: str) -> str | None:
    """An access token for 120 s that may do what the key and its maker may; None for a key that is not good."""
    prefix = derivation.api_key_prefix(key)
    if prefix is None:
        return None
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE) as session:
        found = await sessions.find_holder(session, prefix, now)
        if found is None:
            return None
        holder, known = found
        if not hmac.compare_digest(known, desk.derivation.api_key_hash(key)):
            return None
        minute = now.replace(second=0, microsecond=0)
        if holder.key.last_use_time is None or holder.key.last_use_time < minute:
            await sessions.touch_key(session, holder.key.id, minute)
    return desk.signer.sign(domain.key_claims(holder, now))

"""Repeats: what an Idempotency-Key led to before, and how long a twin in flight is waited for."""

from datetime import timedelta
from uuid import UUID

from services.groups.operations.desk import Desk
from services.groups.store import groups as store
from services.kit.errors import IdempotencyKeyReused
from services.kit.identity import Call

__all__ = ["RECOVERY", "SYSTEM", "earlier"]

RECOVERY = timedelta(seconds=5)
"""When a job looks whether the call that began something has also finished it."""

SYSTEM = "service:groups"


async def earlier(desk: Desk, call: Call) -> UUID | None:
    """What an earlier call with this key made; asked first, so that a repeat depends on nothing that has changed since."""
    async with desk.database.unit(call.tenant_id) as session:
        known = await store.find_key(session, call)
    if known is None:
        return None
    fingerprint, resource_id, _ = known
    if fingerprint != call.fingerprint:
        raise IdempotencyKeyReused
    call.mark_replayed()
    return resource_id

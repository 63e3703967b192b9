"""Idempotency keys: the first call with a key fixes the id of what it makes, and every repeat is led to it.

The key is claimed in the transaction that writes the business row, so either both exist or neither. Keys are scoped to
tenant, actor and method, are bound to the content of the request, and are kept for 30 days.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from services.kit.database import Session, sqlstate
from services.kit.errors import IdempotencyKeyInFlight, IdempotencyKeyReused
from services.kit.identity import Call

__all__ = ["KEPT", "Claim", "claim", "purge", "remember_answer", "table"]

KEPT = timedelta(days=30)
"""How long a key leads to its first answer."""

_LOCK_NOT_AVAILABLE, _QUERY_CANCELLED = "55P03", "57014"


def table(metadata: MetaData) -> Table:
    """The table of keys, for the service's `tables.py`."""
    return Table(
        "idempotency_key",
        metadata,
        Column("tenant_id", Text, nullable=False),
        Column(
            "caller", Text, nullable=False, comment="Actor of the call: user:<id> or service:<name>"
        ),
        Column("method", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False, comment="SHA-256 of the request"),
        Column("resource_id", Uuid, nullable=False, comment="What the first call made"),
        Column("answer", JSONB, comment="What was first answered, without secrets"),
        Column("create_time", DateTime(timezone=True), nullable=False, server_default=func.now()),
        PrimaryKeyConstraint("tenant_id", "caller", "method", "key"),
        Index("idempotency_key_create_time", "create_time"),
        comment="Idempotency keys and what they led to",
        info={"across_tenants": True},
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether this call is the first with its key, and what the first one made and answered."""

    is_new: bool
    resource_id: UUID
    answer: dict[str, Any] | None


_INSERT = text(
    "INSERT INTO idempotency_key (tenant_id, caller, method, key, fingerprint, resource_id)"
    " VALUES (:tenant_id, :caller, :method, :key, :fingerprint, :resource_id)"
    " ON CONFLICT DO NOTHING RETURNING 1"
)
_SELECT = text(
    "SELECT fingerprint, resource_id, answer FROM idempotency_key"
    " WHERE tenant_id = :tenant_id AND caller = :caller AND method = :method AND key = :key"
)
_REMEMBER = text(
    "UPDATE idempotency_key SET answer = CAST(:answer AS jsonb)"
    " WHERE tenant_id = :tenant_id AND caller = :caller AND method = :method AND key = :key"
)


async def claim(session: Session, call: Call, *, resource_id: UUID) -> Claim:
    """Take the call's key for the thing with this new id, or learn which thing has it.

    Waits for a twin whose transaction is under way. Marks the call as replayed when the key was taken before.
    Raises IdempotencyKeyReused for other content, IdempotencyKeyInFlight if the twin takes too long.
    """
    assert call.idempotency_key, "only calls of KEYED RPCs have a key"
    scope = _scope(call)
    for _ in range(3):
        try:
            inserted = await session.scalar(
                _INSERT, {**scope, "fingerprint": call.fingerprint, "resource_id": resource_id}
            )
        except DBAPIError as error:
            if sqlstate(error) in (_LOCK_NOT_AVAILABLE, _QUERY_CANCELLED):
                raise IdempotencyKeyInFlight(retry_after_seconds=1) from error
            raise
        if inserted:
            return Claim(is_new=True, resource_id=resource_id, answer=None)
        row = (await session.execute(_SELECT, scope)).one_or_none()
        if row is not None:
            if bytes(row.fingerprint) != call.fingerprint:
                raise IdempotencyKeyReused
            call.mark_replayed()
            return Claim(is_new=False, resource_id=row.resource_id, answer=row.answer)
    raise IdempotencyKeyInFlight(retry_after_seconds=1)


async def remember_answer(session: Session, call: Call, answer: dict[str, Any]) -> None:
    """Keep what was answered first (states and the like, never a secret), so that repeats answer the same."""
    await session.execute(_REMEMBER, {**_scope(call), "answer": json.dumps(answer)})


async def purge(session: Session, before: datetime) -> int:
    """Forget keys older than that; the session must be a unit of ALL_TENANTS. Answers how many."""
    result = await session.execute(
        text("DELETE FROM idempotency_key WHERE create_time < :before"), {"before": before}
    )
    return int(result.rowcount)


def _scope(call: Call) -> dict[str, str]:
    return {
        "tenant_id": call.tenant_id,
        "caller": call.actor,
        "method": call.method,
        "key": call.idempotency_key,
    }

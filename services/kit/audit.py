"""Audit records: who called an audited RPC and how it ended, refusals included.

Records are written by their own transactions, many at once, and a call is answered after its record is committed. Where
the database cannot take the record, the answer stands and the log says what is missing from the table.
"""

import asyncio
import contextlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, Uuid, insert

from services.kit import telemetry
from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Database

__all__ = ["Audit", "Record", "table"]

_WRITE_SECONDS_MAX = 2.0
_BATCH = 200
_clock = Clock()


def table(metadata: MetaData) -> Table:
    """The table of audit records, for the service's `tables.py`. Needed by every service with an audited RPC."""
    return Table(
        "audit_record",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("create_time", DateTime(timezone=True), nullable=False),
        Column("tenant_id", Text, nullable=False, comment="Empty where the caller proved none"),
        Column("method", Text, nullable=False),
        Column(
            "actor", Text, nullable=False, comment="user:<id> or service:<name>; empty for nobody"
        ),
        Column("address", Text, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("code", Text, nullable=False, comment="gRPC code of the answer"),
        Column("reason", Text, nullable=False, comment="Reason of the refusal; empty for success"),
        Index("audit_record_tenant_time", "tenant_id", "create_time"),
        comment="Who called audited RPCs, and how the calls ended",
        info={"across_tenants": True},
    )


@dataclass(frozen=True, slots=True)
class Record:
    """One call of an audited RPC."""

    id: UUID
    create_time: datetime
    tenant_id: str
    method: str
    actor: str
    address: str
    request_id: str
    code: str
    reason: str


class Audit:
    """Writes records in groups: those that arrive during one transaction go into the next."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = insert(table(MetaData()))
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(
        self,
        *,
        tenant_id: str,
        method: str,
        actor: str,
        address: str,
        request_id: str,
        code: str,
        reason: str,
    ) -> None:
        """Returns when the record is committed, or after 2 s; never raises."""
        record = Record(
            _clock.new_id(),
            _clock.now(),
            tenant_id,
            method,
            actor,
            address,
            request_id,
            code,
            reason,
        )
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(done), _WRITE_SECONDS_MAX)

    async def close(self) -> None:
        """Wait for what is still to be written."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=_WRITE_SECONDS_MAX)

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            rows: list[dict[str, Any]] = [asdict(record) for record, _ in batch]
            try:
                async with self._database.unit(ALL_TENANTS, actor="system") as session:
                    await session.execute(self._insert, rows)
            except Exception as error:  # noqa: BLE001 - whatever it is, the calls were already decided
                for row in rows:
                    fields = {key: str(value) for key, value in row.items()}
                    telemetry.log.error(
                        "audit_record_not_written", fault=type(error).__name__, **fields
                    )
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

"""Audit records, written in groups and never in the way of an answer."""

import asyncio
import time
from typing import Any

from sqlalchemy import text

from services.kit.audit import Audit
from services.kit.database import ALL_TENANTS, Database


def call(**changes: str) -> dict[str, Any]:
    facts = {
        "tenant_id": "default", "method": "/a.B/C", "actor": "user:1", "address": "", "request_id": "r", "code": "OK",
        "reason": "",
    }  # fmt: skip
    return {**facts, **changes}


async def test_a_record_is_there_when_the_call_is_answered(database: Database) -> None:
    audit = Audit(database)
    await audit.write(**call(actor="user:7"))
    async with database.unit("default") as session:
        assert (await session.scalars(text("SELECT actor FROM audit_record"))).all() == ["user:7"]


async def test_calls_at_once_share_a_transaction(database: Database) -> None:
    audit = Audit(database)
    await asyncio.gather(*(audit.write(**call(request_id=str(number))) for number in range(300)))
    async with database.unit(ALL_TENANTS) as session:
        assert (
            await session.scalar(text("SELECT count(DISTINCT request_id) FROM audit_record")) == 300
        )
        assert (
            await session.scalar(text("SELECT count(DISTINCT xmin::text) FROM audit_record")) < 20
        )


async def test_records_of_a_tenant_are_its_own(database: Database) -> None:
    audit = Audit(database)
    await audit.write(**call(tenant_id="kisumu"))
    async with database.unit("default") as session:
        assert await session.scalar(text("SELECT count(*) FROM audit_record")) == 0


async def test_a_lost_database_does_not_hold_the_answer_back() -> None:
    away = Database("postgresql://x:y@127.0.0.1:9/none", schema="probe", application_name="test")
    audit = Audit(away)
    started = time.monotonic()
    await audit.write(**call())
    assert time.monotonic() - started < 3
    await audit.close()
    await away.close()

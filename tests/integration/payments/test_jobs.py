"""Jobs: each may run twice, and a net below all others finds what nothing moves."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from hazina.payments.v1.payment_service_pb2 import GetTransactionRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from services.kit.database import ALL_TENANTS, Database
from services.payments import app, config
from tests.factories.payments import deposit_request, withdrawal_request
from tests.integration.payments.conftest import Mesh, payments_of, until

_DEFER = text(
    "SELECT payments_jobs.procrastinate_defer_jobs_v1(ARRAY[ROW('default', :task, 0, NULL, NULL,"
    " CAST(:args AS jsonb), NULL)::payments_jobs.procrastinate_job_to_defer_v1])"
)


async def database_of(mesh: Mesh) -> Database:
    """The service's own database."""
    place = await mesh.harness.database("payments")
    return Database(place.url, schema="payments", application_name="test")


async def test_a_deposit_whose_jobs_were_lost_is_found_by_the_sweep(mesh: Mesh, phone: str) -> None:
    async with mesh.harness.service(
        "payments", app.build, config.load, variables=mesh.variables(), background=False
    ) as running:
        asha, wallet = await mesh.person("Asha")
        answer = await payments_of(running, asha).CreateDeposit(
            deposit_request(wallet, 50_000, phone=phone), key="k"
        )
    database = await database_of(mesh)
    async with database.unit(ALL_TENANTS) as session:
        await session.execute(text("DELETE FROM payments_jobs.procrastinate_jobs"))
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(text("UPDATE provider_request SET due_time = :past"), {"past": past})
    await database.close()
    async with mesh.payments() as running:
        # The sweep runs at each full minute.
        await until(running, asha, answer.transaction.id, "COMPLETED", seconds=80)
        assert await mesh.balance(wallet) == 50_000


async def test_every_job_may_run_again_without_effect(mesh: Mesh, phone: str) -> None:
    async with mesh.payments() as running:
        asha, wallet = await mesh.person("Asha", 100_000)
        answer = await payments_of(running, asha).CreateWithdrawal(
            withdrawal_request(wallet, 20_000, phone=phone), key="k"
        )
        made = answer.transaction.id
        await until(running, asha, made, "COMPLETED")
        database = await database_of(mesh)
        async with database.unit("default") as session:
            callbacks = (await session.execute(text("SELECT id FROM callback"))).scalars().all()
            for name, arguments in (
                ("payments.drive", {"tenant_id": "default", "transaction_id": made}),
                (
                    "payments.ask",
                    {
                        "tenant_id": "default",
                        "transaction_id": made,
                        "question": None,
                        "tries": 0,
                    },
                ),
                *(("payments.callback", {"callback_id": str(one)}) for one in callbacks),
            ):
                await session.execute(_DEFER, {"task": name, "args": json.dumps(arguments)})
        await database.close()
        await asyncio.sleep(2)
        found = await payments_of(running, asha).GetTransaction(
            GetTransactionRequest(transaction_id=made)
        )
        assert found.state == Transaction.COMPLETED
        assert await mesh.balance(wallet) == 80_000
        assert len(mesh.simulator.payments(phone)) == 1

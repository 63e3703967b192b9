"""The payments service in-process, with a fake ledger and a fake directory as its only peers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from hazina.payments.v1 import (
    hook_service_pb2_grpc,
    payment_service_pb2_grpc,
    review_service_pb2_grpc,
)
from services.kit.clock import Clock
from services.kit.database import Database
from services.payments import app, config, domain, store
from services.payments.clients.ledger import _transfer
from tests.factories.payments import VARIABLES, FakeDirectory, FakeLedger, withdrawal_request
from tests.harness import Harness, Person, Running


@dataclass
class World:
    """Asha and Brian, who bank with us, and Chris and Dina, who work here."""

    harness: Harness
    running: Running
    ledger: FakeLedger
    directory: FakeDirectory
    asha: Person
    brian: Person
    chris: Person
    dina: Person
    asha_wallet: UUID
    brian_wallet: UUID

    def payments(self, user: Person | None) -> Any:
        """The payment service, called by somebody."""
        return self.running.stub(payment_service_pb2_grpc.PaymentServiceStub, user=user)

    def reviews(self, user: Person | None) -> Any:
        """The review service, called by somebody."""
        return self.running.stub(review_service_pb2_grpc.ReviewServiceStub, user=user)

    async def stuck_withdrawal(self, minor_units: int = 20_000, *, key: str = "stuck") -> str:
        """A withdrawal of Asha's, held and handed over, of which the provider says nothing: as the jobs leave it."""
        answer = await self.payments(self.asha).CreateWithdrawal(
            withdrawal_request(self.asha_wallet, minor_units), key=key
        )
        made = UUID(answer.transaction.id)
        database = self.database()
        async with database.unit("default") as session:
            pending = await store.find_transaction(session, made, lock=True)
            assert pending is not None
        await self._leave_unknown(database, pending)
        await database.close()
        return str(made)

    async def old_withdrawal(self, age: timedelta) -> str:
        """The same, begun that long ago."""
        moment = int((datetime.now(UTC) - age).timestamp() * 1000)
        made = UUID(int=(moment << 80) | (Clock().new_id().int & ((1 << 80) - 1)))
        wallet = domain.Party(self.asha.id, self.asha_wallet, "Asha Otieno", "A****")
        pending = domain.Transaction(
            tenant_id="default",
            id=made,
            kind=domain.Kind.WITHDRAWAL,
            state=domain.State.PENDING,
            currency="KES",
            amount_minor=20_000,
            fee_minor=0,
            payer=wallet,
            payee=domain.OUTSIDE,
            actor=f"user:{self.asha.id}",
            create_time=datetime.now(UTC) - age,
            update_time=datetime.now(UTC) - age,
            rail="mpesa",
            phone="254712345678",
        )
        self.ledger.takes_old_ids = True
        await self.ledger.book(
            "default",
            [
                _transfer(pending, one, linked=False)
                for one in domain.entries(pending, domain.Step.HOLD)
            ],
        )
        self.ledger.takes_old_ids = False
        database = self.database()
        async with database.unit("default") as session:
            await store.insert_transaction(session, pending)
        await self._leave_unknown(database, pending)
        await database.close()
        return str(made)

    def database(self) -> Database:
        """The service's own database."""
        url = self.running.config.database_url
        return Database(url, schema="payments", application_name="test")

    async def _leave_unknown(self, database: Database, pending: domain.Transaction) -> None:
        made = pending.id
        async with database.unit("default") as session:
            now = datetime.now(UTC)
            sent = replace(
                domain.moved(pending, domain.State.PROCESSING, now=now), send_attempt_time=now
            )
            unknown = domain.silent(sent, domain.State.UNKNOWN, now=now)
            await store.update_transaction(session, unknown)
            case = Clock().new_id()
            reason = unknown.failure_reason
            await store.open_case(
                session, "default", new_id=case, transaction_id=made, reason=reason, now=now
            )
            await store.insert_evidence(
                session,
                "default",
                new_id=case,
                source=domain.Source.RESPONSE,
                body="no answer: ReadTimeout",
                now=now,
                transaction_id=made,
            )

    def hooks(self) -> Any:
        """The hooks, called through the edge by anybody."""
        return self.running.stub(hook_service_pb2_grpc.HookServiceStub)


@pytest.fixture
async def world(harness: Harness) -> AsyncIterator[World]:
    """Asha has KES 5,000.00, Brian nothing. Jobs do not run, so what they would do stays undone."""
    ledger, directory = FakeLedger(), FakeDirectory()
    asha, brian = harness.person(), harness.person()
    chris = harness.person(roles=["member", "staff", "admin"])
    dina = harness.person(roles=["member", "staff", "admin"])
    directory.add(asha.id, "Asha Otieno", "asha@example.org")
    directory.add(brian.id, "Brian Kamau", "+254722000111")
    peers = {
        "hazina.wallet.v1.LedgerService": ledger,
        "hazina.auth.v1.DirectoryService": directory,
    }
    async with (
        harness.peers(peers),
        harness.service(
            "payments", app.build, config.load, variables=VARIABLES, background=False
        ) as running,
    ):
        yield World(
            harness,
            running,
            ledger,
            directory,
            asha,
            brian,
            chris,
            dina,
            asha_wallet=ledger.open(asha.id, balance=500_000),
            brian_wallet=ledger.open(brian.id),
        )

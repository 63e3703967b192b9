"""The payments service in-process, with a fake ledger and a fake directory as its only peers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from hazina.payments.v1 import (
    hook_service_pb2_grpc,
    payment_service_pb2_grpc,
    review_service_pb2_grpc,
)
from services.payments import app, config
from tests.factories.payments import VARIABLES, FakeDirectory, FakeLedger
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

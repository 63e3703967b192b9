"""The payments service with the real wallet service and the real simulator process; only the directory is a fake."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hazina.payments.v1 import (
    hook_service_pb2,
    hook_service_pb2_grpc,
    payment_service_pb2_grpc,
    review_service_pb2_grpc,
)
from hazina.payments.v1.payment_service_pb2 import GetTransactionRequest
from hazina.payments.v1.transaction_pb2 import Transaction
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, ledger_service_pb2_grpc
from services.kit.clock import Clock
from services.payments import app, config
from services.wallet import app as wallet_app
from simulators.serving import serve
from tests.factories.payments import HOOK_SECRET, FakeDirectory
from tests.harness import Harness, Person, Running, free_port

ROOT = Path(__file__).parents[3]
ACCOUNT = {
    "HAZINA_DARAJA_CONSUMER_KEY": "key",
    "HAZINA_DARAJA_CONSUMER_SECRET": "secret",
    "HAZINA_DARAJA_SHORTCODE": "174379",
    "HAZINA_DARAJA_PASSKEY": "passkey",
}
DELAY_SECONDS = 0.2
_clock = Clock()


class Simulator:
    """The mobile money simulator, a process of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def fault(self, kind: str, **facts: Any) -> None:
        """Switch a fault on."""
        httpx.post(f"{self.url}/_faults", json={"kind": kind, **facts}).raise_for_status()

    def speak(self) -> None:
        """End all silence."""
        httpx.post(f"{self.url}/_speak").raise_for_status()

    def payments(self, phone: str) -> list[dict[str, Any]]:
        """What it knows about a phone."""
        listed: list[dict[str, Any]] = httpx.get(f"{self.url}/_state").json()["payments"]
        return [one for one in listed if one["phone"] == phone]


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One process for all tests; each test has phones of its own."""
    port = free_port()
    environ = {
        **os.environ,
        **ACCOUNT,
        "HAZINA_MOBILE_MONEY_ADDRESS": f"127.0.0.1:{port}",
        "HAZINA_MOBILE_MONEY_DELAY_SECONDS": str(DELAY_SECONDS),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators.mobile_money"], cwd=ROOT, env=environ
    )
    try:
        simulator = Simulator(port)
        for _ in range(100):
            try:
                httpx.get(f"{simulator.url}/_state")
                break
            except httpx.TransportError:
                import time

                time.sleep(0.1)
        yield simulator
    finally:
        process.terminate()
        process.wait(10)


class RealLedger:
    """`LedgerService` at the mesh address: the real wallet service, called as Envoy's mesh listener calls it."""

    def __init__(self, running: Running) -> None:
        self.stub = running.stub(
            ledger_service_pb2_grpc.LedgerServiceStub, through_mesh_as="payments"
        )

    async def CreateTransfers(self, request: Any, call: Any) -> Any:
        return await self.stub.CreateTransfers(request)

    async def BatchGetAccounts(self, request: Any, call: Any) -> Any:
        return await self.stub.BatchGetAccounts(request)

    async def FindAccounts(self, request: Any, call: Any) -> Any:
        return await self.stub.FindAccounts(request)

    async def BatchGetTransfers(self, request: Any, call: Any) -> Any:
        return await self.stub.BatchGetTransfers(request)


@dataclass
class Mesh:
    """Wallet, hooks and directory that outlive the payments service, which a test may end and start again."""

    harness: Harness
    simulator: Simulator
    wallet: Running
    directory: FakeDirectory
    hook_port: int
    hooks: list[Any] = field(default_factory=list)

    @asynccontextmanager
    async def payments(self, **variables: str) -> AsyncIterator[Running]:
        """Run the payments service in this process."""
        async with self.harness.service(
            "payments", app.build, config.load, variables=self.variables(**variables)
        ) as running:
            self.hooks.append(running.stub(hook_service_pb2_grpc.HookServiceStub))
            try:
                yield running
            finally:
                self.hooks.clear()

    def variables(self, **more: str) -> dict[str, str]:
        """What the payments service is told beside the common part."""
        return {
            **ACCOUNT,
            "HAZINA_HOOK_SECRET": HOOK_SECRET,
            "HAZINA_DARAJA_URL": self.simulator.url,
            "HAZINA_DARAJA_CALLBACK_URL": (
                f"http://127.0.0.1:{self.hook_port}/hooks/v1/daraja/{HOOK_SECRET}"
            ),
            "HAZINA_PAYMENTS_QUERY_SCALE": "0.01",
            **more,
        }

    async def open(self, owner: Person, balance: int = 0, *, tenant: str = "default") -> UUID:
        """Open a KES wallet with money from `EXTERNAL:opening`."""
        wallet_id = _clock.new_id()
        ledger = self.wallet.stub(
            ledger_service_pb2_grpc.LedgerServiceStub, through_mesh_as="groups"
        )
        await ledger.CreateAccount(
            ledger_service_pb2.CreateAccountRequest(
                tenant_id=tenant,
                account_id=str(wallet_id),
                kind=ledger_pb2.Account.USER,
                owner_id=str(owner.id),
                currency="KES",
                name="Main",
            )
        )
        if balance:
            await self.move("EXTERNAL:opening", str(wallet_id), balance)
        return wallet_id

    async def move(self, debit: str, credit: str, amount: int) -> None:
        """Move money behind everybody's back."""

        def reference(account: str) -> ledger_pb2.AccountReference:
            if ":" in account:
                return ledger_pb2.AccountReference(code=account)
            return ledger_pb2.AccountReference(account_id=account)

        ledger = self.wallet.stub(
            ledger_service_pb2_grpc.LedgerServiceStub, through_mesh_as="groups"
        )
        transfer = ledger_pb2.Transfer(
            id=str(_clock.new_id()),
            kind=ledger_pb2.Transfer.POST,
            debit=reference(debit),
            credit=reference(credit),
            code="OPENING",
            transaction_id=str(_clock.new_id()),
        )
        transfer.amount.currency, transfer.amount.minor_units = "KES", amount
        answer = await ledger.CreateTransfers(
            ledger_service_pb2.CreateTransfersRequest(
                tenant_id="default", actor="service:groups", transfers=[transfer]
            )
        )
        assert answer.verdicts[0].result == ledger_pb2.Verdict.CREATED

    async def account(self, wallet_id: UUID) -> ledger_pb2.Account:
        """A wallet as it stands in the books."""
        ledger = self.wallet.stub(
            ledger_service_pb2_grpc.LedgerServiceStub, through_mesh_as="payments"
        )
        answer = await ledger.BatchGetAccounts(
            ledger_service_pb2.BatchGetAccountsRequest(
                tenant_id="default", account_ids=[str(wallet_id)]
            )
        )
        account: ledger_pb2.Account = answer.accounts[0]
        return account

    async def balance(self, wallet_id: UUID) -> int:
        """Posted money of a wallet."""
        account = await self.account(wallet_id)
        return account.credits_posted - account.debits_posted

    async def held(self, wallet_id: UUID) -> int:
        """Held money of a wallet."""
        return (await self.account(wallet_id)).debits_pending

    async def books(self) -> dict[str, int]:
        """Balances of system and external accounts by code; checks that the books of the tenant are whole."""
        ledger = self.wallet.stub(ledger_service_pb2_grpc.LedgerServiceStub, identity="ops")
        answer = await ledger.GetTrialBalance(
            ledger_service_pb2.GetTrialBalanceRequest(tenant_id="default")
        )
        balances: dict[str, int] = {}
        for currency in answer.currencies:
            assert currency.net == 0 and currency.consistent, "the books are broken"
            for line in currency.lines:
                if line.code and currency.currency == "KES":
                    balances[line.code] = line.credits_posted - line.debits_posted
        return balances

    async def person(self, name: str, balance: int = 0) -> tuple[Person, UUID]:
        """Somebody with a wallet."""
        person = self.harness.person()
        self.directory.add(person.id, name, f"{name.lower()}@example.org")
        return person, await self.open(person, balance)


def payments_of(running: Running, user: Person) -> Any:
    """The payment service, called by somebody."""
    return running.stub(payment_service_pb2_grpc.PaymentServiceStub, user=user)


def reviews_of(running: Running, user: Person) -> Any:
    """The review service, called by somebody."""
    return running.stub(review_service_pb2_grpc.ReviewServiceStub, user=user)


async def patiently(call: Callable[[], Any]) -> Any:
    """Call until the service is reached: a channel waits a while before it tries a restarted service again."""
    for _ in range(200):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        await asyncio.sleep(0.2)
    raise AssertionError("the service is not reached")


async def until(
    running: Running, user: Person, transaction_id: str, *states: str, seconds: float = 15
) -> Transaction:
    """Wait until a transaction is in one of the states."""
    stub = payments_of(running, user)
    wanted = [Transaction.State.Value(state) for state in states]
    found = Transaction()
    request = GetTransactionRequest(transaction_id=transaction_id)
    for _ in range(int(seconds / 0.1)):
        found = await patiently(lambda: stub.GetTransaction(request))
        if found.state in wanted:
            assert isinstance(found, Transaction)
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"still {Transaction.State.Name(found.state)}, not {states}: {found}")


@asynccontextmanager
async def hook_listener(mesh_hooks: list[Any], port: int) -> AsyncIterator[None]:
    """What Envoy does with `POST /hooks/v1/{provider}/{secret}`, and no more. Without a service: 503."""

    async def receive(request: Request) -> Response:
        if not mesh_hooks:
            return Response(status_code=503)
        callback = hook_service_pb2.ReceiveCallbackRequest(
            provider=request.path_params["provider"],
            secret=request.path_params["secret"],
            body=httpbody_pb2.HttpBody(content_type="application/json", data=await request.body()),
        )
        try:
            answer = await mesh_hooks[0].ReceiveCallback(callback)
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            return Response(status_code=503)  # and the provider never comes again
        return Response(answer.data, media_type=answer.content_type)

    route = Route("/hooks/v1/{provider}/{secret}", receive, methods=["POST"])
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(Starlette(routes=[route]), f"127.0.0.1:{port}", stop))
    try:
        yield
    finally:
        stop.set()
        await serving


@pytest.fixture
async def mesh(harness: Harness, simulator: Simulator) -> AsyncIterator[Mesh]:
    """Everything but the payments service."""
    directory = FakeDirectory()
    async with AsyncExitStack() as stack:
        wallet = await stack.enter_async_context(
            harness.service("wallet", wallet_app.build, background=False)
        )
        peers: Mapping[str, object] = {
            "hazina.wallet.v1.LedgerService": RealLedger(wallet),
            "hazina.auth.v1.DirectoryService": directory,
        }
        await stack.enter_async_context(harness.peers(peers))
        mesh = Mesh(harness, simulator, wallet, directory, free_port())
        await stack.enter_async_context(hook_listener(mesh.hooks, mesh.hook_port))
        yield mesh


_phones = iter(range(10_000_000, 100_000_000))


@pytest.fixture
def phone() -> str:
    """A phone of one's own, as the simulator writes it."""
    return f"2547{next(_phones):08d}"

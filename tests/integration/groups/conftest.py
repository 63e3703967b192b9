"""Groups with the real wallet and payments services and the real simulator; people and addresses are fakes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from hazina.groups.v1 import (
    contribution_service_pb2_grpc,
    group_service_pb2,
    group_service_pb2_grpc,
    withdrawal_service_pb2,
    withdrawal_service_pb2_grpc,
)
from hazina.groups.v1.group_pb2 import Group, Role
from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from hazina.payments.v1 import group_payment_service_pb2_grpc, hook_service_pb2_grpc
from hazina.wallet.v1 import ledger_service_pb2_grpc
from services.groups import app, config
from services.kit import refusals
from services.payments import app as payments_app
from services.payments import config as payments_config
from services.wallet import app as wallet_app
from tests.factories.groups import (
    PUBLIC_URL,
    AddressedDirectory,
    FakeMessages,
    group_request,
    payout,
)
from tests.harness import Harness, Person, Running, free_port
from tests.integration.payments.conftest import Mesh, Simulator, hook_listener, simulator

__all__ = ["simulator"]


class Through:
    """A peer at the mesh address that passes every call on to a real service, as Envoy's mesh listener does."""

    def __init__(self, stub_class: Any) -> None:
        self._stub_class = stub_class
        self.running: Running | None = None

    def __getattr__(self, name: str) -> Any:
        if not name[0].isupper():
            raise AttributeError(name)

        async def call(request: Any, call: Any) -> Any:
            assert self.running is not None, "the service runs"
            stub = self.running.stub(self._stub_class, through_mesh_as=call.caller)
            try:
                return await getattr(stub, name)(request)
            except grpc.aio.AioRpcError as error:
                raise refusals.from_call_error(error) from error

        return call


@dataclass
class Village:
    """Everything, with Asha, Brian and Chris in it."""

    mesh: Mesh
    running: Running
    messages: FakeMessages
    wallets: dict[UUID, UUID] = field(default_factory=dict)
    _keys: int = 0

    def key(self) -> str:
        """A fresh key."""
        self._keys += 1
        return f"key-{self._keys}"

    async def person(self, name: str, balance: int = 0) -> Person:
        """Somebody with a wallet."""
        person, wallet = await self.mesh.person(name, balance)
        self.wallets[person.id] = wallet
        return person

    def groups(self, user: Person) -> Any:
        """The group service, called by somebody."""
        return self.running.stub(group_service_pb2_grpc.GroupServiceStub, user=user)

    def contributions(self, user: Person) -> Any:
        """The contribution service, called by somebody."""
        return self.running.stub(contribution_service_pb2_grpc.ContributionServiceStub, user=user)

    def withdrawals(self, user: Person) -> Any:
        """The withdrawal service, called by somebody."""
        return self.running.stub(withdrawal_service_pb2_grpc.WithdrawalServiceStub, user=user)

    async def group(self, owner: Person, balance: int = 0, **fields: Any) -> Group:
        """A group with so much in its wallet."""
        answer = await self.groups(owner).CreateGroup(group_request(**fields), key=self.key())
        made: Group = answer.group
        if balance:
            await self.mesh.move("EXTERNAL:opening", made.wallet_id, balance)
        return made

    async def join(self, group: Group, owner: Person, person: Person, role: str) -> None:
        """Let somebody join."""
        address = self.mesh.directory.residents[person.id].identifiers[0]
        made = await self.groups(owner).CreateInvitation(
            group_service_pb2.CreateInvitationRequest(
                group_id=group.id, identifier=address, role=Role.Kind.Value(role)
            ),
            key=self.key(),
        )
        await self.groups(person).AcceptInvitation(
            group_service_pb2.AcceptInvitationRequest(invitation_id=made.invitation.id)
        )

    async def asked(self, group: Group, by: Person, amount: int, phone: str = "") -> Withdrawal:
        """A withdrawal to the asker's own wallet, or to a phone."""
        answer = await self.withdrawals(by).CreateWithdrawal(
            payout(group.id, "" if phone else self.wallets[by.id], amount, phone=phone),
            key=self.key(),
        )
        made: Withdrawal = answer.withdrawal
        return made

    async def act(self, verb: str, by: Person, on: Withdrawal, key: str = "") -> Withdrawal:
        """Approve, Reject, Execute or Cancel."""
        request = getattr(withdrawal_service_pb2, f"{verb}WithdrawalRequest")
        answer = await getattr(self.withdrawals(by), f"{verb}Withdrawal")(
            request(group_id=on.group_id, withdrawal_id=on.id), key=key or self.key()
        )
        after: Withdrawal = answer.withdrawal
        return after

    async def until(
        self, by: Person, on: Withdrawal, state: str, seconds: float = 15
    ) -> Withdrawal:
        """Wait until a withdrawal is in a state."""
        found: Any = Withdrawal()
        for _ in range(int(seconds / 0.1)):
            found = await self.withdrawals(by).GetWithdrawal(
                withdrawal_service_pb2.GetWithdrawalRequest(
                    group_id=on.group_id, withdrawal_id=on.id
                )
            )
            if found.state == Withdrawal.State.Value(state):
                assert isinstance(found, Withdrawal)
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"still {Withdrawal.State.Name(found.state)}, not {state}: {found}")

    async def rows(self, query: str, *args: Any) -> list[dict[str, Any]]:
        """What lies in the database of groups, seen by its administrator; also for changes."""
        admin = await asyncpg.connect(
            (await self.mesh.harness.database("groups")).admin_url,
            server_settings={"search_path": "groups,groups_jobs"},
        )
        try:
            return [dict(row) for row in await admin.fetch(query, *args)]
        finally:
            await admin.close()


async def patiently(make: Any, seconds: float = 150) -> Any:
    """Repeat a call with its key, as clients do: with growing pauses, for as long as some part is too busy."""
    deadline = asyncio.get_running_loop().time() + seconds
    pause = 0.5
    while True:
        try:
            return await make()
        except grpc.aio.AioRpcError as error:
            busy = (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.ABORTED,
            )
            if error.code() not in busy or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, 8.0)


@asynccontextmanager
async def all_services(
    harness: Harness, simulator: Simulator, *, background: bool
) -> AsyncIterator[Village]:
    """All services run, with or without their relays, consumers and jobs."""
    directory, messages = AddressedDirectory(), FakeMessages()
    ledger = Through(ledger_service_pb2_grpc.LedgerServiceStub)
    payments = Through(group_payment_service_pb2_grpc.GroupPaymentServiceStub)
    peers = {
        "hazina.wallet.v1.LedgerService": ledger,
        "hazina.payments.v1.GroupPaymentService": payments,
        "hazina.auth.v1.DirectoryService": directory,
        "hazina.comms.v1.MessageService": messages,
    }
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        ledger.running = await enter(harness.service("wallet", wallet_app.build, background=False))
        await enter(harness.peers(peers))
        mesh = Mesh(harness, simulator, ledger.running, directory, free_port())
        await enter(hook_listener(mesh.hooks, mesh.hook_port))
        payments.running = await enter(
            harness.service(
                "payments",
                payments_app.build,
                payments_config.load,
                variables=mesh.variables(),
                background=background,
            )
        )
        mesh.hooks.append(payments.running.stub(hook_service_pb2_grpc.HookServiceStub))
        variables = {"HAZINA_PUBLIC_URL": PUBLIC_URL}
        running = await enter(
            harness.service(
                "groups", app.build, config.load, variables=variables, background=background
            )
        )
        yield Village(mesh, running, messages)


@pytest.fixture
async def village(harness: Harness, simulator: Simulator) -> AsyncIterator[Village]:
    """All services with all that they do by themselves."""
    async with all_services(harness, simulator, background=True) as village:
        yield village


@pytest.fixture
async def quiet_village(
    harness: Harness,
    simulator: Simulator,
) -> AsyncIterator[Village]:
    """All services, which do nothing by themselves: one process is little for three services and a crowd."""
    async with all_services(harness, simulator, background=False) as village:
        yield village


_phones = iter(range(20_000_000, 100_000_000))


@pytest.fixture
def phone() -> str:
    """A phone of one's own, as the simulator writes it."""
    return f"2541{next(_phones):08d}"

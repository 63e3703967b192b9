"""The groups service in-process, with fakes of ledger, payments, directory and messages as its only peers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
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
from services.groups import app, config, jobs
from services.groups.operations.desk import Desk
from services.kit.clock import derived_id
from services.kit.jobs import Jobs
from tests.factories.groups import (
    PUBLIC_URL,
    AddressedDirectory,
    FakeMessages,
    FakePayments,
    GroupLedger,
    group_request,
    link_token,
    payout,
)
from tests.harness import Harness, Person, Running


@dataclass
class World:
    """Asha makes groups; Brian, Chris and Dina join them when a test wants it. Each has KES 5,000.00."""

    harness: Harness
    running: Running
    ledger: GroupLedger
    payments: FakePayments
    directory: AddressedDirectory
    messages: FakeMessages
    asha: Person
    brian: Person
    chris: Person
    dina: Person
    wallets: dict[UUID, UUID]
    desk: Desk
    _keys: int = 0

    def groups(self, user: Person | None) -> Any:
        """The group service, called by somebody."""
        return self.running.stub(group_service_pb2_grpc.GroupServiceStub, user=user)

    def contributions(self, user: Person | None) -> Any:
        """The contribution service, called by somebody."""
        return self.running.stub(contribution_service_pb2_grpc.ContributionServiceStub, user=user)

    def withdrawals(self, user: Person | None) -> Any:
        """The withdrawal service, called by somebody."""
        return self.running.stub(withdrawal_service_pb2_grpc.WithdrawalServiceStub, user=user)

    def key(self) -> str:
        """A fresh key."""
        self._keys += 1
        return f"key-{self._keys}"

    def wallet(self, person: Person) -> UUID:
        """Somebody's wallet in shillings."""
        return self.wallets[person.id]

    async def group(self, *, balance: int = 0, **fields: Any) -> Group:
        """A group of Asha's with so much in its wallet."""
        answer = await self.groups(self.asha).CreateGroup(group_request(**fields), key=self.key())
        made: Group = answer.group
        if balance:
            self.ledger.fund(UUID(made.wallet_id), balance)
        return made

    async def invite(self, group: Group, address: str, role: str = "MEMBER") -> str:
        """Asha invites an address; answers the id of the invitation."""
        answer = await self.groups(self.asha).CreateInvitation(
            group_service_pb2.CreateInvitationRequest(
                group_id=group.id, identifier=address, role=Role.Kind.Value(role)
            ),
            key=self.key(),
        )
        return str(answer.invitation.id)

    async def join(self, group: Group, person: Person, role: str = "MEMBER") -> None:
        """Let somebody join."""
        address = self.directory.residents[person.id].identifiers[0]
        invitation_id = await self.invite(group, address, role)
        await self.groups(person).AcceptInvitation(
            group_service_pb2.AcceptInvitationRequest(invitation_id=invitation_id)
        )

    async def asked(self, group: Group, by: Person, amount: int = 10_000) -> Withdrawal:
        """A withdrawal to the asker's own wallet."""
        answer = await self.withdrawals(by).CreateWithdrawal(
            payout(group.id, self.wallet(by), amount), key=self.key()
        )
        made: Withdrawal = answer.withdrawal
        return made

    async def act(self, verb: str, by: Person, on: Withdrawal, *, key: str = "") -> Withdrawal:
        """Approve, Reject, Execute or Cancel."""
        request = getattr(withdrawal_service_pb2, f"{verb}WithdrawalRequest")
        answer = await getattr(self.withdrawals(by), f"{verb}Withdrawal")(
            request(group_id=on.group_id, withdrawal_id=on.id), key=key or self.key()
        )
        after: Withdrawal = answer.withdrawal
        return after

    async def get(self, by: Person, on: Withdrawal) -> Withdrawal:
        """A withdrawal as it stands."""
        found: Withdrawal = await self.withdrawals(by).GetWithdrawal(
            withdrawal_service_pb2.GetWithdrawalRequest(group_id=on.group_id, withdrawal_id=on.id)
        )
        return found

    async def rows(self, query: str, *args: Any) -> list[dict[str, Any]]:
        """What lies in the database, seen by its administrator; also for changes."""
        admin = await asyncpg.connect((await self.harness.database("groups")).admin_url)
        try:
            return [dict(row) for row in await admin.fetch(query, *args)]
        finally:
            await admin.close()

    async def token(self, invitation_id: str) -> str:
        """The token in the link of an invitation."""
        [row] = await self.rows(
            "SELECT expire_time FROM groups.invitation WHERE id = $1", UUID(invitation_id)
        )
        secret = self.running.config.secret
        return link_token(secret, "default", UUID(invitation_id), row["expire_time"])

    async def events(self, kind: str) -> int:
        """How many events of a type were written."""
        rows = await self.rows("SELECT 1 FROM groups.outbox WHERE type = $1", kind)
        return len(rows)

    async def let_time_pass(self, on: Withdrawal) -> None:
        """As if a withdrawal had been asked for 24 hours ago; the ledger has released its hold."""
        await self.rows(
            "UPDATE groups.withdrawal SET expire_time = now() - interval '1 second' WHERE id = $1",
            UUID(on.id),
        )
        self.ledger.expire(derived_id(UUID(on.id), "group_hold"))


@pytest.fixture
async def world(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Jobs, consumers and relay do not run, so what they would do stays undone."""
    ledger, directory, messages = GroupLedger(), AddressedDirectory(), FakeMessages()
    payments = FakePayments(ledger)
    asha, brian, chris, dina = people = [harness.person() for _ in range(4)]
    names = ("Asha Otieno", "Brian Kamau", "Chris Mwangi", "Dina Achieng")
    for person, name in zip(people, names, strict=True):
        directory.add(person.id, name, f"{name.split()[0].lower()}@example.org")
    peers = {
        "hazina.wallet.v1.LedgerService": ledger,
        "hazina.payments.v1.GroupPaymentService": payments,
        "hazina.auth.v1.DirectoryService": directory,
        "hazina.comms.v1.MessageService": messages,
    }
    desks: list[Desk] = []
    define = jobs.define

    def remember(queue: Jobs, desk: Desk) -> None:
        desks.append(desk)
        define(queue, desk)

    monkeypatch.setattr(jobs, "define", remember)
    async with (
        harness.peers(peers),
        harness.service(
            "groups",
            app.build,
            config.load,
            variables={"HAZINA_PUBLIC_URL": PUBLIC_URL},
            background=False,
        ) as running,
    ):
        wallets = {one.id: ledger.open(one.id, balance=0) for one in people}
        for wallet in wallets.values():
            ledger.fund(wallet, 500_000)
        yield World(
            harness,
            running,
            ledger,
            payments,
            directory,
            messages,
            asha,
            brian,
            chris,
            dina,
            wallets,
            desks[0],
        )

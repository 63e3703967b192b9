"""Steps, references and wallets for tests of the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.type.v1.money_pb2 import Money
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, ledger_service_pb2_grpc
from services.kit.clock import Clock
from services.wallet import app, config
from tests.harness import Harness, Person, Running

OUTSIDE = "EXTERNAL:mpesa"
ACTOR = "service:payments"
_clock = Clock()


def new_id() -> str:
    """A fresh UUIDv7."""
    return str(_clock.new_id())


def kes(minor_units: int) -> Money:
    """Kenyan cents."""
    return Money(currency="KES", minor_units=minor_units)


def reference(account: str | UUID) -> ledger_pb2.AccountReference:
    """By code if it looks like one, else by id."""
    name = str(account)
    if ":" in name:
        return ledger_pb2.AccountReference(code=name)
    return ledger_pb2.AccountReference(account_id=name)


def step(kind: str, **fields: Any) -> ledger_pb2.Transfer:
    """A step of this kind with an id of its own, unless one is given."""
    for name in ("debit", "credit"):
        if isinstance(fields.get(name), str | UUID):
            fields[name] = reference(fields[name])
    for name in ("expire_time", "effective_time"):
        if isinstance(fields.get(name), datetime):
            moment = Timestamp()
            moment.FromDatetime(fields[name])
            fields[name] = moment
    if isinstance(fields.get("amount"), int):
        fields["amount"] = kes(fields["amount"])
    fields.setdefault("id", new_id())
    fields.setdefault("transaction_id", new_id())
    fields.setdefault("code", "TRANSFER")
    return ledger_pb2.Transfer(kind=ledger_pb2.Transfer.Kind.Value(kind), **fields)


def post(
    debit: str | UUID, credit: str | UUID, amount: int | Money, **fields: Any
) -> ledger_pb2.Transfer:
    """Moves the amount."""
    return step("POST", debit=debit, credit=credit, amount=amount, **fields)


def hold(
    debit: str | UUID, credit: str | UUID, amount: int | Money, **fields: Any
) -> ledger_pb2.Transfer:
    """Reserves the amount."""
    return step("HOLD", debit=debit, credit=credit, amount=amount, **fields)


def post_hold(hold_id: str, **fields: Any) -> ledger_pb2.Transfer:
    """Moves what was held."""
    return step("POST_HOLD", hold_id=hold_id, **fields)


def void_hold(hold_id: str, **fields: Any) -> ledger_pb2.Transfer:
    """Releases what was held."""
    return step("VOID_HOLD", hold_id=hold_id, **fields)


class Bank:
    """A running wallet service, as payments, groups and operators use it."""

    def __init__(self, running: Running, tenant: str = "default") -> None:
        self.running = running
        self.tenant = tenant
        stub = ledger_service_pb2_grpc.LedgerServiceStub
        self.payments = running.stub(stub, identity="payments")
        self.groups = running.stub(stub, identity="groups")
        self.ops = running.stub(stub, identity="ops")

    def of(self, tenant: str) -> Bank:
        """The same bank, in another tenant."""
        return Bank(self.running, tenant)

    async def wallet(
        self, owner: Person | str | None = None, *, currency: str = "KES", kind: str = "USER"
    ) -> str:
        """A new wallet of a person (or of somebody new); answers its id."""
        owner_id = str(owner.id) if isinstance(owner, Person) else owner or new_id()
        answer = await self.groups.CreateAccount(
            ledger_service_pb2.CreateAccountRequest(
                tenant_id=self.tenant,
                account_id=new_id(),
                kind=ledger_pb2.Account.Kind.Value(kind),
                owner_id=owner_id,
                currency=currency,
                name="Savings",
            )
        )
        return str(answer.account.id)

    async def funded(self, amount: int, owner: Person | str | None = None) -> str:
        """A new wallet with so many cents in it."""
        wallet = await self.wallet(owner)
        await self.book(post(OUTSIDE, wallet, amount, code="DEPOSIT"))
        return wallet

    async def transfers(self, *steps: ledger_pb2.Transfer, **call: Any) -> list[ledger_pb2.Verdict]:
        """Verdicts of the steps."""
        answer = await self.payments.CreateTransfers(
            ledger_service_pb2.CreateTransfersRequest(
                tenant_id=self.tenant, actor=ACTOR, transfers=steps
            ),
            **call,
        )
        return list(answer.verdicts)

    async def book(self, *steps: ledger_pb2.Transfer) -> list[ledger_pb2.Verdict]:
        """The same, and all of them must be CREATED."""
        verdicts = await self.transfers(*steps)
        results = [told(verdict) for verdict in verdicts]
        assert results == ["CREATED"] * len(steps), results
        return verdicts

    async def account(self, account_id: str) -> ledger_pb2.Account:
        """An account as it stands."""
        answer = await self.ops.BatchGetAccounts(
            ledger_service_pb2.BatchGetAccountsRequest(
                tenant_id=self.tenant, account_ids=[account_id]
            )
        )
        account: ledger_pb2.Account
        [account] = answer.accounts
        return account

    async def available(self, account_id: str) -> int:
        """What can be spent now."""
        account = await self.account(account_id)
        return account.credits_posted - account.debits_posted - account.debits_pending

    async def trial_balance(self) -> ledger_service_pb2.TrialBalance:
        """The trial balance of the tenant."""
        balance: ledger_service_pb2.TrialBalance = await self.ops.GetTrialBalance(
            ledger_service_pb2.GetTrialBalanceRequest(tenant_id=self.tenant)
        )
        return balance


def told(verdict: ledger_pb2.Verdict) -> str:
    """A verdict in a word: CREATED, EXISTS, or the reason of the refusal with the field if one is named."""
    result = ledger_pb2.Verdict.Result.Name(verdict.result)
    if result != "REFUSED":
        return result
    return f"{verdict.reason} {verdict.field}".strip()


def wallet_service(harness: Harness, **options: Any) -> Any:
    """Runs the wallet service in this process: `async with wallet_service(harness) as running`."""
    return harness.service("wallet", app.build, config.load, **options)

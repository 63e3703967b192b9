"""What tests of payments need: an honest small ledger, a directory of people, and requests."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from hazina.auth.v1 import directory_service_pb2
from hazina.payments.v1 import payment_service_pb2
from hazina.type.v1 import money_pb2
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2
from services.kit.clock import Clock, id_time
from services.kit.errors import ServiceError
from services.kit.identity import Call

HOOK_SECRET = "hook-secret-of-the-tests"
VARIABLES = {
    "HAZINA_HOOK_SECRET": HOOK_SECRET,
    "HAZINA_DARAJA_URL": "http://127.0.0.1:9",
    "HAZINA_DARAJA_CONSUMER_KEY": "key",
    "HAZINA_DARAJA_CONSUMER_SECRET": "secret",
    "HAZINA_DARAJA_SHORTCODE": "174379",
    "HAZINA_DARAJA_PASSKEY": "passkey",
    "HAZINA_DARAJA_CALLBACK_URL": f"http://127.0.0.1:9/hooks/v1/daraja/{HOOK_SECRET}",
}
"""The environment of the payments service; nothing listens on port 9."""

_Kind = ledger_pb2.Transfer.Kind
_clock = Clock()


class UserNotFound(ServiceError):
    """What auth answers for a stranger."""

    code, reason, domain = "NOT_FOUND", "USER_NOT_FOUND", "auth.hazina"


@dataclass
class Resident:
    """A person of a tenant in the fake directory."""

    user_id: UUID
    name: str
    identifiers: tuple[str, ...] = ()
    tenant_id: str = "default"


class FakeDirectory:
    """`hazina.auth.v1.DirectoryService` with the people that a test adds."""

    def __init__(self) -> None:
        self.residents: dict[UUID, Resident] = {}
        self.is_down = False

    def add(self, user_id: UUID, name: str, *identifiers: str, tenant: str = "default") -> Resident:
        """Let somebody live in a tenant."""
        resident = Resident(user_id, name, identifiers, tenant)
        self.residents[user_id] = resident
        return resident

    async def ResolveUser(
        self, request: directory_service_pb2.ResolveUserRequest, call: Call
    ) -> directory_service_pb2.DirectoryEntry:
        for one in self.residents.values():
            if one.tenant_id == request.tenant_id and request.identifier in one.identifiers:
                return _entry(one)
        raise UserNotFound

    async def BatchGetUsers(
        self, request: directory_service_pb2.BatchGetUsersRequest, call: Call
    ) -> directory_service_pb2.BatchGetUsersResponse:
        found = [self.residents.get(UUID(one)) for one in request.user_ids]
        return directory_service_pb2.BatchGetUsersResponse(
            users=[
                _entry(one)
                for one in found
                if one is not None and one.tenant_id == request.tenant_id
            ]
        )


def masked(name: str) -> str:
    """A name with most letters hidden, as auth hides them."""
    return f"{name[0]}{'*' * 4}"


def _entry(one: Resident) -> directory_service_pb2.DirectoryEntry:
    return directory_service_pb2.DirectoryEntry(
        user_id=str(one.user_id), display_name=one.name, masked_name=masked(one.name)
    )


@dataclass(frozen=True)
class _Account:
    id: UUID
    tenant_id: str
    currency: str
    kind: ledger_pb2.Account.Kind.ValueType
    owner_id: str = ""
    code: str = ""
    name: str = ""
    protected: bool = False
    frozen: bool = False
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0

    @property
    def available(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending


@dataclass(frozen=True)
class _Booked:
    transfer: ledger_pb2.Transfer
    debit_id: UUID
    credit_id: UUID
    amount: int
    hold_state: ledger_service_pb2.BookedTransfer.HoldState.ValueType = (
        ledger_service_pb2.BookedTransfer.HOLD_STATE_UNSPECIFIED
    )


@dataclass
class _Books:
    accounts: dict[UUID, _Account] = field(default_factory=dict)
    booked: dict[tuple[str, str], _Booked] = field(default_factory=dict)


class _Refused(Exception):
    pass


class FakeLedger:
    """`hazina.wallet.v1.LedgerService` in memory: double entry, holds, chains, verdicts. Nothing is kept of a refusal."""

    def __init__(self) -> None:
        self._books = _Books()
        self.calls = 0
        self.failing: list[ServiceError] = []
        self.takes_old_ids = False

    # What tests do

    def open(
        self,
        owner_id: UUID,
        *,
        currency: str = "KES",
        balance: int = 0,
        tenant: str = "default",
        kind: ledger_pb2.Account.Kind.ValueType = ledger_pb2.Account.USER,
        name: str = "Main",
    ) -> UUID:
        """Open a wallet with money from nowhere but `EXTERNAL:opening`."""
        wallet = _Account(
            _clock.new_id(), tenant, currency, kind, str(owner_id), name=name, protected=True
        )
        self._books.accounts[wallet.id] = wallet
        if balance:
            outside = self._by_code(tenant, "EXTERNAL:opening", currency)
            self._books.accounts[outside.id] = replace(outside, debits_posted=balance)
            self._books.accounts[wallet.id] = replace(wallet, credits_posted=balance)
        return wallet.id

    def balance(
        self, account: UUID | str, *, currency: str = "KES", tenant: str = "default"
    ) -> int:
        """Posted credits less posted debits of a wallet or of the account with a code."""
        found = self._find(account, currency, tenant)
        return 0 if found is None else found.credits_posted - found.debits_posted

    def held(self, account: UUID) -> int:
        """Held debits."""
        return self._books.accounts[account].debits_pending

    def freeze(self, account: UUID) -> None:
        """Refuse debits from now on."""
        self._books.accounts[account] = replace(self._books.accounts[account], frozen=True)

    def spend(self, account: UUID, amount: int) -> None:
        """Take money out behind everybody's back."""
        found = self._books.accounts[account]
        outside = self._by_code(found.tenant_id, "EXTERNAL:opening", found.currency)
        self._books.accounts[account] = replace(found, debits_posted=found.debits_posted + amount)
        self._books.accounts[outside.id] = replace(
            outside, credits_posted=outside.credits_posted + amount
        )

    def is_balanced(self) -> bool:
        """Whether all debits equal all credits, posted and pending."""
        accounts = self._books.accounts.values()
        return sum(one.credits_posted - one.debits_posted for one in accounts) == 0 and (
            sum(one.credits_pending - one.debits_pending for one in accounts) == 0
        )

    # The RPCs

    async def BatchGetAccounts(
        self, request: ledger_service_pb2.BatchGetAccountsRequest, call: Call
    ) -> ledger_service_pb2.BatchGetAccountsResponse:
        found = [self._books.accounts.get(UUID(one)) for one in request.account_ids]
        return ledger_service_pb2.BatchGetAccountsResponse(
            accounts=[
                _message(one)
                for one in found
                if one is not None and one.tenant_id == request.tenant_id
            ]
        )

    async def FindAccounts(
        self, request: ledger_service_pb2.FindAccountsRequest, call: Call
    ) -> ledger_service_pb2.FindAccountsResponse:
        return ledger_service_pb2.FindAccountsResponse(
            accounts=[
                _message(one)
                for one in self._books.accounts.values()
                if (one.tenant_id, one.owner_id) == (request.tenant_id, request.owner_id)
                and request.currency in ("", one.currency)
            ]
        )

    async def BatchGetTransfers(
        self, request: ledger_service_pb2.BatchGetTransfersRequest, call: Call
    ) -> ledger_service_pb2.BatchGetTransfersResponse:
        found = [self._books.booked.get((request.tenant_id, one)) for one in request.transfer_ids]
        return ledger_service_pb2.BatchGetTransfersResponse(
            transfers=[
                ledger_service_pb2.BookedTransfer(transfer=one.transfer, hold_state=one.hold_state)
                for one in found
                if one is not None
            ]
        )

    async def CreateTransfers(
        self, request: ledger_service_pb2.CreateTransfersRequest, call: Call
    ) -> ledger_service_pb2.CreateTransfersResponse:
        self.calls += 1
        if self.failing:
            raise self.failing.pop(0)
        verdicts = await self.book(request.tenant_id, request.transfers)
        return ledger_service_pb2.CreateTransfersResponse(verdicts=verdicts)

    async def book(
        self, tenant: str, transfers: Iterable[ledger_pb2.Transfer]
    ) -> list[ledger_pb2.Verdict]:
        """Apply steps chain by chain."""
        verdicts: list[ledger_pb2.Verdict] = []
        chain: list[ledger_pb2.Transfer] = []
        for transfer in transfers:
            chain.append(transfer)
            if not transfer.linked:
                verdicts += self._apply(tenant, chain)
                chain = []
        return verdicts

    # How it works

    def _apply(self, tenant: str, chain: Iterable[ledger_pb2.Transfer]) -> list[ledger_pb2.Verdict]:
        before = _Books(dict(self._books.accounts), dict(self._books.booked))
        chain = list(chain)
        verdicts = []
        for transfer in chain:
            verdict = ledger_pb2.Verdict(transfer_id=transfer.id)
            try:
                verdict.result = self._one(tenant, transfer)
            except _Refused as refused:
                self._books = before
                return [
                    ledger_pb2.Verdict(
                        transfer_id=one.id,
                        result=ledger_pb2.Verdict.REFUSED,
                        reason=str(refused) if one is transfer else "CHAIN_REFUSED",
                    )
                    for one in chain
                ]
            verdicts.append(verdict)
        return verdicts

    def _one(self, tenant: str, transfer: ledger_pb2.Transfer) -> Any:
        key = (tenant, transfer.id)
        known = self._books.booked.get(key)
        if known is not None:
            if known.transfer.SerializeToString(deterministic=True) != transfer.SerializeToString(
                deterministic=True
            ):
                raise _Refused("EXISTS_WITH_DIFFERENT_CONTENT")
            return ledger_pb2.Verdict.EXISTS
        is_old = abs(id_time(UUID(transfer.id)).timestamp() - time.time()) > 86_400
        if is_old and not self.takes_old_ids:
            raise _Refused("ID_TIME_OUT_OF_RANGE")
        if transfer.kind in (_Kind.POST, _Kind.HOLD):
            self._begin(tenant, key, transfer)
        else:
            self._end(tenant, key, transfer)
        return ledger_pb2.Verdict.CREATED

    def _begin(self, tenant: str, key: tuple[str, str], transfer: ledger_pb2.Transfer) -> None:
        amount, currency = transfer.amount.minor_units, transfer.amount.currency
        if amount <= 0:
            raise _Refused("AMOUNT_NOT_POSITIVE")
        debit = self._referred(transfer.debit, currency, tenant)
        credit = self._referred(transfer.credit, currency, tenant)
        if debit is None:
            raise _Refused("DEBIT_ACCOUNT_NOT_FOUND")
        if credit is None:
            raise _Refused("CREDIT_ACCOUNT_NOT_FOUND")
        if debit.id == credit.id:
            raise _Refused("ACCOUNTS_SAME")
        if not debit.currency == credit.currency == currency:
            raise _Refused("CURRENCY_MISMATCH")
        if debit.frozen:
            raise _Refused("ACCOUNT_FROZEN")
        if credit.credits_posted + amount > 2**63 - 1:
            raise _Refused("AMOUNT_OVERFLOW")
        if debit.protected and debit.available < amount:
            raise _Refused("INSUFFICIENT_FUNDS")
        is_hold = transfer.kind == _Kind.HOLD
        self._add(debit.id, credit.id, amount, pending=is_hold)
        states = ledger_service_pb2.BookedTransfer
        state = states.HELD if is_hold else states.HOLD_STATE_UNSPECIFIED
        self._books.booked[key] = _Booked(transfer, debit.id, credit.id, amount, state)

    def _end(self, tenant: str, key: tuple[str, str], transfer: ledger_pb2.Transfer) -> None:
        held = self._books.booked.get((tenant, transfer.hold_id))
        states = ledger_service_pb2.BookedTransfer
        if held is None or not held.hold_state:
            raise _Refused("HOLD_NOT_FOUND")
        if held.hold_state == states.POSTED:
            raise _Refused("HOLD_ALREADY_POSTED")
        if held.hold_state == states.VOIDED:
            raise _Refused("HOLD_ALREADY_VOIDED")
        self._add(held.debit_id, held.credit_id, -held.amount, pending=True)
        is_post = transfer.kind == _Kind.POST_HOLD
        if is_post:
            amount = transfer.amount.minor_units or held.amount
            self._add(held.debit_id, held.credit_id, amount, pending=False)
        ended = states.POSTED if is_post else states.VOIDED
        self._books.booked[(tenant, transfer.hold_id)] = replace(held, hold_state=ended)
        self._books.booked[key] = _Booked(transfer, held.debit_id, held.credit_id, held.amount)

    def _add(self, debit_id: UUID, credit_id: UUID, amount: int, *, pending: bool) -> None:
        accounts = self._books.accounts
        debit, credit = accounts[debit_id], accounts[credit_id]
        if pending:
            accounts[debit_id] = replace(debit, debits_pending=debit.debits_pending + amount)
            accounts[credit_id] = replace(credit, credits_pending=credit.credits_pending + amount)
        else:
            accounts[debit_id] = replace(debit, debits_posted=debit.debits_posted + amount)
            accounts[credit_id] = replace(credit, credits_posted=credit.credits_posted + amount)

    def _referred(
        self, reference: ledger_pb2.AccountReference, currency: str, tenant: str
    ) -> _Account | None:
        if reference.WhichOneof("reference") == "code":
            return self._by_code(tenant, reference.code, currency)
        found = self._books.accounts.get(UUID(reference.account_id))
        return found if found is not None and found.tenant_id == tenant else None

    def _find(self, account: UUID | str, currency: str, tenant: str) -> _Account | None:
        if isinstance(account, UUID):
            return self._books.accounts[account]
        return self._by_code(tenant, account, currency)

    def _by_code(self, tenant: str, code: str, currency: str) -> _Account:
        for one in self._books.accounts.values():
            if (one.tenant_id, one.code, one.currency) == (tenant, code, currency):
                return one
        is_system = code.startswith("SYSTEM:")
        kind = ledger_pb2.Account.SYSTEM if is_system else ledger_pb2.Account.EXTERNAL
        made = _Account(_clock.new_id(), tenant, currency, kind, code=code)
        self._books.accounts[made.id] = made
        return made


def _message(one: _Account) -> ledger_pb2.Account:
    return ledger_pb2.Account(
        id=str(one.id),
        tenant_id=one.tenant_id,
        currency=one.currency,
        kind=one.kind,
        owner_id=one.owner_id,
        code=one.code,
        name=one.name,
        debits_posted=one.debits_posted,
        credits_posted=one.credits_posted,
        debits_pending=one.debits_pending,
        credits_pending=one.credits_pending,
        protected=one.protected,
        frozen=one.frozen,
    )


def money(minor_units: int, currency: str = "KES") -> money_pb2.Money:
    """An amount."""
    return money_pb2.Money(currency=currency, minor_units=minor_units)


def transfer_request(
    source: UUID,
    to: UUID | str,
    minor_units: int = 120_050,
    *,
    currency: str = "KES",
    note: str = "rent",
) -> payment_service_pb2.CreateTransferRequest:
    """A transfer to a wallet or to whom an identifier belongs."""
    return payment_service_pb2.CreateTransferRequest(
        source_wallet_id=str(source),
        destination=destination(to),
        amount=money(minor_units, currency),
        note=note,
    )


def destination(to: UUID | str) -> payment_service_pb2.Destination:
    """A wallet or an identifier."""
    if isinstance(to, UUID):
        return payment_service_pb2.Destination(wallet_id=str(to))
    return payment_service_pb2.Destination(identifier=to)


def deposit_request(
    wallet: UUID, minor_units: int = 500_000, *, phone: str = "0712 345 678", currency: str = "KES"
) -> payment_service_pb2.CreateDepositRequest:
    """A deposit by mobile money."""
    return payment_service_pb2.CreateDepositRequest(
        wallet_id=str(wallet),
        amount=money(minor_units, currency),
        mobile_money=payment_service_pb2.MobileMoney(phone=phone),
    )


def withdrawal_request(
    wallet: UUID, minor_units: int = 20_000, *, phone: str = "0712 345 678", currency: str = "KES"
) -> payment_service_pb2.CreateWithdrawalRequest:
    """A withdrawal by mobile money."""
    return payment_service_pb2.CreateWithdrawalRequest(
        wallet_id=str(wallet),
        amount=money(minor_units, currency),
        mobile_money=payment_service_pb2.MobileMoney(phone=phone),
    )

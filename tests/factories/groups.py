"""What tests of groups need: peers that are fakes and honest about money, and requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from hazina.auth.v1 import directory_service_pb2
from hazina.comms.v1 import message_service_pb2
from hazina.groups.v1 import contribution_service_pb2, group_service_pb2, withdrawal_service_pb2
from hazina.groups.v1.group_pb2 import ApprovalPolicy, ContributionSchedule, ExitRule, Role
from hazina.payments.v1 import group_payment_service_pb2
from hazina.payments.v1.transaction_pb2 import Transaction
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2
from services.groups.clients.links import InvitationLinks
from services.groups.domain import Invitation
from services.groups.domain import Role as GroupRole
from services.kit.clock import Clock, derived_id
from services.kit.errors import ServiceError, ServiceUnavailable
from services.kit.identity import Call
from tests.factories.payments import FakeDirectory, FakeLedger, Resident, masked, money

PUBLIC_URL = "http://127.0.0.1:8080"
_clock = Clock()


class AddressedDirectory(FakeDirectory):
    """A directory that also tells verified addresses, as auth does."""

    async def ResolveUser(
        self, request: directory_service_pb2.ResolveUserRequest, call: Call
    ) -> directory_service_pb2.DirectoryEntry:
        found = await super().ResolveUser(request, call)
        return _entry(self.residents[UUID(found.user_id)])

    async def BatchGetUsers(
        self, request: directory_service_pb2.BatchGetUsersRequest, call: Call
    ) -> directory_service_pb2.BatchGetUsersResponse:
        found = await super().BatchGetUsers(request, call)
        return directory_service_pb2.BatchGetUsersResponse(
            users=[_entry(self.residents[UUID(one.user_id)]) for one in found.users]
        )


def _entry(one: Resident) -> directory_service_pb2.DirectoryEntry:
    emails = [text for text in one.identifiers if "@" in text]
    phones = [text for text in one.identifiers if "@" not in text]
    return directory_service_pb2.DirectoryEntry(
        user_id=str(one.user_id),
        display_name=one.name,
        masked_name=masked(one.name),
        email=next(iter(emails), ""),
        phone=next(iter(phones), ""),
        locale="en",
    )


class GroupLedger(FakeLedger):
    """A ledger that also opens wallets, and whose holds can be made to expire."""

    def __init__(self) -> None:
        super().__init__()
        self.expired: set[str] = set()
        self.refuse_next_hold = ""

    async def CreateAccount(
        self, request: ledger_service_pb2.CreateAccountRequest, call: Call
    ) -> ledger_service_pb2.CreateAccountResponse:
        self.calls += 1
        if self.failing:
            raise self.failing.pop(0)
        if UUID(request.account_id) not in self._books.accounts:
            self._put(request)
        return ledger_service_pb2.CreateAccountResponse(
            account=ledger_pb2.Account(id=request.account_id)
        )

    async def CreateTransfers(
        self, request: ledger_service_pb2.CreateTransfersRequest, call: Call
    ) -> ledger_service_pb2.CreateTransfersResponse:
        reason, self.refuse_next_hold = self.refuse_next_hold, ""
        if not reason:
            return await super().CreateTransfers(request, call)
        verdict = ledger_pb2.Verdict(result=ledger_pb2.Verdict.REFUSED, reason=reason)
        return ledger_service_pb2.CreateTransfersResponse(verdicts=[verdict])

    def _put(self, request: ledger_service_pb2.CreateAccountRequest) -> None:
        opened = self.open(
            UUID(request.owner_id),
            currency=request.currency,
            tenant=request.tenant_id,
            kind=request.kind,
            name=request.name,
        )
        account = self._books.accounts.pop(opened)
        wanted = UUID(request.account_id)
        self._books.accounts[wanted] = type(account)(
            wanted,
            account.tenant_id,
            account.currency,
            account.kind,
            account.owner_id,
            name=account.name,
            protected=True,
        )

    def fund(self, wallet: UUID, amount: int, *, tenant: str = "default") -> None:
        """Put money into a wallet from nowhere but `EXTERNAL:opening`."""
        self._post(tenant, str(wallet), amount)

    def _post(self, tenant: str, wallet: str, amount: int) -> None:
        verdicts = self._apply(
            tenant,
            [
                ledger_pb2.Transfer(
                    id=str(_clock.new_id()),
                    kind=ledger_pb2.Transfer.POST,
                    debit=ledger_pb2.AccountReference(code="EXTERNAL:opening"),
                    credit=ledger_pb2.AccountReference(account_id=wallet),
                    amount=money(amount),
                    code="OPENING",
                    transaction_id=str(_clock.new_id()),
                )
            ],
        )
        assert verdicts[0].result == ledger_pb2.Verdict.CREATED, verdicts

    def close(self, wallet: UUID) -> None:
        """As if somebody had no such wallet."""
        del self._books.accounts[wallet]

    def expire(self, hold_id: UUID, *, tenant: str = "default") -> None:
        """Let a hold end by itself."""
        self.expired.add(str(hold_id))
        self._apply(
            tenant,
            [
                ledger_pb2.Transfer(
                    id=str(_clock.new_id()),
                    kind=ledger_pb2.Transfer.VOID_HOLD,
                    hold_id=str(hold_id),
                    code="EXPIRY",
                    transaction_id=str(_clock.new_id()),
                )
            ],
        )

    def apply(self, tenant: str, *steps: ledger_pb2.Transfer) -> str:
        """Book a chain as another service would; answers "" or the reason of the refusal."""
        verdicts = self._apply(tenant, steps)
        reasons = [one.reason for one in verdicts if one.result == ledger_pb2.Verdict.REFUSED]
        reason = next((one for one in reasons if one != "CHAIN_REFUSED"), "")
        if reason == "HOLD_ALREADY_VOIDED" and steps[0].hold_id in self.expired:
            return "HOLD_EXPIRED"
        return reason


class PaymentRefused(ServiceError):
    """What payments refuses with; reason and code are set by the test."""

    domain = "payments.hazina"


def refused(code: str, reason: str) -> type[ServiceError]:
    """A refusal of payments."""
    return type("Refused", (PaymentRefused,), {"code": code, "reason": reason, "__doc__": reason})


_CODES = {
    "INSUFFICIENT_FUNDS": "FAILED_PRECONDITION",
    "HOLD_EXPIRED": "FAILED_PRECONDITION",
    "WALLET_NOT_FOUND": "NOT_FOUND",
}


@dataclass
class FakePayments:
    """`hazina.payments.v1.GroupPaymentService` on the fake ledger. Phones stay PROCESSING until the test says how it ended."""

    ledger: GroupLedger
    refusing: list[type[ServiceError]] = field(default_factory=list)
    silent: int = 0  # so many calls are carried out, and their answers lost
    made: dict[str, Transaction] = field(default_factory=dict)
    calls: list[Any] = field(default_factory=list)

    async def CreateContribution(
        self, request: group_payment_service_pb2.CreateContributionRequest, call: Call
    ) -> group_payment_service_pb2.CreateContributionResponse:
        made = self._carry_out(
            request,
            Transaction.CONTRIBUTION,
            lambda: self._post(request, request.source_wallet_id, request.group_wallet_id),
            outside=request.WhichOneof("source") == "mobile_money",
        )
        return group_payment_service_pb2.CreateContributionResponse(transaction=made)

    async def PreviewGroupPayout(
        self, request: group_payment_service_pb2.PreviewGroupPayoutRequest, call: Call
    ) -> group_payment_service_pb2.PreviewGroupPayoutResponse:
        if self.refusing:
            raise self.refusing.pop(0)
        return group_payment_service_pb2.PreviewGroupPayoutResponse(fee=money(0))

    async def CreateGroupPayout(
        self, request: group_payment_service_pb2.CreateGroupPayoutRequest, call: Call
    ) -> group_payment_service_pb2.CreateGroupPayoutResponse:
        outside = request.WhichOneof("destination") == "mobile_money"
        made = self._carry_out(
            request, Transaction.GROUP_PAYOUT, lambda: self._pay(request, outside), outside=outside
        )
        return group_payment_service_pb2.CreateGroupPayoutResponse(transaction=made)

    def _carry_out(self, request: Any, kind: Any, move: Any, *, outside: bool) -> Transaction:
        self.calls.append(request)
        known = self.made.get(request.transaction_id)
        if known is None:
            if self.refusing:
                raise self.refusing.pop(0)
            reason = "" if outside and kind == Transaction.CONTRIBUTION else move()
            known = Transaction(
                id=request.transaction_id,
                kind=kind,
                state=Transaction.FAILED
                if reason
                else Transaction.PROCESSING
                if outside
                else Transaction.COMPLETED,
                amount=request.amount,
                failure_reason=reason,
            )
            self.made[request.transaction_id] = known
        if self.silent:
            self.silent -= 1
            raise ServiceUnavailable
        if known.state == Transaction.FAILED:
            raise refused(_CODES[known.failure_reason], known.failure_reason)
        return known

    def _post(self, request: Any, debit: str, credit: str) -> str:
        step = ledger_pb2.Transfer(
            id=str(derived_id(UUID(request.transaction_id), "post")),
            kind=ledger_pb2.Transfer.POST,
            debit=ledger_pb2.AccountReference(account_id=debit),
            credit=ledger_pb2.AccountReference(account_id=credit),
            amount=request.amount,
            code="CONTRIBUTION",
            transaction_id=request.transaction_id,
        )
        reason = self.ledger.apply(request.tenant_id, step)
        return "WALLET_NOT_FOUND" if reason == "DEBIT_ACCOUNT_NOT_FOUND" else reason

    def _pay(self, request: Any, outside: bool) -> str:
        step = ledger_pb2.Transfer(
            id=str(derived_id(UUID(request.transaction_id), "post")),
            kind=ledger_pb2.Transfer.VOID_HOLD if outside else ledger_pb2.Transfer.POST_HOLD,
            hold_id=request.hold_id,
            code="GROUP_PAYOUT",
            transaction_id=request.transaction_id,
        )
        reason = self.ledger.apply(request.tenant_id, step)
        return "HOLD_EXPIRED" if reason.startswith("HOLD") else reason


class FakeMessages:
    """`hazina.comms.v1.MessageService` that remembers what it was asked to send."""

    def __init__(self) -> None:
        self.sent: dict[str, message_service_pb2.SendMessageRequest] = {}

    async def SendMessage(
        self, request: message_service_pb2.SendMessageRequest, call: Call
    ) -> message_service_pb2.SendMessageResponse:
        known = request.message_id in self.sent
        self.sent[request.message_id] = request
        return message_service_pb2.SendMessageResponse(already_sent=known)


# --- requests ---------------------------------------------------------------------------------------------------------


def group_request(name: str = "Umoja", **fields: Any) -> group_service_pb2.CreateGroupRequest:
    """A group in shillings."""
    return group_service_pb2.CreateGroupRequest(
        name=name, **{"description": "For school fees", "currency": "KES", **fields}
    )


def quorum(needed: int) -> ApprovalPolicy:
    """So many of the owners and admins."""
    return ApprovalPolicy(kind=ApprovalPolicy.QUORUM, approvals_needed=needed)


def weekly(amount: int, due_day: int = 1, *, currency: str = "KES") -> ContributionSchedule:
    """So much each week."""
    return ContributionSchedule(
        amount=money(amount, currency), period=ContributionSchedule.WEEKLY, due_day=due_day
    )


def from_wallet(
    group_id: str, wallet: UUID | str, amount: int = 10_000, *, currency: str = "KES"
) -> contribution_service_pb2.CreateContributionRequest:
    """A contribution from a wallet."""
    return contribution_service_pb2.CreateContributionRequest(
        group_id=group_id, amount=money(amount, currency), source_wallet_id=str(wallet)
    )


def by_phone(
    group_id: str, amount: int = 10_000, phone: str = "0712 345 678"
) -> contribution_service_pb2.CreateContributionRequest:
    """A contribution that a phone is asked for."""
    return contribution_service_pb2.CreateContributionRequest(
        group_id=group_id,
        amount=money(amount),
        mobile_money=contribution_service_pb2.ContributionMobileMoney(phone=phone),
    )


def in_cash(
    group_id: str, amount: int = 10_000, user_id: UUID | str = ""
) -> contribution_service_pb2.CreateContributionRequest:
    """Cash of somebody."""
    return contribution_service_pb2.CreateContributionRequest(
        group_id=group_id,
        amount=money(amount),
        cash=contribution_service_pb2.ContributionCash(user_id=str(user_id)),
    )


def payout(
    group_id: str, to: UUID | str, amount: int = 10_000, *, phone: str = "", currency: str = "KES"
) -> withdrawal_service_pb2.CreateWithdrawalRequest:
    """A payout to a wallet, to whom an identifier belongs, or to a phone."""
    target = withdrawal_service_pb2.WithdrawalDestination()
    if phone:
        target.mobile_money.phone = phone
    elif isinstance(to, UUID):
        target.wallet_id = str(to)
    else:
        target.identifier = to
    return withdrawal_service_pb2.CreateWithdrawalRequest(
        group_id=group_id, amount=money(amount, currency), destination=target, reason="Roof"
    )


ROLES = {name: Role.Kind.Value(name) for name in ("ADMIN", "TREASURER", "SECRETARY", "MEMBER")}
FORFEIT = ExitRule.FORFEIT


def link_token(secret: bytes, tenant_id: str, invitation_id: UUID, expire_time: datetime) -> str:
    """The token in the link of an invitation."""
    nobody = UUID(int=0)
    invitation = Invitation(
        tenant_id, invitation_id, nobody, "", GroupRole.MEMBER, nobody, "", expire_time, expire_time
    )
    link = InvitationLinks(secret, public_url=PUBLIC_URL).link(invitation)
    return unquote(link.partition("token=")[2])

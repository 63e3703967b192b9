"""The ledger, by `hazina.wallet.v1.LedgerService`. Ids make repeating harmless; nothing is retried here."""

from collections.abc import Sequence
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from hazina.type.v1 import money_pb2
from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, ledger_service_pb2_grpc
from services.groups.domain import Contribution, Group, Wallet, Withdrawal
from services.kit.channels import Channels
from services.kit.clock import derived_id

__all__ = ["LedgerClient"]

_TIMEOUT_SECONDS = 2.5
_WALLET_KINDS = {ledger_pb2.Account.USER, ledger_pb2.Account.GROUP}
_OUTSIDE = "EXTERNAL:mobile_money"  # payments decides later by which rail it leaves
_CASH_IN_HAND = "EXTERNAL:cash"
_Transfer = ledger_pb2.Transfer


class LedgerClient:
    """Opens group wallets, holds for withdrawals, books cash."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(ledger_service_pb2_grpc.LedgerServiceStub)

    async def open_wallet(self, group: Group) -> None:
        """Make the group's wallet; repeating it is harmless."""
        await self._stub.CreateAccount(
            ledger_service_pb2.CreateAccountRequest(
                tenant_id=group.tenant_id,
                account_id=str(group.wallet_id),
                kind=ledger_pb2.Account.GROUP,
                owner_id=str(group.id),
                currency=group.currency,
                name=group.name,
            ),
            timeout=_TIMEOUT_SECONDS,
        )

    async def wallets(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Wallet]:
        """Wallets of people and groups by id; unknown ones are left out."""
        answer = await self._stub.BatchGetAccounts(
            ledger_service_pb2.BatchGetAccountsRequest(
                tenant_id=tenant_id, account_ids=[str(one) for one in ids]
            )
        )
        found = [_wallet(one) for one in answer.accounts if one.kind in _WALLET_KINDS]
        return {one.id: one for one in found}

    async def find_wallet(self, tenant_id: str, owner_id: UUID, currency: str) -> Wallet | None:
        """The wallet of a person in a currency."""
        answer = await self._stub.FindAccounts(
            ledger_service_pb2.FindAccountsRequest(
                tenant_id=tenant_id, owner_id=str(owner_id), currency=currency
            )
        )
        return next(
            (_wallet(one) for one in answer.accounts if one.kind == ledger_pb2.Account.USER), None
        )

    async def hold(self, group: Group, withdrawal: Withdrawal) -> str:
        """Reserve the money of a withdrawal until it expires. Answers "" or the reason of the refusal."""
        target = withdrawal.destination.wallet_id
        credit = ledger_pb2.AccountReference(code=_OUTSIDE)
        if target is not None:
            credit = ledger_pb2.AccountReference(account_id=str(target))
        expire_time = Timestamp()
        expire_time.FromDatetime(withdrawal.expire_time)
        step = _Transfer(
            id=str(withdrawal.hold_id),
            kind=_Transfer.HOLD,
            debit=ledger_pb2.AccountReference(account_id=str(group.wallet_id)),
            credit=credit,
            amount=_money(withdrawal),
            expire_time=expire_time,
            code="GROUP_PAYOUT",
            transaction_id=str(withdrawal.id),
        )
        return await self._apply(withdrawal.tenant_id, f"user:{withdrawal.requester_id}", step)

    async def free(self, withdrawal: Withdrawal) -> str:
        """Release it. Answers "" or the reason of the refusal."""
        step = _Transfer(
            id=str(derived_id(withdrawal.id, "group_free")),
            kind=_Transfer.VOID_HOLD,
            hold_id=str(withdrawal.hold_id),
            code="GROUP_PAYOUT",
            transaction_id=str(withdrawal.id),
        )
        return await self._apply(withdrawal.tenant_id, "service:groups", step)

    async def book_cash(self, group: Group, contribution: Contribution) -> str:
        """Book confirmed cash to the group's cash account. Answers "" or the reason of the refusal."""
        step = _Transfer(
            id=str(contribution.booking_id),
            kind=_Transfer.POST,
            debit=ledger_pb2.AccountReference(code=_CASH_IN_HAND),
            credit=ledger_pb2.AccountReference(code=group.cash_account),
            amount=_money(contribution),
            code="CONTRIBUTION",
            transaction_id=str(contribution.id),
        )
        actor = f"user:{contribution.confirmer_id}"
        return await self._apply(contribution.tenant_id, actor, step)

    async def _apply(self, tenant_id: str, actor: str, step: ledger_pb2.Transfer) -> str:
        answer = await self._stub.CreateTransfers(
            ledger_service_pb2.CreateTransfersRequest(
                tenant_id=tenant_id, actor=actor, transfers=[step]
            ),
            timeout=_TIMEOUT_SECONDS,
        )
        [verdict] = answer.verdicts
        is_refused = verdict.result == ledger_pb2.Verdict.REFUSED
        return verdict.reason if is_refused else ""


def _money(of: Withdrawal | Contribution) -> money_pb2.Money:
    return money_pb2.Money(currency=of.currency, minor_units=of.amount_minor)


def _wallet(account: ledger_pb2.Account) -> Wallet:
    return Wallet(
        id=UUID(account.id),
        owner_id=UUID(account.owner_id),
        currency=account.currency,
        is_group=account.kind == ledger_pb2.Account.GROUP,
        available_minor=account.credits_posted - account.debits_posted - account.debits_pending,
    )

"""The ledger, by `hazina.wallet.v1.LedgerService`. No write is retried here: ids make repeating the step harmless."""

from collections.abc import Sequence
from uuid import UUID

from hazina.wallet.v1 import ledger_pb2, ledger_service_pb2, ledger_service_pb2_grpc
from services.kit.channels import Channels
from services.payments.domain import Booked, Entry, EntryKind, Transaction, Wallet

__all__ = ["LedgerClient"]

_TIMEOUT_SECONDS = 2.5  # well within the lease of a PENDING transaction
_WALLET_KINDS = {ledger_pb2.Account.USER, ledger_pb2.Account.GROUP}
_REFERENCE_LENGTH_MAX = 140
_Verdict = ledger_pb2.Verdict


class LedgerClient:
    """Makes entries and reads wallets."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(ledger_service_pb2_grpc.LedgerServiceStub)

    async def apply(self, transaction: Transaction, entries: Sequence[Entry], *, actor: str) -> str:
        """Make entries as one chain. Answers "" or the reason of the first refusal that is not another's fault."""
        assert entries, "a step has entries"
        last = len(entries) - 1
        answer = await self._stub.CreateTransfers(
            ledger_service_pb2.CreateTransfersRequest(
                tenant_id=transaction.tenant_id,
                actor=actor,
                transfers=[
                    _transfer(transaction, entry, linked=place < last)
                    for place, entry in enumerate(entries)
                ],
            ),
            timeout=_TIMEOUT_SECONDS,
        )
        reasons = [one.reason for one in answer.verdicts if one.result == _Verdict.REFUSED]
        causes = [reason for reason in reasons if reason != "CHAIN_REFUSED"]
        return next(iter(causes or reasons), "")

    async def wallets(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Wallet]:
        """Wallets of people and groups by id; system and external accounts are none."""
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

    async def booked(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Booked]:
        """Which of these entries exist."""
        answer = await self._stub.BatchGetTransfers(
            ledger_service_pb2.BatchGetTransfersRequest(
                tenant_id=tenant_id, transfer_ids=[str(one) for one in ids]
            )
        )
        return {
            UUID(one.transfer.id): Booked(
                one.transfer.amount.minor_units,
                one.hold_state == ledger_service_pb2.BookedTransfer.HELD,
            )
            for one in answer.transfers
        }


def _transfer(transaction: Transaction, entry: Entry, *, linked: bool) -> ledger_pb2.Transfer:
    message = ledger_pb2.Transfer(
        id=str(entry.id),
        kind=ledger_pb2.Transfer.Kind.Value(entry.kind),
        hold_id="" if entry.hold_id is None else str(entry.hold_id),
        linked=linked,
        code=entry.code,
        transaction_id=str(transaction.id),
        reference=transaction.provider_receipt[:_REFERENCE_LENGTH_MAX],
    )
    if entry.kind in (EntryKind.POST, EntryKind.HOLD):
        message.debit.CopyFrom(_reference(entry.debit))
        message.credit.CopyFrom(_reference(entry.credit))
    if entry.kind is not EntryKind.VOID_HOLD:
        message.amount.currency = transaction.currency
        message.amount.minor_units = entry.amount_minor
    return message


def _reference(account: UUID | str) -> ledger_pb2.AccountReference:
    if isinstance(account, UUID):
        return ledger_pb2.AccountReference(account_id=str(account))
    return ledger_pb2.AccountReference(code=account)


def _wallet(account: ledger_pb2.Account) -> Wallet:
    return Wallet(
        id=UUID(account.id),
        owner_id=UUID(account.owner_id),
        currency=account.currency,
        name=account.name,
        is_group=account.kind == ledger_pb2.Account.GROUP,
        frozen=account.frozen,
        available_minor=account.credits_posted - account.debits_posted - account.debits_pending,
    )

"""The RPCs: parse, call one operation, render. Who may call is decided by the wrapper, from the policy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from hazina.wallet.v1 import ledger_service_pb2 as ledger_pb
from hazina.wallet.v1 import wallet_pb2, wallet_service_pb2
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.identity import Call, User
from services.kit.pages import Pages
from services.wallet import convert
from services.wallet.domain import Account
from services.wallet.operations import accounts, wallets
from services.wallet.operations.posting import Ledger
from services.wallet.operations.watching import Watcher


class Sessions(Protocol):
    """Asks whether a session still stands. Raises SessionEnded."""

    async def check(self, user: User) -> None: ...


@dataclass(frozen=True, slots=True)
class LedgerService:
    """The ledger, for other services and operators."""

    database: Database
    ledger: Ledger

    async def CreateAccount(
        self, request: ledger_pb.CreateAccountRequest, call: Call
    ) -> ledger_pb.CreateAccountResponse:
        asked = convert.new_account(request)
        account = await accounts.create_account(self.database, call.tenant_id, asked)
        return ledger_pb.CreateAccountResponse(
            account=convert.tenant_account(call.tenant_id, account)
        )

    async def BatchGetAccounts(
        self, request: ledger_pb.BatchGetAccountsRequest, call: Call
    ) -> ledger_pb.BatchGetAccountsResponse:
        ids = [UUID(one) for one in request.account_ids]
        found = await accounts.batch_get_accounts(self.database, call.tenant_id, ids)
        return ledger_pb.BatchGetAccountsResponse(accounts=convert.accounts(call.tenant_id, found))

    async def FindAccounts(
        self, request: ledger_pb.FindAccountsRequest, call: Call
    ) -> ledger_pb.FindAccountsResponse:
        found = await accounts.find_accounts(
            self.database, call.tenant_id, UUID(request.owner_id), request.currency or None
        )
        return ledger_pb.FindAccountsResponse(accounts=convert.accounts(call.tenant_id, found))

    async def CreateTransfers(
        self, request: ledger_pb.CreateTransfersRequest, call: Call
    ) -> ledger_pb.CreateTransfersResponse:
        verdicts = await self.ledger.post(
            call.tenant_id,
            request.actor,
            convert.steps(request),
            remaining_seconds=call.remaining_seconds,
        )
        return ledger_pb.CreateTransfersResponse(
            verdicts=[convert.verdict(call.tenant_id, one) for one in verdicts]
        )

    async def BatchGetTransfers(
        self, request: ledger_pb.BatchGetTransfersRequest, call: Call
    ) -> ledger_pb.BatchGetTransfersResponse:
        ids = [UUID(one) for one in request.transfer_ids]
        found = await accounts.batch_get_transfers(self.database, call.tenant_id, ids)
        return ledger_pb.BatchGetTransfersResponse(
            transfers=[convert.booked_transfer(one) for one in found]
        )

    async def GetTrialBalance(
        self, request: ledger_pb.GetTrialBalanceRequest, call: Call
    ) -> ledger_pb.TrialBalance:
        balance = await accounts.get_trial_balance(self.database, call.tenant_id)
        return convert.trial_balance(balance)

    async def FreezeAccount(
        self, request: ledger_pb.FreezeAccountRequest, call: Call
    ) -> ledger_pb.FreezeAccountResponse:
        account = await accounts.freeze_account(
            self.database,
            call.tenant_id,
            UUID(request.account_id),
            frozen=True,
            note=request.note,
            actor=call.actor,
        )
        return ledger_pb.FreezeAccountResponse(
            account=convert.tenant_account(call.tenant_id, account)
        )

    async def UnfreezeAccount(
        self, request: ledger_pb.UnfreezeAccountRequest, call: Call
    ) -> ledger_pb.UnfreezeAccountResponse:
        account = await accounts.freeze_account(
            self.database,
            call.tenant_id,
            UUID(request.account_id),
            frozen=False,
            note=request.note,
            actor=call.actor,
        )
        return ledger_pb.UnfreezeAccountResponse(
            account=convert.tenant_account(call.tenant_id, account)
        )

    async def ClosePeriod(
        self, request: ledger_pb.ClosePeriodRequest, call: Call
    ) -> ledger_pb.ClosePeriodResponse:
        end = convert.moment(request.end_time, "endTime")
        closed = await accounts.close_period(self.database, call.tenant_id, end, call.actor)
        return convert.closed_period(closed)


@dataclass(frozen=True, slots=True)
class WalletService:
    """A person's own wallets."""

    database: Database
    pages: Pages
    watcher: Watcher
    sessions: Sessions
    clock: Clock

    async def ListWallets(
        self, request: wallet_service_pb2.ListWalletsRequest, call: Call
    ) -> wallet_service_pb2.ListWalletsResponse:
        position = self.pages.open(call, {}, request.page_token)
        found, after = await wallets.list_wallets(
            self.database,
            call.tenant_id,
            call.signed_in.id,
            after=position["after"] if position else 0,
            size=self.pages.size(request.page_size),
            now=self.clock.now(),
        )
        token = "" if after is None else self.pages.seal(call, {}, {"after": after})
        return wallet_service_pb2.ListWalletsResponse(
            wallets=[convert.wallet(one) for one in found], next_page_token=token
        )

    async def GetWallet(
        self, request: wallet_service_pb2.GetWalletRequest, call: Call
    ) -> wallet_pb2.Wallet:
        wallet = await wallets.get_wallet(
            self.database, call.tenant_id, call.signed_in.id, UUID(request.wallet_id)
        )
        return convert.wallet(wallet)

    async def ListEntries(
        self, request: wallet_service_pb2.ListEntriesRequest, call: Call
    ) -> wallet_service_pb2.ListEntriesResponse:
        wallet_id = UUID(request.wallet_id)
        filters = {"wallet_id": str(wallet_id)}
        position = self.pages.open(call, filters, request.page_token)
        found, before = await wallets.list_entries(
            self.database,
            call.tenant_id,
            call.signed_in.id,
            wallet_id,
            before=position["before"] if position else None,
            size=self.pages.size(request.page_size),
        )
        token = "" if before is None else self.pages.seal(call, filters, {"before": before})
        return wallet_service_pb2.ListEntriesResponse(
            entries=[convert.entry(one) for one in found], next_page_token=token
        )

    async def WatchWallet(
        self, request: wallet_service_pb2.WatchWalletRequest, call: Call
    ) -> AsyncIterator[wallet_service_pb2.WatchWalletResponse]:
        user = call.signed_in
        cursor = request.cursor
        async for one in self.watcher.watch(
            call.tenant_id,
            user.id,
            UUID(request.wallet_id),
            seen_version=convert.seen_version(cursor),
            expire_time=user.expire_time,
            standing=lambda: self.sessions.check(user),
        ):
            if isinstance(one, Account):
                cursor = str(one.version)
            yield convert.watched(one, cursor)

"""The ledger as the operator sees it: the last word on whether money was lost or made."""

from __future__ import annotations

from collections.abc import Mapping

from hazina.wallet.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from hazina.wallet.v1.ledger_pb2 import Account
from tests.e2e.mesh import Mesh


def trial_balance(mesh: Mesh, tenant: str = "default") -> Mapping[str, Mapping[str, int]]:
    """Credits minus debits of each kind and code, by currency; wallets stand under `USER` and `GROUP`.

    Fails when the books of any currency do not sum to zero, or a balance is not the sum of its entries.
    """
    with mesh.mesh_channel("ops") as channel:
        books = ledger_service_pb2_grpc.LedgerServiceStub(channel).GetTrialBalance(
            ledger_service_pb2.GetTrialBalanceRequest(tenant_id=tenant), timeout=30
        )
    for currency in books.currencies:
        assert currency.net == 0, f"{currency.currency} sums to {currency.net}: {currency}"
        assert currency.debits_posted == currency.credits_posted, f"{currency}"
        assert currency.consistent, f"balances are not the sums of their entries: {currency}"
    return {
        currency.currency: {
            line.code or Account.Kind.Name(line.kind): line.credits_posted - line.debits_posted
            for line in currency.lines
        }
        for currency in books.currencies
    }


def held(mesh: Mesh, tenant: str = "default") -> int:
    """Held debits of all KES accounts, in minor units."""
    with mesh.mesh_channel("ops") as channel:
        books = ledger_service_pb2_grpc.LedgerServiceStub(channel).GetTrialBalance(
            ledger_service_pb2.GetTrialBalanceRequest(tenant_id=tenant), timeout=30
        )
    return sum(
        line.debits_pending
        for currency in books.currencies
        if currency.currency == "KES"
        for line in currency.lines
    )

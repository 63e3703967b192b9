"""Which RPCs the fast suite asks about; the others wait for `make test-all`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.matrix.contracts import Rpc

# Where a mistake costs most, and one of each shape: stream, raw body, repeated messages, mask, public, mesh only.
_ALWAYS = {
    "auth.AuthService.Login", "auth.UserService.UpdateMe", "comms.MessageService.SendMessage",
    "groups.GroupService.CreateGroup", "payments.HookService.ReceiveCallback", "payments.PaymentService.CreateDeposit",
    "payments.PaymentService.CreateTransfer", "payments.PaymentService.CreateWithdrawal",
    "payments.PaymentService.ListTransactions", "payments.ReviewService.ConfirmReview",
    "wallet.LedgerService.CreateTransfers", "wallet.LedgerService.GetTrialBalance", "wallet.WalletService.ListEntries",
    "wallet.WalletService.WatchWallet",
}  # fmt: skip
_EVERY = 16


def sampled(rpcs: Sequence[Rpc]) -> list[Any]:
    """The same RPCs as test parameters, those outside the sample marked slow."""
    return [
        rpc
        if rpc.label in _ALWAYS or number % _EVERY == 0
        else pytest.param(rpc, marks=pytest.mark.slow)
        for number, rpc in enumerate(rpcs)
    ]

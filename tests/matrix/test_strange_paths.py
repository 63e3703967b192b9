"""Paths that only look like an RPC reach none, whoever sends them."""

from __future__ import annotations

import grpc
import pytest

from tests.e2e.wire import refusal_of
from tests.matrix.callers import Doors

_RPC = "/hazina.wallet.v1.LedgerService/GetTrialBalance"
_STRANGE = [
    "/hazina.wallet.v1.LedgerService/GetTrialBalance/",
    "/hazina.wallet.v1.LedgerService//GetTrialBalance",
    "//hazina.wallet.v1.LedgerService/GetTrialBalance",
    "/hazina.wallet.v1.ledgerservice/gettrialbalance",
    "/hazina.wallet.v1.LedgerService/%47etTrialBalance",
    "/hazina.wallet.v1.LedgerService/GetTrialBalance?x=1",
    "/hazina.wallet.v1.WalletService/../LedgerService/GetTrialBalance",
    "/hazina.wallet.v1.LedgerService/NoSuchRpc",
    "/hazina.nobody.v1.NoService/NoRpc",
]
_REFUSALS = {
    "PERMISSION_DENIED",
    "UNIMPLEMENTED",
    "NOT_FOUND",
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
}


@pytest.mark.parametrize("door", ["edge", "mesh:comms", "wallet:comms"])
@pytest.mark.parametrize("path", _STRANGE)
def test_a_path_that_is_no_rpc_is_refused(doors: Doors, door: str, path: str) -> None:
    request = b"\x0a\x07default"
    headers = (("authorization", f"Bearer {doors.person.access_token}"),) if door == "edge" else ()

    with pytest.raises(grpc.RpcError) as refused:
        doors.channel(door).unary_unary(path)(request, metadata=headers, timeout=10)  # type: ignore[arg-type]

    assert refusal_of(refused.value).code in _REFUSALS

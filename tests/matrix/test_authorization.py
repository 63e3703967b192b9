"""Who may call what: every RPC, through every door, as everybody, against the reviewed table of verdicts.

The table (`gen/matrix/authorization.json`) is written by the contract compiler; that it says what the policies say is
tested in test_verdicts.py, by a second reading of the contracts.
"""

from __future__ import annotations

import pytest

from tests.e2e.wire import Metadata, Refusal
from tests.matrix.callers import Doors
from tests.matrix.contracts import Rpc, rpcs
from tests.matrix.samples import good
from tests.matrix.sampling import sampled
from tests.matrix.tokens import Tokens
from tests.matrix.transcoding import http_call
from tests.matrix.verdicts import ALLOWED, Verdict, table

_ALL = list(rpcs())
_EDGE = [rpc for rpc in _ALL if rpc.access != "SERVICE"]
_USER = [rpc for rpc in _ALL if rpc.access == "USER"]

# Refusals that say who may call. Any other refusal, and any success, means that the caller was let in.
_DOOR_REASONS = {
    "CREDENTIALS_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_ENDED", "API_KEY_INVALID", "PERMISSION_MISSING",
    "CALLER_NOT_ALLOWED", "ACCESS_DENIED", "TENANT_NOT_FOUND", "ROUTE_NOT_FOUND", "STEP_UP_REQUIRED",
    "KYC_TIER_TOO_LOW",
}  # fmt: skip


def _id(rpc: Rpc) -> str:
    return rpc.label


@pytest.fixture(scope="module")
def tokens(doors: Doors) -> Tokens:
    """Tokens of every kind that the table knows, of one person with a session that stands."""
    return Tokens(doors.mesh, doors.person.access_token, tenant=doors.tenant)


@pytest.mark.parametrize("rpc", sampled(_ALL), ids=_id)
def test_over_grpc_everybody_is_let_in_or_refused_as_the_table_says(
    doors: Doors, tokens: Tokens, rpc: Rpc
) -> None:
    wrong: list[str] = []
    for caller, expected in table()[rpc.path].items():
        door, metadata = _door(tokens, rpc, caller)
        refusal = doors.grpc(rpc, good(rpc.request), door=door, metadata=metadata)
        if rpc.access == "SERVICE" and refusal is not None and refusal.reason == "TENANT_NOT_FOUND":
            refusal = None  # the tenant is a field of the message: who hears that was let in
        wrong += _compare(caller, expected, refusal)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_EDGE), ids=_id)
def test_over_json_everybody_is_let_in_or_refused_as_the_table_says(
    doors: Doors, tokens: Tokens, rpc: Rpc
) -> None:
    call = http_call(rpc, good(rpc.request))
    assert call is not None, "the sample has an empty path field"
    wrong: list[str] = []
    for caller, expected in table()[rpc.path].items():
        if caller.startswith("edge."):
            headers = {name: str(value) for name, value in _edge_metadata(tokens, caller)}
            wrong += _compare(caller, expected, doors.json(rpc, call, headers=headers))

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_USER), ids=_id)
def test_a_token_that_is_not_good_opens_nothing(doors: Doors, tokens: Tokens, rpc: Rpc) -> None:
    call = http_call(rpc, good(rpc.request))
    assert call is not None, "the sample has an empty path field"
    wrong: list[str] = []
    for name, token in tokens.bad.items():
        expected = Verdict("UNAUTHENTICATED", "TOKEN_INVALID")
        headers = (("x-tenant-id", tokens.tenant), ("authorization", f"Bearer {token}"))
        refusal = doors.grpc(rpc, good(rpc.request), door="edge", metadata=headers)
        wrong += _compare(f"gRPC, {name}", expected, refusal)
        wrong += _compare(f"JSON, {name}", expected, doors.json(rpc, call, headers=dict(headers)))

    assert not wrong, "\n".join(wrong)


def _door(tokens: Tokens, rpc: Rpc, caller: str) -> tuple[str, Metadata]:
    """Door and metadata of a caller of the table."""
    where, _, who = caller.partition(".")
    if where == "edge":
        return "edge", _edge_metadata(tokens, caller)
    if where == "mesh":
        return f"mesh:{who}", ()
    # Past Envoy nobody folds the tenant, and whoever lies about the caller gets nowhere.
    headers: Metadata = (
        ("x-hazina-tenant", tokens.tenant),
        ("x-hazina-caller", "spiffe://hazina/ops"),
    )
    if rpc.access == "USER":
        headers = (*headers, ("authorization", f"Bearer {tokens.of('edge.admin')}"))
    return f"{rpc.service}:{who}", headers


def _edge_metadata(tokens: Tokens, caller: str) -> Metadata:
    token = tokens.of(caller)
    tenant = "default" if caller == "edge.other_tenant" else tokens.tenant
    headers: Metadata = (("x-tenant-id", tenant),)
    return headers if token is None else (*headers, ("authorization", f"Bearer {token}"))


def _compare(caller: str, expected: Verdict, refusal: Refusal | None) -> list[str]:
    seen = (
        ALLOWED
        if refusal is None or refusal.reason not in _DOOR_REASONS
        else Verdict(refusal.code, refusal.reason)
    )
    return (
        [] if seen == expected else [f"{caller}: {refusal or 'let in'}, the table says {expected}"]
    )

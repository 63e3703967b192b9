"""Who must get in and who must not: the expected verdict of each RPC for each kind of caller.

A test calls every RPC as every kind of caller and compares. `ALLOWED` means that the call gets as far as validation;
what happens then is not this table's business. A kind that is not listed for an RPC has no verdict there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from mesh.contract.model import OPERATOR, Access, Contract, Rpc

ALLOWED = "ALLOWED"

Verdict = str | dict[str, str]


def matrix(contract: Contract) -> str:
    """The table as JSON."""
    content = {
        "about": "Expected verdicts of authorization, written by `make gen` from the contracts.",
        "callers": dict(_callers(contract)),
        "rpcs": {
            rpc.path: {
                "access": rpc.rules.access.name,
                "owner": rpc.owner,
                "stream": rpc.server_streaming,
                "development_only": rpc.rules.development_only,
                "verdicts": dict(_verdicts(contract, rpc)),
            }
            for rpc in contract.rpcs
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def roles(contract: Contract) -> tuple[str, ...]:
    """Roles that a tenant begins with, in the order of the contract."""
    found: dict[str, None] = {}
    for permission in contract.permissions.values():
        found |= dict.fromkeys(permission.roles)
    return tuple(found)


def _callers(contract: Contract) -> Iterator[tuple[str, str]]:
    yield "edge.anonymous", "through the edge without credentials"
    yield "edge.token_invalid", "through the edge with a token that somebody else signed"
    yield "edge.token_expired", "through the edge with a token whose life is over"
    yield "edge.token_other_audience", "through the edge with a token for another audience"
    full = "a fresh second factor and the highest KYC tier"
    for role in roles(contract):
        yield f"edge.{role}", f"through the edge, signed in with the role {role}, {full}"
    yield "edge.no_role", f"through the edge, a member of the tenant without any role, {full}"
    yield "edge.other_tenant", "through the edge, every role, naming a tenant they do not belong to"
    yield (
        "edge.no_second_factor",
        "through the edge, every role, no second factor, highest KYC tier",
    )
    yield "edge.lowest_tier", "through the edge, every role, a fresh second factor, KYC tier 0"
    for name in (*contract.owners, OPERATOR):
        yield f"mesh.{name}", f"through the mesh listener with the certificate of {name}"
    for name in (*contract.owners, OPERATOR, "edge"):
        yield (
            f"direct.{name}",
            f"straight to the service with the certificate of {name}, every role where a token is needed",
        )


def _verdicts(contract: Contract, rpc: Rpc) -> Iterator[tuple[str, Verdict]]:
    for caller in (
        "anonymous",
        "token_invalid",
        "token_expired",
        "token_other_audience",
        *roles(contract),
        "no_role",
        "other_tenant",
        "no_second_factor",
        "lowest_tier",
    ):
        verdict = _at_edge(contract, rpc, caller)
        if verdict is not None:
            yield f"edge.{caller}", verdict
    for name in (*contract.owners, OPERATOR):
        is_named = name in rpc.rules.callers
        yield f"mesh.{name}", ALLOWED if is_named else _no("PERMISSION_DENIED", "ACCESS_DENIED")
    for name in (*contract.owners, OPERATOR):
        if name == rpc.owner:
            continue
        is_named = name in rpc.rules.callers
        refused = _no("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
        yield f"direct.{name}", ALLOWED if is_named else refused
    is_public = rpc.rules.access is not Access.SERVICE
    yield "direct.edge", ALLOWED if is_public else _no("PERMISSION_DENIED", "ACCESS_DENIED")


def _at_edge(contract: Contract, rpc: Rpc, caller: str) -> Verdict | None:
    policy = rpc.rules
    if policy.access is Access.SERVICE:
        return _no("PERMISSION_DENIED", "ACCESS_DENIED")
    if policy.access is Access.PUBLIC:
        return ALLOWED if caller != "other_tenant" else None
    match caller:
        case "anonymous":
            return _no("UNAUTHENTICATED", "CREDENTIALS_MISSING")
        case "token_invalid":
            return _no("UNAUTHENTICATED", "TOKEN_INVALID")
        case "token_expired":
            return _no("UNAUTHENTICATED", "TOKEN_EXPIRED")
        case "token_other_audience":
            return _no("PERMISSION_DENIED", "ACCESS_DENIED")
        case "other_tenant":
            return _no("NOT_FOUND", "TENANT_NOT_FOUND")
        case "no_second_factor":
            return _no("PERMISSION_DENIED", "STEP_UP_REQUIRED") if policy.step_up else ALLOWED
        case "lowest_tier":
            is_low = policy.min_kyc_tier > 0
            return _no("PERMISSION_DENIED", "KYC_TIER_TOO_LOW") if is_low else ALLOWED
        case "no_role":
            held: set[str] = set()
        case role:
            held = {name for name, p in contract.permissions.items() if role in p.roles}
    if set(policy.permissions) <= held:
        return ALLOWED
    return _no("PERMISSION_DENIED", "PERMISSION_MISSING")


def _no(code: str, reason: str) -> Verdict:
    return {"code": code, "reason": reason}

"""The reviewed table of verdicts, and the same verdicts derived from the policies by the rules of the design."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import NamedTuple

from tests.matrix.contracts import ROOT, Rpc, role_permissions

PATH = ROOT / "gen" / "matrix" / "authorization.json"


class Verdict(NamedTuple):
    """Let in (`OK`), or refused with a code and a reason."""

    code: str
    reason: str = ""


ALLOWED = Verdict("OK")


@functools.cache
def table() -> Mapping[str, Mapping[str, Verdict]]:
    """Verdicts by RPC path and caller."""
    document = json.loads(PATH.read_text())
    return {
        path: {
            caller: ALLOWED if verdict == "ALLOWED" else Verdict(verdict["code"], verdict["reason"])
            for caller, verdict in rpc["verdicts"].items()
        }
        for path, rpc in document["rpcs"].items()
    }


def derive(rpc: Rpc, caller: str) -> Verdict:
    """What the policy of an RPC means for a caller of the table."""
    where, _, who = caller.partition(".")
    if where == "edge":
        return _at_the_edge(rpc, who)
    if where == "mesh":
        named = who in rpc.policy.callers
        return ALLOWED if named else Verdict("PERMISSION_DENIED", "ACCESS_DENIED")
    if who == "edge":
        denied = Verdict("PERMISSION_DENIED", "ACCESS_DENIED")
        return denied if rpc.access == "SERVICE" else ALLOWED
    named = who in rpc.policy.callers
    return ALLOWED if named else Verdict("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")


def _at_the_edge(rpc: Rpc, who: str) -> Verdict:
    if rpc.access == "SERVICE":
        return Verdict("PERMISSION_DENIED", "ACCESS_DENIED")
    if rpc.access == "PUBLIC":
        return ALLOWED
    bad_token = {
        "anonymous": Verdict("UNAUTHENTICATED", "CREDENTIALS_MISSING"),
        "token_invalid": Verdict("UNAUTHENTICATED", "TOKEN_INVALID"),
        "token_expired": Verdict("UNAUTHENTICATED", "TOKEN_EXPIRED"),
        "token_other_audience": Verdict("PERMISSION_DENIED", "ACCESS_DENIED"),
        "other_tenant": Verdict("NOT_FOUND", "TENANT_NOT_FOUND"),
    }.get(who)
    if bad_token is not None:
        return bad_token
    held = {
        "member": role_permissions()["member"],
        "staff": role_permissions()["staff"],
        "admin": role_permissions()["admin"],
        "no_role": frozenset[str](),
    }.get(who, frozenset[str]().union(*role_permissions().values()))
    if not set(rpc.policy.permissions) <= held:
        return Verdict("PERMISSION_DENIED", "PERMISSION_MISSING")
    if rpc.policy.min_kyc_tier and who == "lowest_tier":
        return Verdict("PERMISSION_DENIED", "KYC_TIER_TOO_LOW")
    if rpc.policy.step_up and who == "no_second_factor":
        return Verdict("PERMISSION_DENIED", "STEP_UP_REQUIRED")
    return ALLOWED

"""Which refusals an RPC can answer with, by HTTP status: its own reasons, the wrapper's and Envoy's."""

from __future__ import annotations

from collections.abc import Iterator

from mesh.contract.model import (
    HTTP_BODY,
    SHARED_REASONS,
    Access,
    Binding,
    Contract,
    Idempotency,
    Rate,
    Reason,
    Rpc,
)

# How Envoy's transcoder turns gRPC codes into HTTP.
HTTP_STATUS = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
# Sent by Envoy with a status of its own choice.
_BY_ENVOY = {"REQUEST_TOO_LARGE": 413}


def refusals(contract: Contract, rpc: Rpc, binding: Binding) -> dict[int, list[Reason]]:
    """Reasons by HTTP status, both in order; each reason once."""
    found: dict[int, dict[str, Reason]] = {}
    for name in (*rpc.rules.reasons, *_shared(contract, rpc, binding)):
        reason = contract.reason(rpc.package, name)
        assert reason is not None, f"{rpc.path} names {name}; the checks refuse that"
        http = _BY_ENVOY.get(name) or HTTP_STATUS[reason.code]
        found.setdefault(http, {}).setdefault(name, reason)
    return {http: list(found[http].values()) for http in sorted(found)}


def _shared(contract: Contract, rpc: Rpc, binding: Binding) -> Iterator[str]:
    policy = rpc.rules
    request = contract.messages[rpc.request]
    if request.fields:
        yield "VALIDATION_FAILED"
    yield "MALFORMED_REQUEST"
    if request.find("page_token") is not None:
        yield "PAGE_TOKEN_INVALID"
    if policy.idempotency is Idempotency.KEYED:
        yield "IDEMPOTENCY_KEY_REQUIRED"
        yield "IDEMPOTENCY_KEY_INVALID"
        yield "IDEMPOTENCY_KEY_REUSED"
        yield "IDEMPOTENCY_KEY_IN_FLIGHT"
    if policy.access is Access.USER:
        yield from ("CREDENTIALS_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "API_KEY_INVALID")
        if policy.rate is Rate.MONEY:
            yield "SESSION_ENDED"
        yield "ACCESS_DENIED"
    if policy.permissions:
        yield "PERMISSION_MISSING"
    if policy.step_up:
        yield "STEP_UP_REQUIRED"
    if policy.min_kyc_tier:
        yield "KYC_TIER_TOO_LOW"
    yield "TENANT_NOT_FOUND"
    if binding.body or rpc.request == HTTP_BODY:
        yield "REQUEST_TOO_LARGE"
    yield from ("RATE_LIMITED", "OVERLOADED", "INTERNAL", "SERVICE_UNAVAILABLE")
    if not rpc.server_streaming:
        yield "DEADLINE_EXCEEDED"


def example_name(reason: Reason) -> str:
    """Where the example of a reason stands among the components."""
    if reason.package == SHARED_REASONS:
        return reason.name
    return f"{reason.domain.removesuffix('.hazina')}.{reason.name}"

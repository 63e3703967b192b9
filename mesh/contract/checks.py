"""The rules that contracts must follow. Each complaint names the RPC, message or value that breaks one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mesh.contract.model import (
    HTTP_BODY,
    OPERATOR,
    SHARED_REASONS,
    Access,
    Binding,
    Contract,
    Field,
    Idempotency,
    Policy,
    Rate,
    Rpc,
)

# Answered by Envoy itself, on the same listener as the API.
RESERVED_PATHS = ("/", "/docs", "/openapi.json", "/health")
OWN = "hazina."


def complaints(contract: Contract) -> list[str]:
    """Everything that is wrong with the contracts, in a stable order; empty when nothing is."""
    found: list[str] = []
    for rpc in contract.rpcs:
        found += [f"{rpc.path}: {text}" for text in _rpc(contract, rpc)]
    found += _routes(contract)
    found += _reasons(contract)
    found += _comments(contract)
    return found


def _rpc(contract: Contract, rpc: Rpc) -> Iterator[str]:
    policy = rpc.policy
    if policy is None:
        yield "has no policy; add option (hazina.policy.v1.policy)"
        return
    if policy.access is Access.UNSPECIFIED:
        yield "its policy does not say access (PUBLIC, USER or SERVICE)"
    if policy.idempotency is Idempotency.UNSPECIFIED:
        yield "its policy does not say idempotency (SAFE, KEYED or NONE)"
    if not rpc.server_streaming and not policy.timeout_seconds:
        yield "its policy has no timeout; only streams may leave it out"
    if rpc.client_streaming:
        yield "streams from the client; no service of the mesh serves that"
    yield from _names(contract, rpc, policy)
    yield from _reach(rpc, policy)
    for binding in rpc.bindings:
        yield from _binding(contract, rpc, policy, binding)
    if rpc.name.startswith("List"):
        yield from _pages(contract, rpc)


def _names(contract: Contract, rpc: Rpc, policy: Policy) -> Iterator[str]:
    for permission in policy.permissions:
        if permission not in contract.permissions:
            yield f"names the permission {permission!r}, which hazina.policy.v1.Permission does not have"
    known = {*contract.owners, OPERATOR}
    for caller in policy.callers:
        if caller not in known:
            yield f"names the caller {caller!r}; identities are {', '.join(sorted(known))}"
        if caller == rpc.owner:
            yield f"names its own service {caller!r} as a caller"
    for reason in policy.reasons:
        if contract.reason(rpc.package, reason) is None:
            yield (
                f"names the reason {reason!r}, which neither {rpc.package}.ErrorReason"
                f" nor {SHARED_REASONS}.ErrorReason has"
            )
    for kind in (policy.permissions, policy.callers, policy.reasons):
        for name in sorted({n for n in kind if kind.count(n) > 1}):
            yield f"names {name!r} twice"


def _reach(rpc: Rpc, policy: Policy) -> Iterator[str]:
    if policy.access is Access.SERVICE:
        if rpc.bindings:
            yield "is SERVICE and has an HTTP binding; nothing outside the mesh may reach it"
        if not policy.callers:
            yield "is SERVICE and names no callers, so nobody may call it"
    elif policy.access in (Access.PUBLIC, Access.USER) and not rpc.bindings:
        yield "has no HTTP binding; HTTP and gRPC have the same power"
    if policy.access is not Access.USER:
        for text, is_set in (
            ("permissions", bool(policy.permissions)),
            ("step_up", policy.step_up),
            ("min_kyc_tier", policy.min_kyc_tier != 0),
        ):
            if is_set:
                yield f"has {text}, which only a USER RPC can have"
    if policy.access is not Access.USER and policy.rate in (Rate.MONEY, Rate.READ, Rate.BULK):
        yield f"has rate {policy.rate.name}, which counts per person; only a USER RPC can have it"
    if policy.rate is Rate.STREAM and not rpc.server_streaming:
        yield "has rate STREAM and is no stream"


def _binding(contract: Contract, rpc: Rpc, policy: Policy, binding: Binding) -> Iterator[str]:
    name = f"{binding.method} {binding.path}"
    request = contract.messages[rpc.request]
    if binding.method == "GET" and policy.idempotency is Idempotency.KEYED:
        yield f"is KEYED and bound to {name}; a GET cannot carry an idempotency key"
    if binding.method in ("GET", "DELETE") and binding.body:
        yield f"{name} has a body"
    if binding.plain_path.rstrip("/") in [p.rstrip("/") for p in RESERVED_PATHS]:
        yield f"{name} is answered by the edge itself"
    if rpc.server_streaming and rpc.response != HTTP_BODY and not binding.path.endswith(":watch"):
        yield f"{name} is a stream; its path must end with :watch"
    for path_field in binding.path_fields:
        field = _resolve(contract, rpc.request, path_field)
        if field is None:
            yield f"{name}: {rpc.request} has no field {path_field!r}"
        elif field.repeated or field.kind in ("message", "map", "bytes"):
            yield f"{name}: the field {path_field!r} cannot be part of a path"
    if binding.body not in ("", "*") and request.find(binding.body) is None:
        yield f"{name}: {rpc.request} has no field {binding.body!r} for the body"
    if binding.body == "":
        for field in request.fields:
            if field.name not in binding.path_fields and field.kind in ("map", "bytes"):
                yield f"{name}: the field {field.name!r} cannot be a query parameter"


def _resolve(contract: Contract, message: str, path: str) -> Field | None:
    head, _, rest = path.partition(".")
    field = contract.messages[message].find(head)
    if field is None or not rest:
        return field
    return _resolve(contract, field.type_name, rest) if field.kind == "message" else None


def _pages(contract: Contract, rpc: Rpc) -> Iterator[str]:
    for message, field, kind in (
        (rpc.request, "page_size", "int32"),
        (rpc.request, "page_token", "string"),
        (rpc.response, "next_page_token", "string"),
    ):
        found = contract.messages[message].find(field)
        if found is None or found.kind != kind:
            yield f"lists without pages: {message} needs {kind} {field}"
    if not any(f.repeated for f in contract.messages[rpc.response].fields):
        yield f"lists nothing: {rpc.response} has no repeated field"


def _routes(contract: Contract) -> Iterator[str]:
    seen: dict[tuple[str, str], Rpc] = {}
    for rpc in contract.rpcs:
        for binding in rpc.bindings:
            shape = re.sub(r"\{[^}]*\}", "{}", binding.path)
            first = seen.setdefault((binding.method, shape), rpc)
            if first is not rpc:
                yield f"{rpc.path}: {binding.method} {binding.path} is already the route of {first.path}"


def _reasons(contract: Contract) -> Iterator[str]:
    for reason in contract.reasons.values():
        name = f"{reason.package}.ErrorReason.{reason.name}"
        if not reason.code or reason.code == "OK":
            yield f"{name}: says no code; add option (hazina.policy.v1.refusal)"
        if reason.package != SHARED_REASONS and (SHARED_REASONS, reason.name) in contract.reasons:
            yield f"{name}: hides the shared reason of the same name"


def _comments(contract: Contract) -> Iterator[str]:
    for service in contract.services:
        if not service.comment:
            yield f"{service.full_name}: has no comment"
    for rpc in contract.rpcs:
        if not rpc.comment:
            yield f"{rpc.path}: has no comment"
    for message in contract.messages.values():
        if not message.package.startswith(OWN):
            continue
        if not message.comment:
            yield f"{message.full_name}: has no comment"
        for field in message.fields:
            if not field.comment:
                yield f"{message.full_name}.{field.name}: has no comment"
    for enumeration in contract.enumerations.values():
        if not enumeration.package.startswith(OWN):
            continue
        if not enumeration.comment:
            yield f"{enumeration.full_name}: has no comment"
        for value in enumeration.values:
            if not value.comment:
                yield f"{enumeration.full_name}.{value.name}: has no comment"

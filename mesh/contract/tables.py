"""The table of all RPCs, permissions and reasons, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mesh.contract.model import (
    BODY_BYTES_DEFAULT,
    SHARED_REASONS,
    Access,
    Contract,
    Rate,
    Reason,
    Rpc,
    Service,
)


def tables(contract: Contract) -> str:
    """Markdown: one table for each service, then permissions and reasons."""
    lines = [
        "# All RPCs",
        "",
        "Written by `make gen` from the contracts; do not edit. Every rule below is enforced by Envoy and by the service.",
        "",
        "Access: PUBLIC and USER are reached through the edge as HTTP, gRPC and gRPC-Web; SERVICE only through the mesh",
        "listener, by the named callers. Beside the reasons listed, any RPC may refuse with the shared ones below.",
        "",
    ]
    for service in contract.services:
        lines += _service(service)
    lines += _permissions(contract)
    lines += _reasons(contract)
    return "\n".join(lines).rstrip() + "\n"


def _service(service: Service) -> Iterator[str]:
    yield f"## {service.full_name}"
    yield ""
    yield _one_line(service.comment)
    yield ""
    yield "| RPC | HTTP | Access | May call | Rate | Deadline | Repeating | Also | Reasons |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for rpc in service.rpcs:
        yield "| " + " | ".join(_cells(rpc)) + " |"
    yield ""


def _cells(rpc: Rpc) -> Iterator[str]:
    policy = rpc.rules
    yield f"`{rpc.name}`" + (" (stream)" if rpc.server_streaming else "")
    yield "<br>".join(f"`{b.method} {b.plain_path}`" for b in rpc.bindings) or "-"
    yield policy.access.name
    may_call = [*policy.permissions] if policy.access is Access.USER else []
    yield _codes([*may_call, *policy.callers])
    yield policy.rate.name if policy.rate is not Rate.UNSPECIFIED else "-"
    yield f"{policy.timeout_seconds:g} s" if policy.timeout_seconds else "-"
    yield policy.idempotency.name
    yield ", ".join(_also(rpc)) or "-"
    yield _codes(policy.reasons)


def _also(rpc: Rpc) -> Iterator[str]:
    policy = rpc.rules
    if policy.step_up:
        yield "second factor"
    if policy.min_kyc_tier:
        yield f"KYC tier {policy.min_kyc_tier}"
    if policy.audited:
        yield "audited"
    if policy.development_only:
        yield "development only"
    if policy.body_bytes_max != BODY_BYTES_DEFAULT:
        yield f"body up to {policy.body_bytes_max:,} bytes"


def _permissions(contract: Contract) -> Iterator[str]:
    yield "## Permissions"
    yield ""
    yield "| Permission | Held by | What it allows |"
    yield "|---|---|---|"
    for permission in contract.permissions.values():
        yield f"| `{permission.name}` | {', '.join(permission.roles)} | {_one_line(permission.comment)} |"
    yield ""


def _reasons(contract: Contract) -> Iterator[str]:
    packages = sorted({reason.package for reason in contract.reasons.values()})
    packages.sort(key=lambda package: package != SHARED_REASONS)
    for package in packages:
        found = [reason for reason in contract.reasons.values() if reason.package == package]
        yield f"## Reasons of `{found[0].domain}`"
        yield ""
        yield "| Reason | Code | Meaning |"
        yield "|---|---|---|"
        for reason in found:
            yield _reason(reason)
        yield ""


def _reason(reason: Reason) -> str:
    return f"| `{reason.name}` | {reason.code} | {_one_line(reason.comment)} |"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

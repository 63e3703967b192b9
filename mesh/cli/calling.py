"""`hazina call`: any RPC, JSON in, JSON out."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from mesh.cli.clients import GrpcClient
from mesh.cli.contracts import Contracts, Refused, load, pretty
from mesh.cli.screen import console, table
from mesh.contract.model import Access, Idempotency, Rpc
from mesh.stack.environment import Stack
from mesh.stack.home import StackError


def call(
    method: str,
    request: str,
    *,
    token: str,
    identity: str,
    headers: Sequence[str],
    timeout_seconds: float,
    describe: bool,
) -> None:
    """Call, describe, or list what there is."""
    contracts = load()
    if not method:
        _list(contracts)
        return
    rpc = contracts.find(method)
    if describe:
        _describe(contracts, rpc)
        return
    stack = Stack.from_environment()
    metadata = [_header(line) for line in headers]
    if token:
        metadata.append(("authorization", f"Bearer {token}"))
    names = {name for name, _ in metadata}
    if rpc.rules.idempotency is Idempotency.KEYED and "idempotency-key" not in names:
        metadata.append(("idempotency-key", str(uuid.uuid4())))
    through_edge = bool(token) or (rpc.rules.access is Access.PUBLIC and identity == "ops")
    client = GrpcClient.edge(stack) if through_edge else GrpcClient.mesh(stack, identity)
    deadline = None if rpc.server_streaming else timeout_seconds
    try:
        for answer in client.stream(
            rpc, _request(request), headers=metadata, timeout_seconds=deadline
        ):
            console.print(pretty(answer), markup=False, soft_wrap=True)
    except Refused as refused:
        if refused.status == "UNAVAILABLE" and not refused.reason:
            raise StackError(f"{refused}\nIs the mesh running? `hazina status` shows it.") from None
        raise


def _request(text: str) -> dict[str, Any]:
    if text == "-":
        text = sys.stdin.read()
    elif text.startswith("@"):
        try:
            text = Path(text[1:]).read_text()
        except OSError as error:
            raise StackError(f"{text[1:]} cannot be read ({error.strerror}).") from error
    try:
        document = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise StackError(
            f'The request is not JSON: {error}. Example: \'{{"tenantId": "default"}}\''
        ) from error
    if not isinstance(document, dict):
        raise StackError("The request must be a JSON object.")
    return document


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise StackError(f"A header is written `name: value`, not {line!r}.")
    return name.strip().lower(), value.strip()


def _list(contracts: Contracts) -> None:
    shown = table("RPC", "access", "HTTP", "callers")
    for rpc in contracts.contract.rpcs:
        binding = rpc.bindings[0] if rpc.bindings else None
        shown.add_row(
            rpc.path[1:].removeprefix("hazina."),
            rpc.rules.access.name.lower(),
            escape(f"{binding.method} {binding.plain_path}") if binding else "",
            " ".join(rpc.rules.callers),
        )
    console.print(shown)


def _describe(contracts: Contracts, rpc: Rpc) -> None:
    console.print(f"[bold]{rpc.path[1:]}[/]")
    console.print(rpc.comment.strip(), markup=False, style="dim")
    for full_name in (rpc.request, rpc.response):
        descriptor = contracts.pool.FindMessageTypeByName(full_name)
        console.print(f"\n[bold]{full_name}[/]")
        shown = table("field", "type")
        for field in descriptor.fields:
            kind = field.message_type or field.enum_type
            shown.add_row(field.json_name, kind.full_name if kind else _SCALARS.get(field.type, ""))
        console.print(shown)


_SCALARS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    12: "bytes",
}

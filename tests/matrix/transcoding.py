"""A request message as the HTTP call that the contract's binding makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from tests.matrix.contracts import HttpBinding, Rpc


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request."""

    method: str
    path: str
    query: Mapping[str, Any]
    content: bytes | None
    # The JSON that `content` was made of.
    body: Mapping[str, Any] | None


def http_call(rpc: Rpc, request: Message) -> HttpCall | None:
    """The HTTP request for a message; None when a path field is empty or not one segment, so that no URL says it."""
    binding = rpc.http
    assert binding is not None, f"{rpc.label} has no HTTP binding"
    values = {name: getattr(request, name) for name in binding.path_fields}
    if any(not value or set(value) & set("/\0%") for value in values.values()):
        return None
    path = re.sub(r"\{([a-z0-9_]+)\}", lambda m: quote(values[m.group(1)], safe=""), binding.path)
    rest = _without_path_fields(request, binding)
    if binding.body == "*":
        return HttpCall(binding.method, path, {}, _bytes(rest), rest)
    if binding.body:
        raw: Any = getattr(request, binding.body)
        return HttpCall(binding.method, path, {}, raw.data, None)
    return HttpCall(binding.method, path, rest, None, None)


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _without_path_fields(request: Message, binding: HttpBinding) -> dict[str, Any]:
    body: dict[str, Any] = MessageToDict(request, preserving_proto_field_name=False)
    for name in binding.path_fields:
        body.pop(request.DESCRIPTOR.fields_by_name[name].json_name, None)
    return body

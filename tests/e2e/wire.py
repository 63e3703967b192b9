"""What arrives at a client: JSON answers over HTTP, and refusals over gRPC, in one shape to ask questions of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import httpx
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

M = TypeVar("M", bound=Message)

# What grpc calls metadata.
Metadata = tuple[tuple[str, str | bytes], ...]

# The HTTP status that the transcoder gives each gRPC code.
HTTP_STATUS: Mapping[str, int] = {
    "OK": 200, "CANCELLED": 499, "UNKNOWN": 500, "INVALID_ARGUMENT": 400, "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400, "ABORTED": 409, "OUT_OF_RANGE": 400, "UNIMPLEMENTED": 501, "INTERNAL": 500,
    "UNAVAILABLE": 503, "DATA_LOSS": 500, "UNAUTHENTICATED": 401,
}  # fmt: skip
CODE_NUMBER: Mapping[str, int] = {code.name: code.value[0] for code in grpc.StatusCode}

SHAPE = frozenset(
    {"code", "status", "message", "reason", "domain", "metadata", "fieldViolations", "requestId", "timestamp", "path"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, however it came."""

    code: str
    message: str
    reason: str
    domain: str
    metadata: Mapping[str, str]
    # Path of each field that breaks a rule.
    fields: Sequence[str]

    def __str__(self) -> str:
        return f"{self.code} {self.domain}/{self.reason} {list(self.fields)} {self.message!r}"


class Refused(AssertionError):
    """A call that a story needs was refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer over HTTP."""

    status: int
    headers: httpx.Headers
    content: bytes
    http_version: str

    @property
    def json(self) -> dict[str, Any]:
        """The body as JSON."""
        return dict(json.loads(self.content))

    def ok(self) -> dict[str, Any]:
        """The body of a success; a refusal fails the test and says what it was."""
        if self.status != 200:
            raise Refused(f"{self.status} {self.content[:2000]!r}")
        return self.json

    def refusal(self) -> Refusal:
        """The body of a refusal, which must have the one shape."""
        assert self.status >= 400, f"was not refused: {self.content[:500]!r}"
        body = self.json
        assert set(body) == SHAPE, f"not the error shape: {body}"
        assert isinstance(body["code"], int) and body["code"] == CODE_NUMBER.get(body["status"]), (
            body
        )
        violations = body["fieldViolations"] or []
        return Refusal(
            code=body["status"],
            message=body["message"],
            reason=body["reason"],
            domain=body["domain"],
            metadata=body["metadata"] or {},
            fields=[violation["field"] for violation in violations],
        )


def refusal_of(error: grpc.RpcError) -> Refusal:
    """What a gRPC client reads from a refusal: the code, and `google.rpc.Status` where it is there."""
    details = status_pb2.Status()
    trailer: Any = error.trailing_metadata() or ()
    for key, value in trailer:
        if key == "grpc-status-details-bin":
            details.ParseFromString(value)
    information = _unpack(details, error_details_pb2.ErrorInfo()) or error_details_pb2.ErrorInfo()
    request = _unpack(details, error_details_pb2.BadRequest()) or error_details_pb2.BadRequest()
    return Refusal(
        code=error.code().name,
        message=error.details() or "",
        reason=information.reason,
        domain=information.domain,
        metadata=dict(information.metadata),
        fields=[violation.field for violation in request.field_violations],
    )


def _unpack(details: status_pb2.Status, into: M) -> M | None:
    for detail in details.details:
        if detail.Unpack(into):
            return into
    return None

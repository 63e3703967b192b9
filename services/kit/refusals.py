"""Refusals on the wire: a `ServiceError` as `hazina.type.v1.Status`, and back.

The trailer `grpc-status-details-bin` reads as `google.rpc.Status` for every gRPC client; the same facts stand flat in
fields that only the edge prints.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from hazina.type.v1 import status_pb2
from services.kit.errors import (
    DeadlineExceeded,
    FieldViolation,
    RemoteRefusal,
    ServiceError,
    ServiceUnavailable,
)

__all__ = ["CODES", "DETAILS", "Internal", "from_call_error", "message_of", "to_trailer"]

DETAILS = "grpc-status-details-bin"
CODES = {code.name: code for code in grpc.StatusCode}

# Clients take 8 KiB of trailers. Everything stands there twice, and a third longer in base64; a message that is not
# ASCII is three times as long on the wire.
_TRAILER_BYTES_MAX = 4500
_MESSAGE_LENGTH_MAX = 200
_METADATA_MAX = 8
# How many violations and how long a text may be, tried in this order until the trailer is small enough.
_MEASURES = ((10, 120), (5, 80), (2, 40), (1, 20))


class Internal(ServiceError):
    """Something failed on our side. The request id finds it in the log."""

    code, reason = "INTERNAL", "INTERNAL"


def to_trailer(error: ServiceError, *, request_id: str, path: str) -> bytes:
    """The bytes of the trailer; what would make it too large for clients is left out or cut."""
    for violations_max, length_max in _MEASURES:
        raw = _status(error, request_id, path, violations_max, length_max).SerializeToString()
        if len(raw) <= _TRAILER_BYTES_MAX:
            break
    return raw


def message_of(error: ServiceError) -> str:
    """The message, cut to what a header takes."""
    return _clipped(error.message, _MESSAGE_LENGTH_MAX)


def _status(
    error: ServiceError, request_id: str, path: str, violations_max: int, length_max: int
) -> status_pb2.Status:
    metadata = {
        _clipped(name, length_max): _clipped(str(value), length_max)
        for name, value in list(error.metadata.items())[:_METADATA_MAX]
    }
    if error.retry_after_seconds is not None:
        metadata["retryAfterSeconds"] = str(math.ceil(error.retry_after_seconds))
    status = status_pb2.Status(
        code=CODES[error.code].value[0],
        message=message_of(error),
        status=error.code,
        reason=error.reason,
        domain=error.domain,
        metadata=metadata,
        request_id=request_id,
        timestamp=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        path=_clipped(path, 200),
    )
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=error.domain, metadata=metadata)
    )
    if error.field_violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in error.field_violations[:violations_max]:
            fields = {
                "field": _clipped(violation.field, length_max),
                "description": _clipped(violation.description, length_max),
                "reason": _clipped(violation.reason, length_max),
            }
            status.field_violations.add(**fields)
            bad_request.field_violations.add(**fields)
        status.details.add().Pack(bad_request)
    if error.retry_after_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        status.details.add().Pack(retry)
    return status


def _clipped(text: str, length_max: int) -> str:
    return text if len(text) <= length_max else text[: length_max - 1] + "…"


def from_call_error(error: grpc.aio.AioRpcError) -> ServiceError:
    """What a failed call means to us: the callee's own refusal, or that it could not be asked."""
    refusal = _refusal_in(error.trailing_metadata() or ())
    name = error.code().name
    if refusal is not None:
        info, violations, retry = refusal
        return RemoteRefusal(
            name,
            info.reason,
            dict(info.metadata),
            domain=info.domain,
            message=error.details() or "",
            field_violations=violations,
            retry_after_seconds=retry,
        )
    if name == "DEADLINE_EXCEEDED":
        return DeadlineExceeded()
    if name in ("UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED"):
        return ServiceUnavailable()
    return RemoteRefusal(name, "INTERNAL", message=f"A call inside the mesh ended with {name}.")


def _refusal_in(
    trailers: Sequence[tuple[str, str | bytes]] | grpc.aio.Metadata,
) -> tuple[error_details_pb2.ErrorInfo, list[FieldViolation], float | None] | None:
    raw = next((value for key, value in trailers if key == DETAILS), None)
    if not isinstance(raw, bytes):
        return None
    info: error_details_pb2.ErrorInfo | None = None
    violations: list[FieldViolation] = []
    retry: float | None = None
    try:
        details = status_pb2.Status.FromString(raw).details
    except DecodeError:
        return None
    for detail in details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad_request = error_details_pb2.BadRequest()
            detail.Unpack(bad_request)
            violations = [
                FieldViolation(v.field, v.description, v.reason)
                for v in bad_request.field_violations
            ]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry_info = error_details_pb2.RetryInfo()
            detail.Unpack(retry_info)
            retry = retry_info.retry_delay.ToMilliseconds() / 1000
    return None if info is None else (info, violations, retry)

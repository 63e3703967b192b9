"""What Envoy says when it refuses by itself: the same error that services send, for JSON and for gRPC callers."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from mesh.contract.model import SHARED_REASONS, Contract
from mesh.edge.parts import Json, typed

DOMAIN = "hazina"
FROM_ENVOY = "%LOCAL_REPLY_BODY%"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One cause. `details` is a piece of Envoy's `response_code_details` that tells it from others of its status."""

    http: int
    reason: str
    details: str = ""
    message: str = ""
    has_retry_after: bool = False


# Order matters: the first that fits is taken.
REFUSALS = (
    Refusal(400, "MALFORMED_REQUEST", message=FROM_ENVOY),
    Refusal(401, "API_KEY_INVALID", details="ext_authz"),
    Refusal(401, "CREDENTIALS_MISSING", details="Jwt_is_missing"),
    Refusal(401, "TOKEN_EXPIRED", details="Jwt_is_expired"),
    Refusal(401, "TOKEN_INVALID"),
    Refusal(403, "API_KEY_INVALID", details="ext_authz_denied"),
    Refusal(403, "ACCESS_DENIED"),
    Refusal(404, "ROUTE_NOT_FOUND"),
    Refusal(408, "DEADLINE_EXCEEDED"),
    Refusal(413, "REQUEST_TOO_LARGE"),
    Refusal(429, "RATE_LIMITED", has_retry_after=True),
    Refusal(431, "REQUEST_TOO_LARGE"),
    Refusal(500, "INTERNAL"),
    Refusal(502, "SERVICE_UNAVAILABLE"),
    Refusal(503, "OVERLOADED", details="overload"),
    Refusal(503, "SERVICE_UNAVAILABLE"),
    Refusal(504, "DEADLINE_EXCEEDED"),
)


def local_replies(contract: Contract, *, with_json: bool) -> Json:
    """The mappers: for each refusal one for gRPC and, where JSON is spoken, one for JSON."""
    mappers = []
    for refusal in REFUSALS:
        if with_json:
            mappers.append(_for_json(contract, refusal))
        mappers.append(_for_grpc(contract, refusal))
    return {"mappers": mappers}


def _for_json(contract: Contract, refusal: Refusal) -> Json:
    code, message = _code(contract, refusal), _message(contract, refusal)
    metadata = {}
    if refusal.has_retry_after:
        metadata = {"retryAfterSeconds": "%RESP(RETRY-AFTER)%"}
    return {
        "filter": _filter(refusal, _is_json()),
        "body_format_override": {
            "content_type": "application/json",
            "json_format": {
                "code": code_pb2.Code.Value(code),
                "status": code,
                "message": message,
                "reason": refusal.reason,
                "domain": DOMAIN,
                "metadata": metadata,
                "fieldViolations": [],
                "requestId": "%REQ(X-REQUEST-ID)%",
                "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%E3SZ)%",
                "path": "%PATH(NQ:ORIG_OR_PATH)%",
            },
        },
        "headers_to_add": [
            _set("x-content-type-options", "nosniff"),
            _set("cache-control", "no-store"),
        ],
    }


def _for_grpc(contract: Contract, refusal: Refusal) -> Json:
    code, message = _code(contract, refusal), _message(contract, refusal)
    plain = contract.reasons[SHARED_REASONS, refusal.reason].comment
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=_first_line(plain))
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN))
    status.details.append(packed)
    encoded = base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("=")
    return {
        "filter": _filter(refusal, _is_grpc()),
        "body_format_override": {"text_format_source": {"inline_string": message}},
        "headers_to_add": [
            _set("grpc-status", str(code_pb2.Code.Value(code))),
            _set("grpc-status-details-bin", encoded),
        ],
    }


def _set(key: str, value: str) -> Json:
    return {
        "header": {"key": key, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def _code(contract: Contract, refusal: Refusal) -> str:
    return contract.reasons[SHARED_REASONS, refusal.reason].code


def _message(contract: Contract, refusal: Refusal) -> str:
    return refusal.message or _first_line(contract.reasons[SHARED_REASONS, refusal.reason].comment)


def _first_line(comment: str) -> str:
    return " ".join(comment.split()).replace("%", "%%")


def _filter(refusal: Refusal, caller: Json) -> Json:
    filters = [
        {
            "status_code_filter": {
                "comparison": {
                    "op": "EQ",
                    "value": {
                        "default_value": refusal.http,
                        "runtime_key": f"hazina.replies.{refusal.http}",
                    },
                }
            }
        },
        caller,
    ]
    if refusal.details:
        filters.append(
            {
                "extension_filter": {
                    "name": "envoy.access_loggers.extension_filters.cel",
                    "typed_config": typed(
                        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                        expression=f"response.code_details.contains('{refusal.details}')",
                    ),
                }
            }
        )
    return {"and_filter": {"filters": filters}}


# After the transcoder a JSON call looks like gRPC; the original path, which only Envoy sets, tells them apart.
def _is_json() -> Json:
    return {
        "or_filter": {"filters": [_grpc_content(is_grpc=False), _transcoded(is_transcoded=True)]}
    }


def _is_grpc() -> Json:
    return {
        "and_filter": {"filters": [_grpc_content(is_grpc=True), _transcoded(is_transcoded=False)]}
    }


def _grpc_content(*, is_grpc: bool) -> Json:
    return {
        "header_filter": {
            "header": {
                "name": "content-type",
                "string_match": {"prefix": "application/grpc"},
                "invert_match": not is_grpc,
                "treat_missing_header_as_empty": True,
            }
        }
    }


def _transcoded(*, is_transcoded: bool) -> Json:
    return {
        "header_filter": {
            "header": {"name": "x-envoy-original-path", "present_match": is_transcoded}
        }
    }

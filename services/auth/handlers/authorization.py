"""`envoy.service.auth.v3.Authorization`: the edge exchanges an API key for a short-lived token.

Envoy's contract carries no policy of ours, so this handler checks its peer by itself: only the edge may ask.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

import grpc
from google.rpc import code_pb2, status_pb2

from envoyproxy.service.auth.v3 import external_auth_pb2 as pb
from services.auth.operations import keys
from services.auth.operations.desk import Desk
from services.kit import identity, telemetry
from services.kit.errors import ServiceError
from services.kit.telemetry import RpcMeter

SERVICE = "envoy.service.auth.v3.Authorization"
_METHOD = f"/{SERVICE}/Check"
_OVERWRITE = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_REFUSED_MESSAGE = "The API key is not valid."


class AuthorizationHandler(grpc.GenericRpcHandler):
    """Serves `Check`. An exception becomes INTERNAL, and the edge then refuses the call as unavailable."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._meter = RpcMeter("auth", _METHOD, is_audited=False)
        self._check = grpc.unary_unary_rpc_method_handler(
            self.serve,
            request_deserializer=pb.CheckRequest.FromString,
            response_serializer=pb.CheckResponse.SerializeToString,
        )

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """The handler of `Check`, and of nothing else."""
        return self._check if getattr(details, "method", "") == _METHOD else None

    async def serve(self, request: pb.CheckRequest, exchange: Any) -> pb.CheckResponse:
        """The verdict on one call that waits at the edge."""
        started = time.perf_counter()
        code, reason = "OK", ""
        try:
            if identity.peer_of(exchange).name != "edge":
                code, reason = "PERMISSION_DENIED", "CALLER_NOT_ALLOWED"
                await exchange.abort(grpc.StatusCode.PERMISSION_DENIED, reason)
            http = request.attributes.request.http
            token = await keys.exchange(self._desk, key=http.headers.get("x-api-key", ""))
            if token is None:
                reason = "API_KEY_INVALID"
                return _denied(http)
            return _allowed(token)
        except ServiceError as error:
            code, reason = error.code, error.reason
            await exchange.abort(grpc.StatusCode.UNAVAILABLE, error.reason)
            raise
        except Exception as error:
            if code == "OK":
                code, reason = "INTERNAL", "INTERNAL"
                telemetry.log.error("rpc_failed", exc_info=error, method=_METHOD)
            raise
        finally:
            seconds = time.perf_counter() - started
            self._meter.done(code, reason, seconds, telemetry.new_request_id(), "", "", "edge")


def _allowed(token: str) -> pb.CheckResponse:
    header = pb.HeaderValue(key="authorization", value=f"Bearer {token}")
    option = pb.HeaderValueOption(header=header, append_action=_OVERWRITE)
    return pb.CheckResponse(
        status=status_pb2.Status(code=code_pb2.OK),
        ok_response=pb.OkHttpResponse(headers=[option], headers_to_remove=["x-api-key"]),
    )


def _denied(http: pb.AttributeContext.HttpRequest) -> pb.CheckResponse:
    """The refusal as the edge's JSON clients know it: the flat error of every service."""
    body = {
        "code": code_pb2.UNAUTHENTICATED,
        "status": "UNAUTHENTICATED",
        "message": _REFUSED_MESSAGE,
        "reason": "API_KEY_INVALID",
        "domain": "hazina",
        "metadata": {},
        "fieldViolations": [],
        "requestId": http.headers.get("x-request-id", "") or http.id,
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "path": http.path.partition("?")[0],
    }
    content_type = pb.HeaderValueOption(
        header=pb.HeaderValue(key="content-type", value="application/json"),
        append_action=_OVERWRITE,
    )
    return pb.CheckResponse(
        status=status_pb2.Status(code=code_pb2.UNAUTHENTICATED, message=_REFUSED_MESSAGE),
        denied_response=pb.DeniedHttpResponse(
            status=pb.HttpStatus(code=401), headers=[content_type], body=json.dumps(body)
        ),
    )

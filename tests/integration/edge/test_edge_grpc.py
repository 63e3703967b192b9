"""gRPC and gRPC-Web callers through the same port and the same rules."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from tests.integration.edge.harness import Edge, Refused, raw, refusal

LIST = "/hazina.wallet.v1.WalletService/ListWallets"
LOGIN = "/hazina.auth.v1.AuthService/Login"
CHECK_SESSION = "/hazina.auth.v1.SessionService/CheckSession"


def refused(
    edge: Edge, rpc: str, metadata: Mapping[str, str] | None = None
) -> tuple[str, str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        edge.call(edge.plain, rpc, metadata)
    return refusal(caught.value)


def test_a_grpc_caller_reaches_public_and_user_rpcs(edge: Edge) -> None:
    edge.call(edge.plain, LOGIN)
    edge.call(edge.plain, LIST, edge.headers())
    assert edge.services.last("ListWallets").peer == ("spiffe://hazina/edge",)


def test_refusals_of_envoy_carry_error_info(edge: Edge) -> None:
    assert refused(edge, LIST) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING", "hazina")
    expired = edge.headers(life=-30)
    assert refused(edge, LIST, expired) == ("UNAUTHENTICATED", "TOKEN_EXPIRED", "hazina")
    other = edge.headers(aud="somebody")
    assert refused(edge, LIST, other) == ("PERMISSION_DENIED", "ACCESS_DENIED", "hazina")


def test_service_rpcs_and_reflection_do_not_exist_outside_the_mesh(edge: Edge) -> None:
    denied = ("PERMISSION_DENIED", "ACCESS_DENIED", "hazina")
    assert refused(edge, CHECK_SESSION, edge.headers()) == denied
    call = raw(edge.plain, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", metadata=tuple(edge.headers().items()))
    assert refusal(caught.value) == denied
    assert edge.services.calls == []


def test_a_body_that_is_too_large(edge: Edge) -> None:
    call = raw(edge.plain, LOGIN)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\x0a\xf0\xa2\x04" + b"x" * 70_000)
    assert refusal(caught.value) == ("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE", "hazina")


def test_a_service_that_is_away(edge: Edge) -> None:
    edge.services.stop("payments")
    try:
        rails = "/hazina.payments.v1.PaymentService/ListRails"
        found = refused(edge, rails, edge.headers())
        assert found == ("UNAVAILABLE", "SERVICE_UNAVAILABLE", "hazina")
    finally:
        edge.services.start("payments")


def test_a_services_refusal_keeps_its_details_for_grpc_callers(edge: Edge) -> None:
    from google.rpc import error_details_pb2

    def answer(request: Any, received: Any) -> Any:
        found = Refused(grpc.StatusCode.NOT_FOUND, "WALLET_NOT_FOUND")
        info = error_details_pb2.ErrorInfo(reason="WALLET_NOT_FOUND", domain="wallet.hazina")
        found.status.details.add().Pack(info)
        raise found

    edge.services.answers["ListWallets"] = answer
    found = refused(edge, LIST, edge.headers())
    assert found == ("NOT_FOUND", "WALLET_NOT_FOUND", "wallet.hazina")


def test_the_deadline_of_a_grpc_caller_is_capped(edge: Edge) -> None:
    edge.call(edge.plain, LIST, edge.headers(), timeout=100)
    left = edge.services.last("ListWallets").seconds_left
    assert left is not None
    assert left <= 5.05


def test_grpc_web_on_the_same_port(edge: Edge) -> None:
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    answer = edge.http.post(LOGIN, content=b"\0" + struct.pack(">I", 0), headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert b"grpc-status:0" in answer.content.replace(b" ", b"")


def test_grpc_web_as_text(edge: Edge) -> None:
    headers = {"content-type": "application/grpc-web-text", "x-grpc-web": "1"}
    answer = edge.http.post(LOGIN, content=base64.b64encode(b"\0\0\0\0\0"), headers=headers)
    assert answer.status_code == 200


def test_a_refused_grpc_web_caller_reads_a_grpc_status(edge: Edge) -> None:
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    answer = edge.http.post(LIST, content=b"\0\0\0\0\0", headers=headers)
    assert answer.headers["grpc-status"] == "16"
    assert "grpc-status-details-bin" in answer.headers

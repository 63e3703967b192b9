"""The platform's own paths, over HTTP/1.1 and HTTP/2, with and without TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator

import pytest

from tests.e2e.client import HTTP_1, HTTP_2, Client
from tests.e2e.mesh import Mesh


@pytest.fixture(params=[(HTTP_1, False), (HTTP_2, False), (HTTP_1, True), (HTTP_2, True)], ids=str)
def client(mesh: Mesh, request: pytest.FixtureRequest) -> Iterator[Client]:
    protocol, tls = request.param
    if not tls:
        with Client(mesh.edge, protocol=protocol) as opened:
            yield opened
        return
    context = ssl.create_default_context(cafile=str(mesh.certificate("ops") / "authorities.pem"))
    with Client(mesh.edge_tls, protocol=protocol, verify=context) as opened:
        yield opened


def test_health_is_the_edge_itself(client: Client) -> None:
    answer = client.get("/health")

    assert answer.status == 200
    assert answer.http_version == ("HTTP/1.1" if client.protocol == HTTP_1 else "HTTP/2")


def test_readiness_names_every_part_with_its_state(client: Client) -> None:
    body = client.get("/readiness").ok()

    assert body["ready"] is True
    assert {part["name"]: part["state"] for part in body["parts"]} == dict.fromkeys(
        ["auth", "wallet", "payments", "groups", "comms", "postgres", "redis"], "SERVING"
    )


def test_the_openapi_document_is_served_and_describes_every_promised_path(client: Client) -> None:
    answer = client.get("/openapi.json")
    document = answer.ok()

    assert answer.headers["content-type"].startswith("application/json")
    assert document["openapi"].startswith("3.1")
    assert {
        "/api/v1/auth/signup", "/api/v1/auth/verify", "/api/v1/auth/login", "/api/v1/auth/refresh",
        "/api/v1/auth/logout", "/api/v1/auth/recover", "/.well-known/jwks.json", "/api/v1/users/me", "/api/v1/users",
        "/api/v1/wallets", "/api/v1/rails", "/api/v1/deposits", "/api/v1/transfers:preview", "/api/v1/transfers",
        "/api/v1/withdrawals", "/api/v1/transactions", "/api/v1/groups", "/api/v1/invitations",
        "/api/v1/notifications", "/readiness",
    } <= set(document["paths"])  # fmt: skip


def test_the_api_reference_is_a_page_with_assets_of_our_own(client: Client) -> None:
    answer = client.get("/docs")
    page = answer.content.decode()

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" in page
    for outside in (
        'src="http',
        "src='http",
        'href="http://cdn',
        'href="https://cdn',
        "//unpkg",
        "jsdelivr",
    ):
        assert outside not in page, "the page works offline"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/health"])
def test_head_answers_as_get_does_without_a_body(client: Client, path: str) -> None:
    got, head = client.get(path), client.request("HEAD", path)

    assert (head.status, head.content) == (got.status, b"")
    assert head.headers.get("content-type") == got.headers.get("content-type")


def test_a_path_that_is_not_there_is_refused_in_the_one_shape(client: Client) -> None:
    for method, path in (
        ("GET", "/api/v1/nothing"),
        ("DELETE", "/api/v1/wallets"),
        ("GET", "/nothing"),
    ):
        answer = client.request(method, path)
        assert answer.status == 404
        assert (answer.refusal().code, answer.refusal().reason) == ("NOT_FOUND", "ROUTE_NOT_FOUND")
        assert answer.json["path"] == path
        assert answer.json["requestId"]


def test_broken_json_is_refused_in_the_one_shape(client: Client) -> None:
    answer = client.request("POST", "/api/v1/auth/login", content=b'{"identifier": ')

    assert answer.status == 400
    assert answer.refusal().code == "INVALID_ARGUMENT"
    assert answer.refusal().reason == "MALFORMED_REQUEST"


def test_the_request_id_of_a_refusal_is_in_the_header_too(client: Client) -> None:
    answer = client.get("/api/v1/wallets")

    assert answer.json["requestId"]
    assert json.dumps(answer.json["timestamp"]).count("T") == 1

"""JSON callers through the edge: routes, tokens, tenants, bodies and the one shape of errors."""

from __future__ import annotations

import json
import re
from typing import Any

import grpc
import httpx
import pytest

from tests.integration.edge.harness import Edge, Keys, Refused, complaints, eventually

WALLET = "/api/v1/wallets/0191b0a5-0000-7000-8000-000000000002"
SHAPE = {
    "code",
    "status",
    "message",
    "reason",
    "domain",
    "metadata",
    "fieldViolations",
    "requestId",
    "timestamp",
    "path",
}


def assert_refused(answer: httpx.Response, http: int, status: str, reason: str) -> dict[str, Any]:
    """The flat error, with everything that callers rely on."""
    assert answer.status_code == http, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    assert set(found) == SHAPE
    assert (found["status"], found["reason"]) == (status, reason), found
    assert isinstance(found["code"], int)
    assert isinstance(found["metadata"], dict)
    assert isinstance(found["fieldViolations"], list)
    return found


def test_envoy_starts_without_a_warning(edge: Edge) -> None:
    assert complaints(edge.folder / "envoy.log") == []


def test_health_is_answered_by_the_edge_itself(edge: Edge) -> None:
    answer = edge.http.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})
    assert edge.http.head("/health").status_code == 200
    assert edge.services.calls == []


def test_a_page_is_served_with_get_and_head_and_compressed(edge: Edge) -> None:
    answer = edge.http.get("/page", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.text) > 200_000
    assert edge.http.head("/page").status_code == 200
    assert edge.http.post("/page").status_code == 403


def test_a_signed_in_person_reaches_their_service_with_a_path_variable(edge: Edge) -> None:
    answer = edge.http.get(WALLET, headers=edge.headers())
    assert answer.status_code == 200
    call = edge.services.last("GetWallet")
    assert call.service == "wallet"
    assert call.peer == ("spiffe://hazina/edge",)
    assert call.request.wallet_id == WALLET.rpartition("/")[2]  # type: ignore[attr-defined]
    assert call.metadata["authorization"].startswith("Bearer ")


def test_every_field_is_printed_and_long_integers_are_strings(edge: Edge) -> None:
    wallet = edge.messages.of("hazina.wallet.v1.Wallet")

    def answer(request: Any, received: Any) -> Any:
        found = wallet(id="w")
        found.balance.minor_units = 9_007_199_254_740_993
        return found

    edge.services.answers["GetWallet"] = answer
    body = edge.http.get(WALLET, headers=edge.headers()).json()
    assert body["balance"] == {"currency": "", "minorUnits": "9007199254740993"}
    assert body["name"] == ""


@pytest.mark.parametrize("written", ["9007199254740993", '"9007199254740993"'])
def test_a_long_integer_arrives_exactly_as_number_and_as_string(edge: Edge, written: str) -> None:
    body = f'{{"amount": {{"currency": "KES", "minorUnits": {written}}}}}'
    answer = edge.http.post("/api/v1/transfers", content=body, headers=edge.headers())
    assert answer.status_code == 200, answer.text
    request: Any = edge.services.last("CreateTransfer").request
    assert request.amount.minor_units == 9_007_199_254_740_993


@pytest.mark.parametrize("written", ["1.5", "9223372036854775808", '""'])
def test_what_is_no_long_integer_is_malformed(edge: Edge, written: str) -> None:
    body = f'{{"amount": {{"currency": "KES", "minorUnits": {written}}}}}'
    answer = edge.http.post("/api/v1/transfers", content=body, headers=edge.headers())
    assert_refused(answer, 400, "INVALID_ARGUMENT", "MALFORMED_REQUEST")


def test_a_type_error_names_the_field(edge: Edge) -> None:
    answer = edge.http.post("/api/v1/auth/login", json={"identifier": 4})
    assert (
        "identifier"
        in assert_refused(answer, 400, "INVALID_ARGUMENT", "MALFORMED_REQUEST")["message"]
    )


def test_an_unknown_query_parameter_is_malformed_and_the_tenant_is_not(edge: Edge) -> None:
    unknown = edge.http.get("/api/v1/wallets?colour=red", headers=edge.headers())
    assert_refused(unknown, 400, "INVALID_ARGUMENT", "MALFORMED_REQUEST")
    known = edge.http.get("/api/v1/wallets?tenant_id=other&pageSize=7", headers=edge.headers())
    assert known.status_code == 200
    request: Any = edge.services.last("ListWallets").request
    assert request.page_size == 7


def test_a_plus_in_a_query_is_a_space_and_an_encoded_plus_is_a_plus(edge: Edge) -> None:
    edge.http.get("/api/v1/users?query=%2B254+7", headers=edge.headers())
    request: Any = edge.services.last("ListUsers").request
    assert request.query == "+254 7"


# Refusals by Envoy itself


def test_no_token(edge: Edge) -> None:
    found = assert_refused(
        edge.http.get("/api/v1/wallets?pageSize=7"), 401, "UNAUTHENTICATED", "CREDENTIALS_MISSING"
    )
    assert found["path"] == "/api/v1/wallets"
    assert found["domain"] == "hazina"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["timestamp"])
    assert re.fullmatch(r"[0-9a-f-]{36}", found["requestId"])


def test_an_expired_token(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets", headers=edge.headers(life=-30))
    assert_refused(answer, 401, "UNAUTHENTICATED", "TOKEN_EXPIRED")


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        Keys("first").token(),
        Keys("unknown").token(),
    ],
)
def test_a_token_that_is_not_ours(edge: Edge, token: str) -> None:
    answer = edge.http.get("/api/v1/wallets", headers={"authorization": f"Bearer {token}"})
    assert_refused(answer, 401, "UNAUTHENTICATED", "TOKEN_INVALID")


def test_a_token_of_another_issuer(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets", headers=edge.headers(iss="somebody"))
    assert_refused(answer, 401, "UNAUTHENTICATED", "TOKEN_INVALID")


def test_a_token_that_lives_too_long(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets", headers=edge.headers(life=86_400))
    assert_refused(answer, 401, "UNAUTHENTICATED", "TOKEN_INVALID")


def test_a_token_for_another_audience(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets", headers=edge.headers(aud="somebody"))
    assert_refused(answer, 403, "PERMISSION_DENIED", "ACCESS_DENIED")


def test_a_token_in_the_query_is_no_token(edge: Edge) -> None:
    answer = edge.http.get(f"/api/v1/wallets?access_token={edge.keys.token()}")
    assert answer.status_code in (400, 401)
    assert edge.services.calls == []


def test_a_public_rpc_does_not_look_at_tokens(edge: Edge) -> None:
    answer = edge.http.post("/api/v1/auth/login", json={}, headers=edge.headers(life=-30))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"),
        ("GET", "/nothing"),
        ("DELETE", "/api/v1/wallets"),
        ("POST", "/hazina.wallet.v1.WalletService/ListWallets"),
        ("POST", "/hazina.auth.v1.SessionService/CheckSession"),
        ("GET", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    ],
)
def test_an_unknown_path(edge: Edge, method: str, path: str) -> None:
    answer = edge.http.request(method, path, headers=edge.headers())
    assert_refused(answer, 404, "NOT_FOUND", "ROUTE_NOT_FOUND")


def test_a_path_with_an_encoded_slash(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets/a%2Fb", headers=edge.headers())
    assert_refused(answer, 400, "INVALID_ARGUMENT", "MALFORMED_REQUEST")


def test_a_header_with_an_underscore(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets", headers={**edge.headers(), "x_y": "1"})
    assert_refused(answer, 400, "INVALID_ARGUMENT", "MALFORMED_REQUEST")


def test_headers_that_are_too_large(edge: Edge) -> None:
    answer = edge.http.get("/api/v1/wallets", headers={"x-long": "x" * 20_000})
    assert_refused(answer, 431, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")


def test_a_body_that_is_too_large_by_its_length(edge: Edge) -> None:
    content = json.dumps({"identifier": "x" * 70_000})
    answer = edge.http.post("/api/v1/auth/login", content=content)
    assert_refused(answer, 413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    assert edge.services.calls == []


def test_a_body_that_is_too_large_as_it_comes(edge: Edge) -> None:
    def pieces() -> Any:
        yield b'{"identifier": "'
        for _ in range(70):
            yield b"x" * 1000
        yield b'"}'

    answer = edge.http.post("/api/v1/auth/login", content=pieces())
    assert_refused(answer, 413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    assert edge.services.calls == []


def test_a_very_large_body_is_refused_before_anybody_reads_it(edge: Edge) -> None:
    answer = edge.http.post("/api/v1/transfers", content=b"x" * 5_000_000, headers=edge.headers())
    assert_refused(answer, 413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    assert edge.services.calls == []


def test_a_body_just_below_the_limit_passes(edge: Edge) -> None:
    content = json.dumps({"identifier": "x" * 65_000})
    assert edge.http.post("/api/v1/auth/login", content=content).status_code == 200


def test_a_service_that_is_away(edge: Edge) -> None:
    edge.services.stop("payments")
    try:
        answer = edge.http.get("/api/v1/rails", headers=edge.headers())
        assert_refused(answer, 503, "UNAVAILABLE", "SERVICE_UNAVAILABLE")
    finally:
        edge.services.start("payments")
    assert eventually(
        lambda: edge.http.get("/api/v1/rails", headers=edge.headers()).status_code == 200
    )


# Refusals by services


def test_a_services_refusal_is_printed_flat(edge: Edge) -> None:
    def answer(request: Any, received: Any) -> Any:
        refused = Refused(grpc.StatusCode.FAILED_PRECONDITION, "WALLET_FROZEN", wallet_id="w")
        refused.status.field_violations.add(field="amount.minorUnits", description="d", reason="r")
        refused.status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"")
        raise refused

    edge.services.answers["GetWallet"] = answer
    answered = edge.http.get(WALLET, headers=edge.headers())
    found = assert_refused(answered, 400, "FAILED_PRECONDITION", "WALLET_FROZEN")
    assert found["code"] == 9
    assert found["metadata"] == {"wallet_id": "w"}
    assert found["fieldViolations"] == [
        {"field": "amount.minorUnits", "description": "d", "reason": "r"}
    ]
    assert found["requestId"] == "r-1"


def test_a_services_refusal_without_details_keeps_the_shape(edge: Edge) -> None:
    def answer(request: Any, received: Any) -> Any:
        raise RuntimeError("a secret")

    edge.services.answers["GetWallet"] = answer
    answered = edge.http.get(WALLET, headers=edge.headers())
    assert answered.status_code == 500
    assert set(answered.json()) == SHAPE


@pytest.mark.parametrize(
    ("code", "http"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.UNAUTHENTICATED, 401),
        (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.ABORTED, 409),
        (grpc.StatusCode.ALREADY_EXISTS, 409),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
        (grpc.StatusCode.UNIMPLEMENTED, 501),
        (grpc.StatusCode.INTERNAL, 500),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    ],
)
def test_each_code_has_its_http_status(edge: Edge, code: grpc.StatusCode, http: int) -> None:
    def answer(request: Any, received: Any) -> Any:
        raise Refused(code, "SOME_REASON")

    edge.services.answers["CreateTransfer"] = answer
    answered = edge.http.post("/api/v1/transfers", json={}, headers=edge.headers())
    assert_refused(answered, http, code.name, "SOME_REASON")


# Deadlines and retries


@pytest.mark.parametrize(
    ("sent", "low", "high"),
    [(None, 4.0, 5.0), ("100S", 4.0, 5.0), ("500m", 0.1, 0.5)],
)
def test_the_deadline_is_added_and_capped(
    edge: Edge, sent: str | None, low: float, high: float
) -> None:
    headers = edge.headers() | ({"grpc-timeout": sent} if sent else {})
    assert edge.http.get("/api/v1/wallets", headers=headers).status_code == 200
    left = edge.services.last("ListWallets").seconds_left
    assert left is not None
    assert low < left <= high + 0.05


def test_a_slow_service_ends_in_a_deadline(edge: Edge) -> None:
    edge.services.answers["CreateTransfer"] = lambda request, received: received.over.wait(5)
    headers = {**edge.headers(), "grpc-timeout": "300m"}
    answered = edge.http.post("/api/v1/transfers", json={}, headers=headers)
    assert answered.status_code == 504
    assert eventually(lambda: "CreateTransfer" in edge.services.cancelled)


def test_only_what_is_safe_is_tried_again(edge: Edge) -> None:
    def answer(request: Any, received: Any) -> Any:
        name = received.rpc.rpartition("/")[2]
        if sum(call.rpc.endswith("/" + name) for call in edge.services.calls) < 3:
            raise Refused(grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
        method = edge.messages.method(received.rpc)
        return edge.messages.of(method.output_type.full_name)()

    edge.services.answers.update(ListWallets=answer, CreateTransfer=answer)
    assert edge.http.get("/api/v1/wallets", headers=edge.headers()).status_code == 200
    answered = edge.http.post("/api/v1/transfers", json={}, headers=edge.headers())
    assert_refused(answered, 503, "UNAVAILABLE", "SERVICE_UNAVAILABLE")
    assert sum(call.rpc.endswith("/CreateTransfer") for call in edge.services.calls) == 1


# What callers may not say


def test_headers_that_only_we_may_set_never_arrive(edge: Edge) -> None:
    forged = {
        "x-hazina-caller": "spiffe://hazina/payments",
        "x-hazina-tenant": "stolen",
        "x-hazina-anything": "1",
        "x-forwarded-client-cert": "URI=spiffe://hazina/payments",
        "x-envoy-original-path": "/forged",
        "x-envoy-external-address": "203.0.113.9",
        "x-forwarded-for": "203.0.113.9",
        "x-envoy-retry-on": "5xx",
        "x-request-id": "forged",
    }
    answer = edge.http.get("/api/v1/wallets", headers={**edge.headers(), **forged})
    assert answer.status_code == 200
    seen = edge.services.last("ListWallets").metadata
    for name in ("x-hazina-caller", "x-hazina-tenant", "x-hazina-anything", "x-envoy-retry-on"):
        assert name not in seen
    assert "x-forwarded-client-cert" not in seen
    assert seen["x-envoy-external-address"] == "127.0.0.1"
    assert seen["x-request-id"] == answer.headers["x-request-id"] != "forged"


@pytest.mark.parametrize(
    ("host", "query", "header", "tenant"),
    [
        ("acme.hazina.test", "", "", "acme"),
        ("acme.hazina.test:8080", "", "", "acme"),
        ("acme.hazina.test", "?tenant_id=query", "", "acme"),
        ("acme.hazina.test", "?tenant_id=query", "header", "header"),
        ("hazina.test", "?tenant_id=query", "", "query"),
        ("hazina.test", "", "", None),
        ("two.acme.hazina.test", "", "", None),
        ("acme.elsewhere.test", "", "", None),
    ],
)
def test_the_tenant_is_folded_into_one_header(
    edge: Edge, host: str, query: str, header: str, tenant: str | None
) -> None:
    headers = {**edge.headers(), "host": host, "x-hazina-tenant": "stolen"}
    if header:
        headers["x-tenant-id"] = header
    assert edge.http.get(f"/api/v1/wallets{query}", headers=headers).status_code == 200
    assert edge.services.last("ListWallets").metadata.get("x-hazina-tenant") == tenant


# API keys


def test_an_api_key_is_exchanged_for_a_token(edge: Edge) -> None:
    token = edge.keys.token(subject="0191b0a5-0000-7000-8000-00000000000f", life=120)

    def check(request: Any, received: Any) -> Any:
        assert request.attributes.request.http.headers["x-api-key"] == "hz_key"
        answer = edge.messages.of("envoy.service.auth.v3.CheckResponse")()
        added = answer.ok_response.headers.add(append_action=2)
        added.header.key, added.header.value = "authorization", f"Bearer {token}"
        answer.ok_response.headers_to_remove.append("x-api-key")
        return answer

    edge.services.answers["Check"] = check
    answer = edge.http.get("/api/v1/wallets", headers={"x-api-key": "hz_key"})
    assert answer.status_code == 200, answer.text
    seen = edge.services.last("ListWallets").metadata
    assert seen["authorization"] == f"Bearer {token}"
    assert "x-api-key" not in seen
    assert edge.services.last("Check").peer == ("spiffe://hazina/edge",)


def test_auth_is_not_asked_without_an_api_key(edge: Edge) -> None:
    edge.http.get("/api/v1/wallets", headers=edge.headers())
    assert all(not call.rpc.endswith("/Check") for call in edge.services.calls)


def test_a_refused_api_key(edge: Edge) -> None:
    def check(request: Any, received: Any) -> Any:
        answer = edge.messages.of("envoy.service.auth.v3.CheckResponse")()
        answer.status.code = 16
        answer.denied_response.status.code = 401
        return answer

    edge.services.answers["Check"] = check
    answer = edge.http.get("/api/v1/wallets", headers={"x-api-key": "wrong"})
    assert_refused(answer, 401, "UNAUTHENTICATED", "API_KEY_INVALID")


def test_api_keys_fail_closed_when_auth_is_away_and_tokens_go_on(edge: Edge) -> None:
    edge.services.stop("auth")
    try:
        answer = edge.http.get("/api/v1/wallets", headers={"x-api-key": "hz_key"})
        assert_refused(answer, 503, "UNAVAILABLE", "SERVICE_UNAVAILABLE")
        assert edge.http.get("/api/v1/wallets", headers=edge.headers()).status_code == 200
    finally:
        edge.services.start("auth")


# Browsers


def test_a_preflight_from_an_allowed_origin(edge: Edge) -> None:
    for path in ("/api/v1/transfers", WALLET):
        answer = edge.http.options(
            path,
            headers={
                "origin": "https://app.example.org",
                "access-control-request-method": "POST",
                "access-control-request-headers": "idempotency-key",
            },
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
        assert "idempotency-key" in answer.headers["access-control-allow-headers"]


def test_another_origin_gets_no_permission(edge: Edge) -> None:
    answer = edge.http.get(
        "/api/v1/wallets", headers={**edge.headers(), "origin": "https://evil.example.org"}
    )
    assert "access-control-allow-origin" not in answer.headers


def test_answers_carry_security_headers_and_are_not_kept(edge: Edge) -> None:
    for answer in (
        edge.http.get("/api/v1/wallets", headers=edge.headers()),
        edge.http.get("/api/v1/wallets"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
    assert "x-envoy-upstream-service-time" not in answer.headers


# Callbacks and logs


def test_a_callback_arrives_as_it_was_sent(edge: Edge) -> None:
    edge.services.answers["ReceiveCallback"] = lambda request, received: edge.messages.of(
        "google.api.HttpBody"
    )(content_type="application/json", data=b'{"ResultCode":0}')
    raw = b'{"Body": {"a" : 1}}'
    answer = edge.http.post(
        "/hooks/v1/daraja/topsecret", content=raw, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.content) == (200, b'{"ResultCode":0}')
    request: Any = edge.services.last("ReceiveCallback").request
    assert (request.provider, request.secret) == ("daraja", "topsecret")
    assert (request.body.data, request.body.content_type) == (raw, "application/json")


def test_the_access_log_holds_no_query_and_no_secret(edge: Edge) -> None:
    edge.http.get("/api/v1/wallets?tenant_id=in-the-query", headers=edge.headers())
    edge.http.post("/hooks/v1/daraja/topsecret", content="x" * 70_000)
    edge.http.post("/hooks/v1/daraja/topsecret", content="{}")
    assert eventually(lambda: edge.log.count('"route"') >= 3)
    assert "in-the-query" not in edge.log
    assert "topsecret" not in edge.log
    assert "Bearer" not in edge.log


def test_a_development_rpc_is_reachable_in_development(edge: Edge) -> None:
    answer = edge.http.get("/dev/v1/messages?recipient=a")
    assert answer.status_code != 404

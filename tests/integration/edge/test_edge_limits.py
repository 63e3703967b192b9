"""Rate limits, at scale 1."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.integration.edge.harness import Edge, refusal

EDGE_CHANGES: dict[str, Any] = {"rate_scale": 1}

ONE = "0191b0a5-0000-7000-8000-0000000000a1"
OTHER = "0191b0a5-0000-7000-8000-0000000000a2"


def statuses(edge: Edge, count: int, method: str, path: str, **claims: Any) -> list[int]:
    headers = edge.headers(**claims)
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(
            lambda _: edge.http.request(method, path, headers=headers, json={}).status_code,
            range(count),
        )
        return list(answers)


def test_a_class_is_one_bucket_per_person_over_all_its_rpcs(edge: Edge) -> None:
    assert set(statuses(edge, 40, "POST", "/api/v1/transfers", subject=ONE)) == {200}
    assert set(statuses(edge, 19, "POST", "/api/v1/deposits", subject=ONE)) == {200}
    headers = edge.headers(subject=ONE)
    answers = [edge.http.post("/api/v1/withdrawals", json={}, headers=headers) for _ in range(4)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    found = refused[0].json()
    assert (found["status"], found["reason"]) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    assert found["metadata"] == {"retryAfterSeconds": refused[0].headers["retry-after"]}
    assert refused[0].headers["x-ratelimit-limit"].startswith("60")
    # Another person, and another class of the same person, go on.
    assert edge.http.post(
        "/api/v1/transfers", json={}, headers=edge.headers(subject=OTHER)
    ).is_success
    assert edge.http.get("/api/v1/wallets", headers=headers).is_success
    while edge.http.post("/api/v1/transfers", json={}, headers=headers).is_success:
        pass
    with pytest.raises(grpc.RpcError) as caught:
        edge.call(edge.plain, "/hazina.payments.v1.PaymentService/CreateTransfer", headers)
    assert refusal(caught.value) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED", "hazina")
    call: Any = caught.value
    assert "retry-after" in dict(call.trailing_metadata()) | dict(call.initial_metadata() or ())


def test_every_address_has_a_bucket(edge: Edge) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: edge.http.get("/health"), range(300)))
    refused = [answer for answer in answers if answer.status_code == 429]
    # At most the burst, and 50 for each second that the calls took.
    assert 50 <= len(refused) < 300
    assert refused[0].json()["reason"] == "RATE_LIMITED"
    assert int(refused[0].headers["retry-after"]) >= 1

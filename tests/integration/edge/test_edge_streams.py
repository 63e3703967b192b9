"""Streams for JSON callers are server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc

from tests.integration.edge.harness import Edge, Refused, eventually

WATCH = "/api/v1/wallets/0191b0a5-0000-7000-8000-000000000002:watch"


def watching(edge: Edge, count: int, *, pause: float = 0.0) -> Any:
    kind = edge.messages.of("hazina.wallet.v1.WatchWalletResponse")

    def answer(request: Any, received: Any) -> Iterator[Any]:
        for number in range(count):
            yield kind(cursor=str(number))
            received.over.wait(pause)

    return answer


def test_each_message_is_an_event(edge: Edge) -> None:
    edge.services.answers["WatchWallet"] = watching(edge, 3)
    headers = {**edge.headers(), "accept-encoding": "gzip", "last-event-id": "7"}
    answer = edge.http.get(f"{WATCH}?cursor=7", headers=headers)
    assert answer.headers["content-type"] == "text/event-stream"
    assert "content-encoding" not in answer.headers
    events = [line for line in answer.text.splitlines() if line.startswith("data:")]
    assert [json.loads(event[5:])["cursor"] for event in events] == ["0", "1", "2"]
    seen = edge.services.last("WatchWallet")
    request: Any = seen.request
    assert (request.wallet_id, request.cursor) == (
        WATCH.rsplit("/", maxsplit=1)[-1].split(":", maxsplit=1)[0],
        "7",
    )
    assert seen.metadata["last-event-id"] == "7"
    assert seen.seconds_left is None or seen.seconds_left > 60


def test_events_come_as_they_are_sent_and_a_caller_who_leaves_is_noticed(edge: Edge) -> None:
    edge.services.answers["WatchWallet"] = watching(edge, 1000, pause=0.05)
    with edge.http.stream("GET", WATCH, headers=edge.headers()) as answer:
        first = next(answer.iter_lines())
        assert first.startswith("data:")
    assert eventually(lambda: "WatchWallet" in edge.services.cancelled, 3)


def test_a_refusal_before_the_first_event_is_a_plain_error(edge: Edge) -> None:
    def answer(request: Any, received: Any) -> Iterator[Any]:
        raise Refused(grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        yield  # a generator, as all streams are

    edge.services.answers["WatchWallet"] = answer
    answered = edge.http.get(WATCH, headers=edge.headers())
    assert answered.status_code == 404
    assert answered.headers["content-type"] == "application/json"
    assert answered.json()["reason"] == "NOT_FOUND"


def test_a_stream_needs_a_signed_in_caller_too(edge: Edge) -> None:
    answer = edge.http.get(WATCH)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "CREDENTIALS_MISSING"
    assert edge.services.calls == []


def test_a_stream_over_grpc(edge: Edge) -> None:
    edge.services.answers["WatchWallet"] = watching(edge, 2)
    call: Any = edge.plain.unary_stream(
        "/hazina.wallet.v1.WalletService/WatchWallet",
        response_deserializer=edge.messages.of("hazina.wallet.v1.WatchWalletResponse").FromString,
    )
    cursors = [message.cursor for message in call(b"", metadata=tuple(edge.headers().items()))]
    assert cursors == ["0", "1"]


def test_a_stream_of_a_path_without_variables(edge: Edge) -> None:
    kind = edge.messages.of("hazina.comms.v1.WatchNotificationsResponse")
    assert kind is not None
    answer = edge.http.get("/api/v1/notifications:watch")
    assert answer.status_code == 401

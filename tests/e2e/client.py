"""A pleasant client of the HTTP API: paths, bodies and money as a web developer writes them."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from tests.e2e.wire import Answer

HTTP_1 = "http/1.1"
HTTP_2 = "h2"


def kes(amount: str | float) -> dict[str, str]:
    """Kenyan shillings as JSON money: `kes("1200.50")`."""
    shillings, _, cents = str(amount).partition(".")
    return {"currency": "KES", "minorUnits": str(int(shillings) * 100 + int(cents.ljust(2, "0")))}


def minor(money: Mapping[str, str]) -> int:
    """Minor units of JSON money."""
    return int(money["minorUnits"])


class Client:
    """One HTTP client with the credentials of at most one person. Close it, or use it in `with`."""

    def __init__(
        self,
        edge: str,
        *,
        token: str = "",
        protocol: str = HTTP_1,
        headers: Mapping[str, str] | None = None,
        verify: Any = True,
    ) -> None:
        self.edge, self.protocol, self._verify = edge, protocol, verify
        self.headers = dict(headers or {})
        if token:
            self.headers["authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=edge,
            http1=protocol == HTTP_1,
            http2=protocol == HTTP_2,
            timeout=20,
            verify=verify,
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def as_(self, token: str, **headers: str) -> Client:
        """A client of the same edge with other credentials."""
        return Client(
            self.edge, token=token, protocol=self.protocol, headers=headers, verify=self._verify
        )

    def get(self, path: str, **query: str | int) -> Answer:
        """GET with a query."""
        return self.request("GET", path, query=query)

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None
    ) -> Answer:
        """POST of JSON, with an Idempotency-Key where `key` is given."""
        return self.request("POST", path, body=body or {}, key=key)

    def patch(self, path: str, body: Mapping[str, Any]) -> Answer:
        """PATCH of JSON."""
        return self.request("PATCH", path, body=body)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request. `content` sends bytes as they are, called JSON."""
        sent = {**self.headers, **(headers or {})}
        if key is not None:
            sent["idempotency-key"] = key
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("content-type", "application/json")
        response = self._http.request(
            method, path, params=dict(query or {}) or None, content=content, headers=sent
        )
        return Answer(
            response.status_code, response.headers, response.content, response.http_version
        )

    @contextlib.contextmanager
    def watch(self, path: str, **query: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The messages of a stream of server-sent events, heartbeats left out."""
        with self._http.stream(
            "GET",
            path,
            params=query or None,
            headers={**self.headers, "accept": "text/event-stream"},
        ) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield _events(response)


def new_key() -> str:
    """An Idempotency-Key that nobody used before."""
    return str(uuid.uuid4())


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if line.startswith("data:"):
            message: dict[str, Any] = json.loads(line.removeprefix("data:"))
            if "heartbeat" not in message:
                yield message

"""A client that does what the design tells clients to do: when no answer comes, ask again with the same key."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e.client import Client, new_key
from tests.e2e.mesh import NotInTime
from tests.e2e.wire import Answer

# No answer, or one that says: repeat with the same key.
_REPEAT = {502, 503, 504}


def insist(call: Callable[[], Answer], *, seconds: float = 60) -> dict[str, Any]:
    """Repeat a call until it is answered for good; a refusal other than "not now" fails at once."""
    until = time.monotonic() + seconds
    while True:
        try:
            answer = call()
        except httpx.TransportError as error:
            last: object = error
        else:
            if answer.status not in _REPEAT:
                return answer.ok()
            last = answer.content[:400]
        if time.monotonic() > until:
            raise NotInTime(f"not answered within {seconds:.0f} s; last: {last!r}")
        time.sleep(0.1)


def insist_on_post(
    client: Client, path: str, body: dict[str, Any], *, key: str | None = None
) -> dict[str, Any]:
    """POST with one key for every try."""
    key = key or new_key()
    return insist(lambda: client.post(path, body, key=key))


def try_post(client: Client, path: str, body: dict[str, Any], *, key: str) -> None:
    """POST once and do not care about the answer: somebody is about to die."""
    try:
        client.post(path, body, key=key)
    except httpx.TransportError:
        return

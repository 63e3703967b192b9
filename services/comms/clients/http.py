"""Reads an answer over HTTP no further than it may be long."""

import json
from typing import Any

import httpx

__all__ = ["read_json"]


async def read_json(
    http: httpx.AsyncClient, request: httpx.Request, *, bytes_max: int
) -> tuple[int, Any]:
    """Send a request; answers the status and, for 2xx, the JSON body (otherwise None).

    Raises httpx.HTTPError, and ValueError for a body that is no JSON or longer than `bytes_max`.
    """
    response = await http.send(request, stream=True)
    try:
        if not response.is_success:
            return response.status_code, None
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > bytes_max:
                raise ValueError("the answer is too long")
        return response.status_code, json.loads(bytes(body))
    finally:
        await response.aclose()

"""The event streams of a mesh, seen from outside."""

from __future__ import annotations

import time

import redis

from tests.e2e.mesh import Mesh, wait_until


def wait_consumed(mesh: Mesh) -> None:
    """Wait until every consumer has read every stream to its end, and look twice: relays publish a moment later."""
    with redis.Redis.from_url(mesh.stack.redis_url, decode_responses=True) as connection:

        def consumed() -> bool:
            return not any(
                group["pending"] or group.get("lag")
                for stream in connection.scan_iter("events.*")
                for group in connection.xinfo_groups(stream)
            )

        for _ in range(2):
            wait_until("every event was consumed", consumed, seconds=30)
            time.sleep(1)

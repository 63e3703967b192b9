"""Whether a session still stands, asked of auth before money moves. The answer counts for one second.

The one module of the kit that knows another service's contract: revocation has to reach every service that moves money.
"""

import asyncio
import time
from uuid import UUID

from hazina.auth.v1 import session_service_pb2, session_service_pb2_grpc
from services.kit import telemetry
from services.kit.channels import Channels
from services.kit.errors import SessionEnded
from services.kit.identity import User

__all__ = ["Sessions"]

_CACHED_SECONDS = 1.0
_DEADLINE_SECONDS = 2.0
_CACHE_SIZE_MAX = 10_000


class Sessions:
    """Asks auth, once a second per session at most."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(session_service_pb2_grpc.SessionServiceStub)
        self._standing_until: dict[tuple[UUID, UUID | None], float] = {}
        self._asking: dict[tuple[UUID, UUID | None], asyncio.Task[None]] = {}

    async def check(self, user: User) -> None:
        """Raises SessionEnded; ServiceUnavailable if auth cannot be asked: then no money moves."""
        key = (user.session_id, user.api_key_id)
        now = time.monotonic()
        if self._standing_until.get(key, 0.0) > now:
            return
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(user))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        await asyncio.shield(asking)

    async def _ask(self, user: User) -> None:
        """One question for everyone who waits: so it has its own deadline, not that of whoever came first."""
        asked_at = time.monotonic()
        request = session_service_pb2.CheckSessionRequest(
            user_id=str(user.id), session_id=str(user.api_key_id or user.session_id)
        )
        origin = telemetry.current.get()
        request_id = telemetry.new_request_id() if origin is None else origin.request_id
        with telemetry.continued(telemetry.traceparent(), request_id=request_id):
            answer = await self._stub.CheckSession(request, timeout=_DEADLINE_SECONDS)
        if not answer.active:
            raise SessionEnded
        if len(self._standing_until) >= _CACHE_SIZE_MAX:
            self._standing_until.clear()
        self._standing_until[user.session_id, user.api_key_id] = asked_at + _CACHED_SECONDS

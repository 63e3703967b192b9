"""Ways to call any RPC by its descriptor: as JSON and gRPC through the edge, and as gRPC on the mesh."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any

import grpc
import httpx
from google.protobuf.message import Message

from tests.e2e.mesh import Mesh
from tests.e2e.people import People, Person
from tests.e2e.wire import Answer, Metadata, Refusal, refusal_of
from tests.matrix.contracts import Rpc
from tests.matrix.transcoding import HttpCall

TIMEOUT_SECONDS = 15.0


class Doors:
    """Every door of a mesh, opened once, with the credentials of one person who may do everything in a tenant of theirs."""

    def __init__(self, mesh: Mesh, people: People) -> None:
        self.mesh = mesh
        self.tenant = people.make_tenant()
        self.person: Person = people.sign_up("Everything", tenant=self.tenant)
        people.give_roles(self.person, "member", "staff", "admin", tenant=self.tenant)
        self._stack = contextlib.ExitStack()
        self._channels: dict[str, grpc.Channel] = {}
        self._http = self._stack.enter_context(
            httpx.Client(base_url=mesh.edge, timeout=TIMEOUT_SECONDS, trust_env=False)
        )

    def close(self) -> None:
        """Close every connection."""
        self._stack.close()

    # gRPC

    def channel(self, door: str) -> grpc.Channel:
        """`edge`, `mesh:<identity>` or `<service>:<identity>`."""
        if door not in self._channels:
            where, _, identity = door.partition(":")
            channel = (
                self.mesh.edge_channel()
                if where == "edge"
                else self.mesh.mesh_channel(identity)
                if where == "mesh"
                else self.mesh.service_channel(where, identity)
            )
            self._channels[door] = self._stack.enter_context(channel)
        return self._channels[door]

    def grpc(
        self,
        rpc: Rpc,
        request: Message | bytes,
        *,
        door: str = "",
        metadata: Metadata | None = None,
    ) -> Refusal | None:
        """Call an RPC; None when it succeeded. Without a door: the edge, or the mesh as the first allowed caller."""
        if not door:
            door = "edge" if rpc.access != "SERVICE" else f"mesh:{rpc.policy.callers[0]}"
        if metadata is None:
            metadata = self.metadata(rpc)
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        channel: Any = self.channel(door)
        try:
            if rpc.streams:
                stream: Any = channel.unary_stream(rpc.path)(
                    raw, metadata=metadata, timeout=TIMEOUT_SECONDS
                )
                next(stream)
                stream.cancel()
            else:
                channel.unary_unary(rpc.path)(raw, metadata=metadata, timeout=TIMEOUT_SECONDS)
        except StopIteration:
            return None
        except grpc.RpcError as error:
            return refusal_of(error)
        return None

    def metadata(self, rpc: Rpc, *, token: str | None = None) -> Metadata:
        """What a well-behaved client sends with an RPC."""
        headers: Metadata = (("x-tenant-id", self.tenant),) if rpc.access != "SERVICE" else ()
        if rpc.access == "USER":
            token = self.person.access_token if token is None else token
            headers = (*headers, ("authorization", f"Bearer {token}"))
        if rpc.keyed:
            headers = (*headers, ("idempotency-key", str(uuid.uuid4())))
        return headers

    # JSON

    def json(
        self, rpc: Rpc, call: HttpCall, *, headers: dict[str, str] | None = None
    ) -> Refusal | None:
        """Call an RPC as JSON; None when it succeeded."""
        if headers is None:
            headers = {key: str(value) for key, value in self.metadata(rpc)}
        if call.content is not None:
            headers = {"content-type": "application/json", **headers}
        with self._http.stream(
            call.method, call.path, params=_flat(call.query), content=call.content, headers=headers
        ) as response:
            if response.status_code == 200:
                return None
            content = response.read()
            return Answer(
                response.status_code, response.headers, content, response.http_version
            ).refusal()


def _flat(query: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in query.items():
        pairs += [(name, part) for part in (value if isinstance(value, list) else [value])]
    return pairs

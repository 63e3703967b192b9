"""Walking all RPCs of a contract."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from hazina.policy.v1 import policy_pb2

__all__ = ["Rpc", "call", "rpcs"]


@dataclass(frozen=True)
class Rpc:
    """One RPC, with an empty request."""

    service: str
    name: str
    request: Any
    is_stream: bool
    is_keyed: bool
    is_public: bool


def rpcs(*files: FileDescriptor) -> list[Rpc]:
    """Every RPC of the services in these files."""
    return [
        _rpc(service.full_name, method)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    ]


async def call(stub: Any, rpc: Rpc, *, request: Any = None) -> None:
    """Call an RPC through a stub of its service, with an Idempotency-Key where it needs one; answers are dropped."""
    calling = getattr(stub, rpc.name)(
        rpc.request if request is None else request, key="a-key" if rpc.is_keyed else None
    )
    if rpc.is_stream:
        async for _ in calling:
            pass
    else:
        await calling


def _rpc(service: str, method: MethodDescriptor) -> Rpc:
    policy = method.GetOptions().Extensions[policy_pb2.policy]
    return Rpc(
        service=service,
        name=method.name,
        request=GetMessageClass(method.input_type)(),
        is_stream=method.server_streaming,
        is_keyed=policy.idempotency == policy_pb2.Policy.KEYED,
        is_public=policy.access == policy_pb2.Policy.PUBLIC,
    )

"""The contract of tests/harness/proto, compiled when this module is imported: it is no part of the product."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

import hazina.policy.v1.policy_pb2
import hazina.type.v1.money_pb2  # noqa: F401 - the pool must know what the contract imports

_ROOT = Path(__file__).resolve().parents[2]
_FILE = "hazina/probe/v1/probe.proto"


def _compile() -> descriptor_pb2.FileDescriptorProto:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "probe.binpb"
        command = [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={Path(__file__).parent / 'proto'}",
            f"--descriptor_set_in={_ROOT / 'gen/descriptors/hazina.binpb'}",
            f"--descriptor_set_out={out}",
            _FILE,
        ]
        subprocess.run(command, check=True, cwd=_ROOT)
        [file] = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
        return file


_pool = descriptor_pool.Default()
try:
    _pool.FindFileByName(_FILE)
except KeyError:
    _pool.Add(_compile())

SERVICE = "hazina.probe.v1.ProbeService"
BARE = "hazina.probe.v1.BareService"


def _message(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"hazina.probe.v1.{name}"))


ProbeRequest = _message("ProbeRequest")
ProbeResponse = _message("ProbeResponse")
ProbeHappened = _message("ProbeHappened")
ServeRequest = _message("ServeRequest")
Item = _message("Item")


class ProbeServiceStub:
    """What grpc_tools would generate."""

    def __init__(self, channel: Any) -> None:
        for method in _pool.FindServiceByName(SERVICE).methods:
            kind = channel.unary_stream if method.server_streaming else channel.unary_unary
            stub = kind(
                f"/{SERVICE}/{method.name}",
                request_serializer=GetMessageClass(method.input_type).SerializeToString,
                response_deserializer=GetMessageClass(method.output_type).FromString,
            )
            setattr(self, method.name, stub)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

"""The contracts as the command line needs them: find an RPC by a part of its name, speak JSON, read a refusal."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from mesh.contract.model import Contract, Rpc
from mesh.contract.read import read
from mesh.stack.home import ROOT, StackError

DESCRIPTORS = ROOT / "gen" / "descriptors" / "hazina.binpb"


@dataclass(frozen=True, slots=True)
class Contracts:
    """Everything that was compiled from the contracts."""

    contract: Contract
    pool: descriptor_pool.DescriptorPool

    def find(self, name: str) -> Rpc:
        """The RPC with this name, full or its end. Raises with what comes near when it is none or several."""
        wanted = name.strip("/").replace("/", ".").lower()
        rpcs = list(self.contract.rpcs)
        exact = [rpc for rpc in rpcs if _dotted(rpc).lower() == wanted]
        ends = [rpc for rpc in rpcs if _dotted(rpc).lower().endswith(f".{wanted}")]
        found = exact or ends
        if len(found) == 1:
            return found[0]
        near = found or [rpc for rpc in rpcs if wanted.split(".")[-1] in rpc.name.lower()]
        listed = "\n".join(f"  {rpc.path[1:]}" for rpc in near[:12])
        raise StackError(
            f"{name} names {'several RPCs' if found else 'no RPC'}."
            + (f" Did you mean:\n{listed}" if listed else " `hazina call` lists all.")
        )

    def message(self, full_name: str) -> type[Message]:
        """The class of a message."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(full_name))

    def parse(self, full_name: str, document: Mapping[str, Any]) -> Message:
        """A message from its JSON. Raises with the field that does not fit."""
        message = self.message(full_name)()
        try:
            json_format.ParseDict(dict(document), message, descriptor_pool=self.pool)
        except json_format.ParseError as error:
            raise StackError(f"This is no {full_name}: {error}") from error
        return message

    def document(self, message: Message) -> dict[str, Any]:
        """The JSON of a message, as Envoy prints it: zeros and empty lists included."""
        printed: dict[str, Any] = json_format.MessageToDict(
            message, always_print_fields_with_no_presence=True, descriptor_pool=self.pool
        )
        return printed


@functools.cache
def load() -> Contracts:
    """Read the committed descriptor set."""
    try:
        compiled = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    except FileNotFoundError as error:
        raise StackError(f"{DESCRIPTORS} is missing. Run `make gen`.") from error
    pool = descriptor_pool.DescriptorPool()
    for file in compiled.file:
        pool.AddSerializedFile(file.SerializeToString())
    return Contracts(read(compiled), pool)


class Refused(StackError):
    """A call that was answered with an error; `reason` is the stable one, `status` the canonical code's name."""

    def __init__(self, status: str, message: str, flat: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(flat.get("reason", ""))
        self.flat = flat
        lines = [f"{status}{f' ({self.reason})' if self.reason else ''}: {message}"]
        lines += [
            f"  {violation.get('field', '')}: {violation.get('description', '')}"
            for violation in flat.get("fieldViolations", [])
        ]
        metadata = flat.get("metadata") or {}
        lines += [f"  {name} = {value}" for name, value in metadata.items()]
        if flat.get("requestId"):
            lines.append(f"  request id {flat['requestId']}")
        super().__init__("\n".join(lines))


def refusal(status: str, message: str, details: bytes | None) -> Refused:
    """From a gRPC error and its `grpc-status-details-bin`, which is our flat shape in binary."""
    flat: dict[str, Any] = {}
    if details:
        contracts = load()
        decoded = contracts.message("hazina.type.v1.Status").FromString(details)
        decoded.ClearField("details")  # says the same in the words of google.rpc
        flat = json_format.MessageToDict(decoded, descriptor_pool=contracts.pool)
        message = str(flat.get("message") or message)
    return Refused(status, message, flat)


def pretty(document: Mapping[str, Any]) -> str:
    """Indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def query(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A request as query parameters: nested fields are joined by dots, lists repeat."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from query(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield from ((f"{prefix}{name}", str(item)) for item in value)
        else:
            yield f"{prefix}{name}", str(value).lower() if isinstance(value, bool) else str(value)


def _dotted(rpc: Rpc) -> str:
    return f"{rpc.service}.{rpc.name}"

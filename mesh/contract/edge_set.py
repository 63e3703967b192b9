"""The descriptor set that Envoy transcodes by. It differs from the contracts in two ways, both on purpose.

`google.rpc.Status` is flat: it has the fields of `hazina.type.v1.Status` above 1000 and no `details`, so that the
transcoder prints our error shape from what services send. And it holds only what the edge may route.
"""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from mesh.contract.model import Access, Contract

STATUS_FILE = "google/rpc/status.proto"
OUR_STATUS_FILE = "hazina/type/v1/status.proto"
FLAT_FROM = 1001


def edge_set(
    compiled: FileDescriptorSet, contract: Contract, *, is_development: bool
) -> FileDescriptorSet:
    """A smaller copy of the compiled contracts, in an order in which imports come first."""
    routed = {
        (rpc.service, rpc.name)
        for rpc in contract.rpcs
        if rpc.rules.access in (Access.PUBLIC, Access.USER)
        and (is_development or not rpc.rules.development_only)
    }
    files: dict[str, FileDescriptorProto] = {}
    for file in compiled.file:
        copy = FileDescriptorProto()
        copy.CopyFrom(file)
        copy.ClearField("source_code_info")
        for service in copy.service:
            kept = [
                m for m in service.method if (f"{copy.package}.{service.name}", m.name) in routed
            ]
            del service.method[:]
            service.method.extend(kept)
        files[copy.name] = copy
    _flatten(files)
    return FileDescriptorSet(file=_imports_first(files))


def _flatten(files: dict[str, FileDescriptorProto]) -> None:
    ours = _message(files[OUR_STATUS_FILE])
    theirs = _message(files[STATUS_FILE])
    flat = DescriptorProto(name="Status")
    flat.field.extend(f for f in theirs.field if f.name != "details")
    flat.field.extend(f for f in ours.field if f.number >= FLAT_FROM)
    flat.nested_type.extend(n for n in ours.nested_type if n.options.map_entry)
    for field in flat.field:
        if field.type_name == ".hazina.type.v1.Status.MetadataEntry":
            field.type_name = ".google.rpc.Status.MetadataEntry"
    status = files[STATUS_FILE]
    del status.message_type[:]
    status.message_type.append(flat)
    del status.dependency[:]
    status.dependency.append(OUR_STATUS_FILE)


def _message(file: FileDescriptorProto) -> DescriptorProto:
    return next(message for message in file.message_type if message.name == "Status")


def _imports_first(files: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    ordered: dict[str, FileDescriptorProto] = {}

    def add(name: str) -> None:
        if name not in ordered:
            for dependency in files[name].dependency:
                add(dependency)
            ordered[name] = files[name]

    for name in sorted(files):
        add(name)
    return list(ordered.values())

"""Third-party contracts, taken from pinned wheels into the git-ignored second module `.proto-deps/`.

The registry of buf is not needed: `google/api` and `google/rpc` are text in `googleapis-common-protos`,
`google/protobuf` is text in `grpcio-tools`, and `buf/validate` is printed from the descriptor that `protovalidate` holds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib.metadata import distribution, version
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

DIRECTORY = ".proto-deps"
WHEELS = ("googleapis-common-protos", "grpcio-tools", "protovalidate")

_GOOGLE_API = ("annotations", "http", "httpbody", "field_behavior")
_GOOGLE_RPC = ("code", "status", "error_details")
_GOOGLE_PROTOBUF = (
    "any",
    "descriptor",
    "duration",
    "empty",
    "field_mask",
    "struct",
    "timestamp",
    "wrappers",
)


def fill(root: Path) -> Path:
    """Make sure that `<root>/.proto-deps` holds the contracts of exactly the installed wheels. Returns the folder."""
    target = root / DIRECTORY
    stamp = "\n".join(f"{wheel}=={version(wheel)}" for wheel in WHEELS) + "\n"
    mark = target / "versions.txt"
    if mark.is_file() and mark.read_text() == stamp:
        return target
    shutil.rmtree(target, ignore_errors=True)
    for wheel, prefix, folder, names in (
        ("googleapis-common-protos", "", "google/api", _GOOGLE_API),
        ("googleapis-common-protos", "", "google/rpc", _GOOGLE_RPC),
        ("grpcio-tools", "grpc_tools/_proto/", "google/protobuf", _GOOGLE_PROTOBUF),
    ):
        (target / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            path = f"{folder}/{name}.proto"
            shutil.copyfile(str(distribution(wheel).locate_file(prefix + path)), target / path)
    (target / "buf/validate").mkdir(parents=True)
    (target / "buf/validate/validate.proto").write_text(print_file(_validate_descriptor()))
    mark.write_text(stamp)
    return target


def _validate_descriptor() -> FileDescriptorProto:
    from protovalidate._gen.buf.validate import validate_pb  # type: ignore[import-untyped,unused-ignore]

    return FileDescriptorProto.FromString(validate_pb._DESC.proto.to_binary())


def print_file(file: FileDescriptorProto) -> str:
    """The text of a descriptor: messages, enums, oneofs, maps and extensions. Option bodies are left out."""
    lines = [
        f'syntax = "{file.syntax or "proto2"}";',
        f"package {file.package};",
        *(f'import "{name}";' for name in file.dependency),
    ]
    proto2 = file.syntax != "proto3"
    for enum in file.enum_type:
        lines += _enum(enum)
    for message in file.message_type:
        lines += _message(message, proto2=proto2)
    lines += _extensions(file.extension, proto2=proto2)
    return "\n".join(lines) + "\n"


def _extensions(fields: Iterable[FieldDescriptorProto], *, proto2: bool) -> list[str]:
    lines = []
    for field in fields:
        lines.append(f"extend {field.extendee} {{")
        lines.append("  " + _field(field, {}, proto2=proto2, bare=False))
        lines.append("}")
    return lines


def _message(message: DescriptorProto, *, proto2: bool) -> list[str]:
    entries = {n.name: n for n in message.nested_type if n.options.map_entry}
    body: list[str] = []
    for enum in message.enum_type:
        body += _enum(enum)
    for nested in message.nested_type:
        if nested.name not in entries:
            body += _message(nested, proto2=proto2)
    open_oneof: int | None = None
    for field in message.field:
        oneof = field.oneof_index if field.HasField("oneof_index") else None
        if oneof != open_oneof:
            if open_oneof is not None:
                body.append("}")
            if oneof is not None:
                body.append(f"oneof {message.oneof_decl[oneof].name} {{")
            open_oneof = oneof
        body.append(_field(field, entries, proto2=proto2, bare=oneof is not None))
    if open_oneof is not None:
        body.append("}")
    body += [f"extensions {r.start} to {_end(r.end)};" for r in message.extension_range]
    return [f"message {message.name} {{", *("  " + line for line in body), "}"]


def _end(exclusive: int) -> str:
    return "max" if exclusive == 536870912 else str(exclusive - 1)


def _enum(enum: EnumDescriptorProto) -> list[str]:
    return [
        f"enum {enum.name} {{",
        *(f"  {value.name} = {value.number};" for value in enum.value),
        "}",
    ]


def _field(
    field: FieldDescriptorProto, entries: dict[str, DescriptorProto], *, proto2: bool, bare: bool
) -> str:
    entry = entries.get(field.type_name.rpartition(".")[2])
    if entry is not None and field.type_name.endswith("Entry"):
        key, value = (_type(f) for f in entry.field)
        return f"map<{key}, {value}> {field.name} = {field.number};"
    label = ""
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        label = "repeated "
    elif field.label == FieldDescriptorProto.LABEL_REQUIRED:
        label = "required "
    elif proto2 and not bare:
        label = "optional "
    return f"{label}{_type(field)} {field.name} = {field.number};"


def _type(field: FieldDescriptorProto) -> str:
    if field.type_name:
        return field.type_name
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()

"""Reads a descriptor set into the typed model. Only packages below `hazina` are services of the mesh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)
from google.protobuf.message import Message as ProtobufMessage

from mesh.contract.model import (
    BODY_BYTES_DEFAULT,
    Access,
    Binding,
    Contract,
    Enumeration,
    EnumValue,
    Field,
    Idempotency,
    Message,
    Permission,
    Policy,
    Rate,
    Reason,
    Rpc,
    Service,
)

OWN = "hazina."
REASONS = "ErrorReason"
PERMISSIONS = "hazina.policy.v1.Permission.Name"


def read(compiled: FileDescriptorSet) -> Contract:
    """The model of a descriptor set that has its imports and source information."""
    return _Reader(compiled).contract()


class _Options:
    """Reads options with the extensions that the set itself declares, whatever is imported in this process."""

    def __init__(self, compiled: FileDescriptorSet) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in compiled.file:
            bare = FileDescriptorProto()
            bare.CopyFrom(file)
            bare.ClearField("source_code_info")
            self._pool.Add(bare)  # type: ignore[no-untyped-call,unused-ignore]

    def get(self, options: ProtobufMessage, extension: str) -> Any:
        """The extension's value as a message, or None where it is not set or not known."""
        if not options.ByteSize():
            return None
        try:
            known: Any = self._pool.FindExtensionByName(extension)
        except KeyError:
            return None
        kind = self._pool.FindMessageTypeByName(options.DESCRIPTOR.full_name)
        parsed = message_factory.GetMessageClass(kind).FromString(options.SerializeToString())
        return parsed.Extensions[known] if parsed.HasExtension(known) else None


class _Reader:
    def __init__(self, compiled: FileDescriptorSet) -> None:
        self._files = list(compiled.file)
        self._options = _Options(compiled)

    def contract(self) -> Contract:
        messages: dict[str, Message] = {}
        enumerations: dict[str, Enumeration] = {}
        reasons: dict[tuple[str, str], Reason] = {}
        permissions: dict[str, Permission] = {}
        services: list[Service] = []
        for file in self._files:
            comments = _Comments(file)
            for name, message, path in _messages(file):
                if not message.options.map_entry:
                    messages[name] = self._message(name, message, file.package, comments, path)
            for name, enum, path in _enums(file):
                enumerations[name] = _enumeration(name, enum, file.package, comments, path)
                if name == PERMISSIONS:
                    permissions = self._permissions(enum, enumerations[name])
                elif name == f"{file.package}.{REASONS}" and file.package.startswith(OWN):
                    for reason in self._reasons(enum, enumerations[name]):
                        reasons[file.package, reason.name] = reason
            if file.package.startswith(OWN):
                for index, service in enumerate(file.service):
                    services.append(self._service(service, file.package, comments, (6, index)))
        return Contract(
            services=tuple(sorted(services, key=lambda s: s.full_name)),
            messages=messages,
            enumerations=enumerations,
            reasons=reasons,
            permissions=permissions,
        )

    def _service(
        self,
        service: ServiceDescriptorProto,
        package: str,
        comments: _Comments,
        path: tuple[int, ...],
    ) -> Service:
        full_name = f"{package}.{service.name}"
        return Service(
            full_name=full_name,
            package=package,
            comment=comments.at(path),
            rpcs=tuple(
                self._rpc(method, full_name, package, comments.at((*path, 2, index)))
                for index, method in enumerate(service.method)
            ),
        )

    def _rpc(self, method: MethodDescriptorProto, service: str, package: str, comment: str) -> Rpc:
        return Rpc(
            name=method.name,
            service=service,
            package=package,
            comment=comment,
            request=method.input_type.lstrip("."),
            response=method.output_type.lstrip("."),
            client_streaming=method.client_streaming,
            server_streaming=method.server_streaming,
            deprecated=method.options.deprecated,
            bindings=self._bindings(method.options),
            policy=self._policy(method.options),
        )

    def _bindings(self, options: MethodOptions) -> tuple[Binding, ...]:
        rule = self._options.get(options, "google.api.http")
        if rule is None:
            return ()
        return tuple(_binding(r) for r in (rule, *rule.additional_bindings))

    def _policy(self, options: MethodOptions) -> Policy | None:
        policy = self._options.get(options, "hazina.policy.v1.policy")
        if policy is None:
            return None
        timeout = None
        if policy.HasField("timeout"):
            timeout = policy.timeout.seconds + policy.timeout.nanos / 1e9
        return Policy(
            access=Access(policy.access),
            permissions=tuple(policy.permissions),
            callers=tuple(policy.callers),
            rate=Rate(policy.rate),
            timeout_seconds=timeout,
            idempotency=Idempotency(policy.idempotency),
            step_up=policy.step_up,
            min_kyc_tier=policy.min_kyc_tier,
            audited=policy.audited,
            reasons=tuple(policy.reasons),
            body_bytes_max=policy.body_bytes_max or BODY_BYTES_DEFAULT,
            development_only=policy.development_only,
        )

    def _message(
        self,
        name: str,
        message: DescriptorProto,
        package: str,
        comments: _Comments,
        path: tuple[int, ...],
    ) -> Message:
        entries = {n.name: n for n in message.nested_type if n.options.map_entry}
        synthetic = {f.oneof_index for f in message.field if f.proto3_optional}
        required = set()
        for oneof in message.oneof_decl:
            rule = self._options.get(oneof.options, "buf.validate.oneof")
            if rule is not None and rule.required:
                required.add(oneof.name)
        return Message(
            full_name=name,
            package=package,
            comment=comments.at(path),
            fields=tuple(
                self._field(field, message, entries, comments.at((*path, 2, index)))
                for index, field in enumerate(message.field)
            ),
            oneof_comments={
                oneof.name: comments.at((*path, 8, index))
                for index, oneof in enumerate(message.oneof_decl)
                if index not in synthetic
            },
            oneof_required=frozenset(required),
            rules=_plain(self._options.get(message.options, "buf.validate.message")),
        )

    def _field(
        self,
        field: FieldDescriptorProto,
        message: DescriptorProto,
        entries: Mapping[str, DescriptorProto],
        comment: str,
    ) -> Field:
        rules = _plain(self._options.get(field.options, "buf.validate.field"))
        entry = entries.get(field.type_name.rpartition(".")[2])
        if entry is not None:
            key, value = entry.field
            return Field(
                name=field.name,
                json_name=field.json_name,
                number=field.number,
                kind="map",
                key_kind=_kind(key),
                value=self._field(value, entry, {}, ""),
                comment=comment,
                deprecated=field.options.deprecated,
                rules=rules,
            )
        in_oneof = field.HasField("oneof_index") and not field.proto3_optional
        return Field(
            name=field.name,
            json_name=field.json_name,
            number=field.number,
            kind=_kind(field),
            type_name=field.type_name.lstrip("."),
            repeated=field.label == FieldDescriptorProto.LABEL_REPEATED,
            optional=field.proto3_optional,
            oneof=message.oneof_decl[field.oneof_index].name if in_oneof else "",
            comment=comment,
            deprecated=field.options.deprecated,
            rules=rules,
        )

    def _permissions(
        self, enum: EnumDescriptorProto, read_enum: Enumeration
    ) -> dict[str, Permission]:
        found = {}
        for value, told in zip(enum.value, read_enum.values, strict=True):
            grant = self._options.get(value.options, "hazina.policy.v1.grant")
            if grant is not None:
                found[grant.name] = Permission(
                    name=grant.name, roles=tuple(grant.roles), comment=told.comment
                )
        return found

    def _reasons(self, enum: EnumDescriptorProto, read_enum: Enumeration) -> Iterator[Reason]:
        codes = self._code_names()
        for value, told in zip(enum.value, read_enum.values, strict=True):
            if value.number == 0:
                continue
            refusal = self._options.get(value.options, "hazina.policy.v1.refusal")
            yield Reason(
                name=value.name,
                package=read_enum.package,
                code=codes[refusal.code] if refusal is not None else "",
                comment=told.comment,
            )

    def _code_names(self) -> dict[int, str]:
        for file in self._files:
            for enum in file.enum_type:
                if f"{file.package}.{enum.name}" == "google.rpc.Code":
                    return {value.number: value.name for value in enum.value}
        return {}


class _Comments:
    """Leading comments of one file by their place in it, as plain text without the comment signs."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._at = {
            tuple(location.path): _text(location.leading_comments)
            for location in file.source_code_info.location
            if location.leading_comments
        }

    def at(self, path: tuple[int, ...]) -> str:
        return self._at.get(path, "")


def _text(comment: str) -> str:
    lines = [line.removeprefix(" ").rstrip() for line in comment.splitlines()]
    kept = [line for line in lines if not line.startswith("buf:lint:")]
    return "\n".join(kept).strip()


def _messages(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto, tuple[int, ...]]]:
    for index, message in enumerate(file.message_type):
        yield from _nested(f"{file.package}.{message.name}", message, (4, index))


def _nested(
    name: str, message: DescriptorProto, path: tuple[int, ...]
) -> Iterator[tuple[str, DescriptorProto, tuple[int, ...]]]:
    yield name, message, path
    for index, nested in enumerate(message.nested_type):
        yield from _nested(f"{name}.{nested.name}", nested, (*path, 3, index))


def _enums(
    file: FileDescriptorProto,
) -> Iterator[tuple[str, EnumDescriptorProto, tuple[int, ...]]]:
    for index, enum in enumerate(file.enum_type):
        yield f"{file.package}.{enum.name}", enum, (5, index)
    for name, message, path in _messages(file):
        for index, enum in enumerate(message.enum_type):
            yield f"{name}.{enum.name}", enum, (*path, 4, index)


def _enumeration(
    name: str,
    enum: EnumDescriptorProto,
    package: str,
    comments: _Comments,
    path: tuple[int, ...],
) -> Enumeration:
    return Enumeration(
        full_name=name,
        package=package,
        comment=comments.at(path),
        values=tuple(
            EnumValue(name=value.name, number=value.number, comment=comments.at((*path, 2, index)))
            for index, value in enumerate(enum.value)
        ),
    )


def _binding(rule: Any) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb == "custom":
        return Binding(
            method=rule.custom.kind,
            path=rule.custom.path,
            body=rule.body,
            response_body=rule.response_body,
        )
    return Binding(
        method=str(verb).upper(),
        path=getattr(rule, str(verb)),
        body=rule.body,
        response_body=rule.response_body,
    )


def _kind(field: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _plain(message: Any) -> Mapping[str, Any]:
    """A message as nested dictionaries of what is set, by Protobuf names, numbers kept as numbers."""
    if message is None:
        return {}
    return {field.name: _plain_value(value) for field, value in message.ListFields()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, ProtobufMessage):
        return _plain(value)
    if isinstance(value, str | bytes | int | float | bool):
        return value
    return tuple(_plain_value(item) for item in value)

"""Requests for every RPC, made from the contracts: good ones, and ones that break exactly one rule.

A good request keeps every rule of its contract and names nothing that exists. A broken one is a good one with one
field changed; the field's path is what the refusal must name.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from buf.validate import validate_pb2

INT64_MAX = 2**63 - 1
INT32_MAX = 2**31 - 1

_STRING = FieldDescriptor.TYPE_STRING
_MESSAGE = FieldDescriptor.TYPE_MESSAGE
_ENUM = FieldDescriptor.TYPE_ENUM
_INT64 = FieldDescriptor.TYPE_INT64
_INT32 = FieldDescriptor.TYPE_INT32

# A text for each pattern of the contracts. A new pattern needs a line here; `good_text` says so.
_BY_PATTERN: dict[str, Callable[[], str]] = {
    "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})?$": lambda: str(uuid.uuid4()),
    "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})?$": lambda: str(
        uuid.uuid4()
    ),
    "^([0-9]{6})?$": lambda: "123456",
    "^[0-9]{6}$": lambda: "123456",
    "^[0-9]{4,6}$": lambda: "4826",
    "^[A-Z][A-Z_]{0,30}$": lambda: "TRANSFER",
    "^[a-z][a-z0-9_]{0,30}$": lambda: "daraja",
    "^[a-z][a-z0-9-]{0,30}$": lambda: f"t{uuid.uuid4().hex[:12]}",
    "^[+][1-9][0-9]{6,14}$": lambda: f"+25470{uuid.uuid4().int % 10**7:07d}",
    "^(SYSTEM:(FEES|PROVIDER_COSTS|SUSPENSE|RECEIVABLE|FX|CASH:[0-9a-f-]{36})|EXTERNAL:[a-z][a-z0-9_]{0,30})$": (
        lambda: "SYSTEM:FEES"
    ),
}

# Fields whose meaning the contract's rules do not tell.
_BY_NAME: dict[str, Callable[[], str]] = {
    "email": lambda: f"nobody.{uuid.uuid4().hex[:12]}@example.com",
    "phone": lambda: f"+25470{uuid.uuid4().int % 10**7:07d}",
    "identifier": lambda: f"nobody.{uuid.uuid4().hex[:12]}@example.com",
    "display_name": lambda: "Nobody",
    "password": lambda: "correct-horse-battery",
    "new_password": lambda: "correct-horse-battery",
    "page_token": str,
    "cursor": str,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path into a request."""

    field: FieldDescriptor
    index: int | None = None


Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A request with one thing wrong. `must_refuse` is false where the contract allows the value."""

    label: str
    request: Message
    field: str
    must_refuse: bool


def json_path(path: Path, *, oneof: OneofDescriptor | None = None) -> str:
    """How a refusal names a field: `amount.minorUnits`, `transfers[0].id`."""
    parts = [
        str(step.field.json_name) + (f"[{step.index}]" if step.index is not None else "")
        for step in path
    ]
    if oneof is not None:
        head, *rest = str(oneof.name).split("_")
        parts.append(head + "".join(part.title() for part in rest))
    return ".".join(parts)


def rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The `buf.validate` rules of a field."""
    found: validate_pb2.FieldRules = field.GetOptions().Extensions[validate_pb2.field]
    return found


def good(descriptor: Descriptor, choice: int = 0) -> Message:
    """A request that keeps every rule. `choice` picks among the alternatives of each oneof."""
    message = GetMessageClass(descriptor)()
    for oneof in _oneofs(descriptor):
        fields = list(oneof.fields)
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required or choice > 0:
            _set_good(message, fields[choice % len(fields)], choice)
    for field in descriptor.fields:
        if field.containing_oneof is None or _is_synthetic(field.containing_oneof):
            _fill(message, field, choice)
    return message


def alternatives(descriptor: Descriptor) -> Sequence[Message]:
    """Good requests that together use every alternative of every oneof."""
    return [good(descriptor, choice) for choice in range(_choices(descriptor))]


def broken(descriptor: Descriptor) -> Iterator[Broken]:
    """Every way to break one rule of a request, each once."""
    seen: set[tuple[str, str]] = set()
    for request in alternatives(descriptor):
        for case in _broken_in(request, request, ()):
            if (case.field, case.label) not in seen:
                seen.add((case.field, case.label))
                yield case


def _choices(descriptor: Descriptor, depth: int = 0) -> int:
    most = 1
    for oneof in _oneofs(descriptor):
        most = max(most, len(oneof.fields))
    if depth < 4:
        for field in descriptor.fields:
            if field.type == _MESSAGE and not _is_map(field):
                most = max(most, _choices(_type(field), depth + 1))
    return most


def _oneofs(descriptor: Descriptor) -> list[OneofDescriptor]:
    return [oneof for oneof in descriptor.oneofs if not _is_synthetic(oneof)]


def _is_synthetic(oneof: OneofDescriptor) -> bool:
    return len(oneof.fields) == 1 and str(oneof.name).startswith("_")


def _type(field: FieldDescriptor) -> Descriptor:
    assert field.message_type is not None, f"{field.full_name} is no message"
    return field.message_type


def _is_money(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "hazina.type.v1.Money"


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.type == _MESSAGE and _type(field).GetOptions().map_entry)


def _fill(message: Message, field: FieldDescriptor, choice: int) -> None:
    asked = rules(field)
    if field.is_repeated:
        if not _is_map(field):
            _add_good(message, field, choice)
    elif field.type == _MESSAGE:
        if asked.required or str(_type(field).full_name).startswith("hazina."):
            _set_good(message, field, choice)
    elif field.type == _ENUM:
        allowed = list(getattr(asked.enum, "in"))
        if allowed:
            setattr(message, field.name, allowed[0])
        elif 0 in asked.enum.not_in:
            setattr(message, field.name, _first_allowed(field, set(asked.enum.not_in)))
    elif field.type in (_INT32, _INT64):
        limits = asked.int32 if field.type == _INT32 else asked.int64
        setattr(message, field.name, max(limits.gte, limits.gt + 1 if limits.HasField("gt") else 0))
    elif field.type == _STRING:
        setattr(message, field.name, good_text(field, asked.string))


def _first_allowed(field: FieldDescriptor, refused: set[int]) -> int:
    assert field.enum_type is not None, f"{field.full_name} is no enum"
    return next(value.number for value in field.enum_type.values if value.number not in refused)


def _set_good(message: Message, field: FieldDescriptor, choice: int) -> None:
    if field.type == _MESSAGE:
        getattr(message, field.name).CopyFrom(_good_message(_type(field), choice))
    elif field.type == _STRING:
        setattr(message, field.name, good_text(field, rules(field).string))
    else:
        _fill(message, field, choice)


def _add_good(message: Message, field: FieldDescriptor, choice: int) -> None:
    values = getattr(message, field.name)
    if field.type == _MESSAGE:
        values.add().CopyFrom(_good_message(_type(field), choice))
    elif field.type == _STRING:
        values.append(good_text(field, rules(field).repeated.items.string))
    else:
        values.append(1)


def _good_message(descriptor: Descriptor, choice: int) -> Message:
    name = descriptor.full_name
    message: Any = GetMessageClass(descriptor)()
    if name == "hazina.type.v1.Money":
        message.currency, message.minor_units = "KES", 100_00
    elif name == "google.protobuf.Timestamp":
        message.FromDatetime(datetime.now(UTC).replace(tzinfo=None))
    elif name == "google.protobuf.FieldMask":
        message.paths.append("display_name")
    elif name == "google.api.HttpBody":
        message.content_type, message.data = "application/json", b"{}"
    else:
        return good(descriptor, choice)
    return message  # type: ignore[no-any-return]


def good_text(field: FieldDescriptor, asked: validate_pb2.StringRules) -> str:
    """A text that keeps the rules of a string field."""
    if asked.uuid:
        return str(uuid.uuid4())
    allowed = list(getattr(asked, "in"))
    if allowed:
        return str(next((value for value in allowed if value), ""))
    if asked.pattern:
        maker = _BY_PATTERN.get(asked.pattern)
        assert maker, f"write a sample for the pattern {asked.pattern!r} into {__file__}"
        return maker()
    maker = _BY_NAME.get(field.name)
    if maker:
        return maker()
    return "wallet.read"[: asked.max_len or None].ljust(asked.min_len, "x") if asked.min_len else ""


# Breaking


def _broken_in(root: Message, message: Message, path: Path) -> Iterator[Broken]:
    descriptor: Any = message.DESCRIPTOR
    for oneof in _oneofs(descriptor):
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required:
            name = json_path(path, oneof=oneof)
            yield _change(root, path, name, "missing", _clearing(message.WhichOneof(oneof.name)))
    for field in descriptor.fields:
        here = (*path, Step(field))
        if _is_map(field) or field.full_name.startswith("google."):
            continue
        if field.is_repeated:
            yield from _broken_repeated(root, message, path, field)
        elif field.type == _MESSAGE:
            if not message.HasField(field.name):
                continue
            yield from _broken_message(root, path, field)
            yield from _broken_in(root, getattr(message, field.name), here)
        elif field.containing_oneof is None or message.HasField(field.name):
            for label, value, refused in _bad_values(field, rules(field)):
                yield _change(
                    root, path, json_path(here), label, _setting(field.name, value), refused
                )


def _broken_message(root: Message, path: Path, field: FieldDescriptor) -> Iterator[Broken]:
    asked, name = rules(field), json_path((*path, Step(field)))
    if asked.required:
        yield _change(root, path, name, "missing", _clearing(field.name))
    if _is_money(field):
        positive = any("minor_units > 0" in rule.expression for rule in asked.cel)

        def money(units: int) -> Callable[[Any], None]:
            return lambda owner: setattr(getattr(owner, field.name), "minor_units", units)

        yield _change(root, path, name, "zero", money(0), positive)
        yield _change(root, path, name, "negative", money(-1), positive)
        yield _change(root, path, name, "most negative", money(-(2**63)), positive)
        yield _change(root, path, name, "largest", money(INT64_MAX), False)


def _broken_repeated(
    root: Message, message: Message, path: Path, field: FieldDescriptor
) -> Iterator[Broken]:
    asked, name = rules(field).repeated, json_path((*path, Step(field)))
    if asked.min_items:
        yield _change(root, path, name, "missing", _clearing(field.name))
    values = list(getattr(message, field.name))
    if not values:
        return
    if asked.max_items and asked.max_items <= 1000:
        one_more = asked.max_items + 1 - len(values)
        yield _change(root, path, name, "too many", _extending(field, one_more))
    if asked.unique:
        yield _change(
            root, path, name, "twice the same", lambda owner: getattr(owner, field.name).append(values[0])
        )  # fmt: skip
    first = (*path, Step(field, 0))
    if field.type == _MESSAGE:
        yield from _broken_in(root, values[0], first)
    else:
        for label, value, refused in _bad_values(field, asked.items):
            yield _change(
                root, path, json_path(first), label, _replacing_first(field.name, value), refused
            )


def _bad_values(
    field: FieldDescriptor, asked: validate_pb2.FieldRules
) -> Iterator[tuple[str, Any, bool]]:
    """Values for a scalar field: what is wrong, the value, and whether the contract refuses it."""
    if field.type == _STRING:
        text = asked.string
        for label, value in (
            ("empty", ""),
            ("not of the form", "not ☃ of the form"),
            ("too long", "x" * (text.max_len + 1 if text.max_len else 300)),
            ("unknown currency", "XXX"),
            ("a script", "<script>alert('x')</script>"),
            ("a quote", "' OR '1'='1"),
        ):
            yield label, value, not _keeps(value, text)
        yield "NUL", "a\0b", True
    elif field.type == _ENUM:
        allowed, refused = list(getattr(asked.enum, "in")), list(asked.enum.not_in)
        for label, number in (("unknown number", 99), ("unspecified", 0)):
            bad = bool(
                (allowed and number not in allowed)
                or number in refused
                or (asked.enum.defined_only and number == 99)
            )
            yield label, number, bad
    elif field.type in (_INT64, _INT32):
        limits = asked.int64 if field.type == _INT64 else asked.int32
        most = INT64_MAX if field.type == _INT64 else INT32_MAX
        for label, number in (("negative", -1), ("most negative", -most - 1), ("largest", most)):
            bad = (limits.HasField("gte") and number < limits.gte) or (
                limits.HasField("lte") and number > limits.lte
            )
            yield label, number, bool(bad)


def _keeps(value: str, asked: validate_pb2.StringRules) -> bool:
    allowed = list(getattr(asked, "in"))
    return (
        not (asked.uuid and not _is_uuid(value))
        and not (allowed and value not in allowed)
        and len(value) >= asked.min_len
        and not (asked.HasField("max_len") and len(value) > asked.max_len)
        and not (asked.pattern and not re.search(asked.pattern, value))
    )


def _is_uuid(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value))


def _change(
    root: Message,
    path: Path,
    field: str,
    label: str,
    change: Callable[[Any], None],
    must_refuse: bool = True,
) -> Broken:
    copy: Any = type(root)()
    copy.CopyFrom(root)
    owner = copy
    for step in path:
        owner = getattr(owner, step.field.name)
        if step.index is not None:
            owner = owner[step.index]
    change(owner)
    return Broken(label, copy, field, must_refuse)


def _clearing(name: str | None) -> Callable[[Any], None]:
    assert name is not None, "a good request has one of the alternatives"
    return lambda owner: owner.ClearField(name)


def _setting(name: str, value: Any) -> Callable[[Any], None]:
    return lambda owner: setattr(owner, name, value)


def _replacing_first(name: str, value: Any) -> Callable[[Any], None]:
    def change(owner: Any) -> None:
        getattr(owner, name)[0] = value

    return change


def _extending(field: FieldDescriptor, count: int) -> Callable[[Any], None]:
    def change(owner: Any) -> None:
        for _ in range(count):
            _add_good(owner, field, 0)

    return change

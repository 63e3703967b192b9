"""Checks a request against the rules of its contract, and refuses NUL characters, which Postgres cannot store."""

import re
from typing import Any

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.kit.errors import FieldViolation, ValidationFailed

__all__ = ["check", "prepare", "refuse_nul"]

_validator = protovalidate.Validator()
_SNAKE = re.compile(r"_([a-z0-9])")


def prepare(message_class: type[Message]) -> None:
    """Compile the rules of a message now. Raises protovalidate.CompilationError for rules that make no sense."""
    _validator.collect_violations(message_class())


def check(message: Message) -> None:
    """Raises ValidationFailed with every broken rule, by the path of its field as JSON callers write it."""
    violations = _validator.collect_violations(message)
    if violations:
        raise ValidationFailed(
            field_violations=[
                FieldViolation(_path(found.field), found.message or "is not valid", found.rule_id)
                for found in (violation.proto for violation in violations)
            ]
        )


def refuse_nul(message: Message) -> None:
    """Raises ValidationFailed if any string of the message, at any depth, holds a NUL character."""
    found = list(_nul_paths(message, ""))
    if found:
        raise ValidationFailed(
            field_violations=[
                FieldViolation(path, "must not contain NUL characters", "string.no_nul")
                for path in found
            ]
        )


def json_name(name: str) -> str:
    """`minor_units` as JSON callers write it: `minorUnits`."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


def _path(field_path: Any) -> str:
    """`items[2].amount.minorUnits` of a buf.validate.FieldPath."""
    if field_path is None:
        return ""
    path = ""
    for element in field_path.elements:
        name = json_name(element.field_name)
        path += f".{name}" if path else name
        subscript = element.subscript
        if subscript is None:
            continue
        if subscript.field == "index":
            path += f"[{subscript.value}]"
        else:
            path += f'["{subscript.value}"]'
    return path


def _nul_paths(message: Message, prefix: str) -> list[str]:
    paths: list[str] = []
    for field, value in message.ListFields():
        name = prefix + str(field.json_name)
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                paths += [f"{name}[{index}]" for index, text in enumerate(value) if "\0" in text]
            elif "\0" in value:
                paths.append(name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                for key, item in value.items():
                    if (isinstance(key, str) and "\0" in key) or (
                        isinstance(item, str) and "\0" in item
                    ):
                        paths.append(name)
                    elif isinstance(item, Message):
                        paths += _nul_paths(item, f"{name}.")
            elif field.is_repeated:
                for index, item in enumerate(value):
                    paths += _nul_paths(item, f"{name}[{index}].")
            else:
                paths += _nul_paths(value, f"{name}.")
    return paths

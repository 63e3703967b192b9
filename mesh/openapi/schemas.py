"""Messages as JSON Schema. A message that is both sent and received has two: what may be sent, what is printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mesh.contract.model import EMPTY, HTTP_BODY, Contract, Enumeration, Field, Message

Json = dict[str, Any]

INPUT_SUFFIX = "Input"

_SCALARS: Mapping[str, Json] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "sint32": {"type": "integer", "format": "int32"},
    "sfixed32": {"type": "integer", "format": "int32"},
    "uint32": {"type": "integer", "format": "uint32", "minimum": 0},
    "fixed32": {"type": "integer", "format": "uint32", "minimum": 0},
    # Envoy prints them as strings; JavaScript's numbers could not hold them.
    "int64": {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
    "sint64": {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
    "sfixed64": {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
    "uint64": {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"},
    "fixed64": {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
}

_WELL_KNOWN: Mapping[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+([.][0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    EMPTY: {"type": "object"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Any": {"type": "object", "required": ["@type"]},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.Int32Value": {"type": "integer", "format": "int32"},
    "google.protobuf.Int64Value": {"type": "string", "format": "int64"},
}

_LENGTHS = {"min_len": "minLength", "max_len": "maxLength"}
_FORMATS = {"uuid": "uuid", "email": "email", "uri": "uri", "hostname": "hostname"}
_LIMITS = {
    "gte": "minimum",
    "lte": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "const": "const",
}


class Schemas:
    """Collects the components that operations refer to."""

    def __init__(
        self, contract: Contract, requests: Iterable[str], responses: Iterable[str]
    ) -> None:
        self._contract = contract
        self._sent = _reach(contract, requests)
        self._printed = _reach(contract, responses)
        self.components: dict[str, Json] = {}

    def printed(self, message: str) -> Json:
        """What answers look like."""
        return self._message(message, is_input=False)

    def sent(self, message: str) -> Json:
        """What callers may send."""
        return self._message(message, is_input=True)

    def body(self, message: str, without: Iterable[str]) -> Json:
        """What callers may send, without the fields that the path carries."""
        left_out = frozenset(without)
        if not left_out:
            return self.sent(message)
        found = self._contract.messages[message]
        self.components[component_name(message)] = self._object(
            found, is_input=True, left_out=left_out
        )
        return _ref(component_name(message))

    def field(self, field: Field, *, is_input: bool) -> Json:
        """The schema of one field, with its comment and rules."""
        # Services check what is sent; what they print may also be a zero that a rule would refuse.
        rules = field.rules if is_input else {}
        if field.kind == "map":
            assert field.value is not None, "a map has values"
            schema: Json = {
                "type": "object",
                "additionalProperties": self.field(field.value, is_input=is_input),
            }
            pairs = rules.get("map", {})
            schema |= _pick(pairs, {"min_pairs": "minProperties", "max_pairs": "maxProperties"})
        elif field.repeated:
            items = self._single(field, is_input=is_input)
            repeated = rules.get("repeated", {})
            items |= _rules(field, repeated.get("items", {}))
            schema = {"type": "array", "items": items}
            schema |= _pick(repeated, {"min_items": "minItems", "max_items": "maxItems"})
            if repeated.get("unique"):
                schema["uniqueItems"] = True
        else:
            schema = self._single(field, is_input=is_input)
            schema |= _rules(field, rules)
        texts = [field.comment, *_sentences(rules)]
        text = "\n".join(text for text in texts if text)
        if text:
            schema["description"] = text
        if field.deprecated:
            schema["deprecated"] = True
        return schema

    def _single(self, field: Field, *, is_input: bool) -> Json:
        if field.kind == "message":
            return self._message(field.type_name, is_input=is_input)
        if field.kind == "enum":
            return self._enumeration(self._contract.enumerations[field.type_name])
        schema = dict(_SCALARS[field.kind])
        if is_input and field.kind.endswith("64"):
            schema["type"] = ["string", "integer"]
        return schema

    def _message(self, name: str, *, is_input: bool) -> Json:
        if name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[name])
        if name == HTTP_BODY:
            return {"type": "string", "contentEncoding": "binary"}
        component = component_name(name)
        if is_input and name in self._printed:
            component += INPUT_SUFFIX
        if component not in self.components:
            self.components[component] = {}  # messages may hold themselves
            self.components[component] = self._object(
                self._contract.messages[name], is_input=is_input
            )
        return _ref(component)

    def _object(
        self, message: Message, *, is_input: bool, left_out: frozenset[str] = frozenset()
    ) -> Json:
        fields = [field for field in message.fields if field.name not in left_out]
        schema: Json = {"type": "object"}
        texts = [message.comment, *_sentences(message.rules)]
        if is_input:
            required = [field.json_name for field in fields if _must_be_sent(field)]
        else:
            # Envoy prints every field that has no presence of its own, zero or not.
            required = [field.json_name for field in fields if _is_always_printed(field)]
        choices = _choices(message, fields) if is_input else []
        texts += _choice_texts(message, fields)
        schema["description"] = "\n".join(text for text in texts if text)
        if fields:
            schema["properties"] = {
                field.json_name: self.field(field, is_input=is_input) for field in fields
            }
        if required:
            schema["required"] = required
        if len(choices) == 1:
            schema["oneOf"] = choices[0]
        elif choices:
            schema["allOf"] = [{"oneOf": choice} for choice in choices]
        return schema

    def _enumeration(self, enumeration: Enumeration) -> Json:
        component = component_name(enumeration.full_name)
        if component not in self.components:
            lines = [enumeration.comment, ""]
            for value in enumeration.values:
                comment = " ".join(value.comment.split())
                lines.append(f"- `{value.name}`: {comment}")
            self.components[component] = {
                "type": "string",
                "enum": [value.name for value in enumeration.values],
                "description": "\n".join(lines),
            }
        return _ref(component)


def component_name(full_name: str) -> str:
    """`hazina.payments.v1.Transaction.State` becomes `payments.Transaction.State`."""
    pieces = full_name.split(".")
    if pieces[0] == "hazina":
        pieces = pieces[1:]
    return ".".join(piece for piece in pieces if piece != "v1")


def _ref(component: str) -> Json:
    return {"$ref": f"#/components/schemas/{component}"}


def _reach(contract: Contract, roots: Iterable[str]) -> frozenset[str]:
    """Every message that these hold, themselves included."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in seen or name in _WELL_KNOWN:
            continue
        seen.add(name)
        for field in contract.messages[name].fields:
            held = (field, field.value)
            waiting += [f.type_name for f in held if f is not None and f.kind == "message"]
    return frozenset(seen)


def _pick(rules: Mapping[str, Any], names: Mapping[str, str]) -> Json:
    return {names[name]: value for name, value in rules.items() if name in names}


def _rules(field: Field, rules: Mapping[str, Any]) -> Json:
    """Rules as keywords; what has none becomes a sentence elsewhere."""
    if field.kind == "string":
        return _string_rules(rules.get("string", {}))
    if field.kind in ("int32", "uint32", "sint32", "float", "double"):
        found = rules.get(field.kind, {})
        schema = _pick(found, _LIMITS)
        if "in" in found:
            schema["enum"] = list(found["in"])
        return schema
    return {}


def _string_rules(rules: Mapping[str, Any]) -> Json:
    schema = _pick(rules, _LENGTHS)
    if "len" in rules:
        schema["minLength"] = schema["maxLength"] = rules["len"]
    if "pattern" in rules:
        schema["pattern"] = rules["pattern"]
    if "prefix" in rules:
        schema["pattern"] = "^" + re.escape(rules["prefix"])
    if "in" in rules:
        schema["enum"] = list(rules["in"])
    if "const" in rules:
        schema["const"] = rules["const"]
    for rule, name in _FORMATS.items():
        if rules.get(rule):
            schema["format"] = name
    return schema


def _sentences(rules: Mapping[str, Any]) -> list[str]:
    """What JSON Schema has no word for."""
    found = [f"Rule: {rule['message']}." for rule in rules.get("cel", ()) if rule.get("message")]
    for kind in ("int64", "uint64", "sint64"):
        limits = rules.get(kind, {})
        for name, text in (
            ("gt", "More than"),
            ("gte", "At least"),
            ("lt", "Less than"),
            ("lte", "At most"),
        ):
            if name in limits:
                found.append(f"{text} {limits[name]}.")
    return found


def _must_be_sent(field: Field) -> bool:
    """Whether leaving it out, which is the same as sending its zero, breaks a rule."""
    rules = field.rules
    if rules.get("ignore") or field.oneof:
        return False
    if rules.get("required"):
        return True
    if field.optional or field.kind == "message":
        return False
    if field.repeated:
        return bool(rules.get("repeated", {}).get("min_items", 0))
    if field.kind == "map":
        return bool(rules.get("map", {}).get("min_pairs", 0))
    if field.kind == "string":
        return _refuses_empty(rules.get("string", {}))
    if field.kind == "enum":
        return 0 in rules.get("enum", {}).get("not_in", ())
    limits = rules.get(field.kind, {})
    return isinstance(limits, Mapping) and (
        limits.get("gt", -1) >= 0 or limits.get("gte", 0) > 0 or 0 not in limits.get("in", (0,))
    )


def _refuses_empty(rules: Mapping[str, Any]) -> bool:
    if rules.get("min_len", 0) or rules.get("len", 0) or any(rules.get(name) for name in _FORMATS):
        return True
    if "in" in rules:
        return "" not in rules["in"]
    return "pattern" in rules and re.search(rules["pattern"], "") is None


def _is_always_printed(field: Field) -> bool:
    if field.oneof or field.optional:
        return False
    return field.repeated or field.kind != "message"


def _choices(message: Message, fields: list[Field]) -> list[list[Json]]:
    """For each oneof that must be set: one of these, and not two."""
    found = []
    for oneof in message.oneof_comments:
        names = [field.json_name for field in fields if field.oneof == oneof]
        if oneof in message.oneof_required and names:
            found.append([{"required": [name]} for name in names])
    return found


def _choice_texts(message: Message, fields: list[Field]) -> list[str]:
    found = []
    for oneof, comment in message.oneof_comments.items():
        names = [f"`{field.json_name}`" for field in fields if field.oneof == oneof]
        if len(names) > 1:
            rule = "Exactly" if oneof in message.oneof_required else "At most"
            found.append(f"{rule} one of {', '.join(names)}. {comment}".strip())
    return found

"""Whatever arrives, on every RPC: the one error shape, a reason of the contract, the field; never a crash.

Every case is made from the contracts (samples.py), so a new RPC or field is covered the day it is written.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.e2e.wire import CODE_NUMBER, HTTP_STATUS, Refusal
from tests.house.tree import implemented
from tests.matrix.callers import Doors
from tests.matrix.contracts import Rpc, reasons, rpcs
from tests.matrix.samples import alternatives, broken, good
from tests.matrix.sampling import sampled
from tests.matrix.transcoding import HttpCall, http_call

_ALL = list(rpcs())
_HTTP = [rpc for rpc in _ALL if rpc.http is not None]
_USER = [rpc for rpc in _ALL if rpc.access == "USER"]
_WITH_BODY = [rpc for rpc in _HTTP if rpc.http is not None and rpc.http.body == "*"]
_NEVER = {"UNKNOWN", "INTERNAL", "DATA_LOSS"}
_LEAKS = ("Traceback", 'File "', "asyncpg", "sqlalchemy", "Exception", "<class", "psycopg")
_LARGE = 5 * 1024 * 1024


def _id(rpc: Rpc) -> str:
    return rpc.label


@pytest.mark.parametrize("rpc", sampled(_HTTP), ids=_id)
def test_json_that_breaks_a_rule_is_refused_by_field(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    for case in broken(rpc.request):
        call = http_call(rpc, case.request)
        if call is not None:
            refusal = doors.json(rpc, call)
            # An enum in a query is read by the transcoder, which knows every value.
            by_transcoder = refusal is not None and refusal.reason == "MALFORMED_REQUEST"
            refuse = case.must_refuse and not (by_transcoder and _names(refusal, case.field))
            wrong += _judge(rpc, case.label, case.field, refuse, refusal)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_ALL), ids=_id)
def test_a_message_that_breaks_a_rule_is_refused_by_field(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    for case in broken(rpc.request):
        refusal = doors.grpc(rpc, case.request)
        wrong += _judge(rpc, case.label, case.field, case.must_refuse, refusal)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_ALL), ids=_id)
def test_ids_that_nobody_has_are_refused_with_a_reason(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    for request in alternatives(rpc.request):
        wrong += _judge(rpc, "gRPC", "", False, doors.grpc(rpc, request))
        call = http_call(rpc, request) if rpc.http else None
        if call is not None:
            wrong += _judge(rpc, "JSON", "", False, doors.json(rpc, call))

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_HTTP), ids=_id)
def test_json_of_the_wrong_type_is_refused_by_name(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    for request in alternatives(rpc.request):
        call = http_call(rpc, request)
        if call is None:
            continue
        for label, field, changed in _wrong_types(rpc.request, call):
            refusal = doors.json(rpc, changed)
            wrong += _judge(rpc, label, field, False, refusal)
            if refusal is None or refusal.code != "INVALID_ARGUMENT":
                wrong.append(f"{label} {field}: answered {refusal}")
            elif not _names(refusal, field):
                wrong.append(f"{label} {field}: the message does not name it: {refusal.message!r}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_WITH_BODY), ids=_id)
def test_text_that_is_not_json_is_refused(doors: Doors, rpc: Rpc) -> None:
    call = http_call(rpc, good(rpc.request))
    assert call is not None
    wrong: list[str] = []
    for label, content in (
        ("cut short", b'{"a": '),
        ("an array", b"[1, 2]"),
        ("bad UTF-8", b'{"a": "\xff\xfe"}'),
        ("a lone surrogate", rb'{"displayName": "\ud800"}'),
        ("very deep", b'{"a":' * 500 + b"1" + b"}" * 500),
    ):
        refusal = doors.json(rpc, HttpCall(call.method, call.path, {}, content, None))
        wrong += _judge(rpc, label, "", False, refusal)
        if refusal is None and label in ("cut short", "an array", "bad UTF-8"):
            wrong.append(f"{label}: was not refused")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_ALL), ids=_id)
def test_bytes_that_are_no_message_are_refused(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    for label, raw in (
        ("random", b"\xff\xff\xff\xff\xff\xff\xff"),
        ("cut short", b"\x0a\xff\x01"),
        ("endless varint", b"\x08" + b"\x80" * 11),
        ("nested groups", b"\x0b" * 200),
    ):
        refusal = doors.grpc(rpc, raw)
        wrong += _judge(rpc, label, "", False, refusal)
        if implemented(rpc) and (refusal is None or refusal.reason != "MALFORMED_REQUEST"):
            wrong.append(f"{label}: answered {refusal}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", sampled(_ALL), ids=_id)
def test_five_megabytes_are_refused(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    refusal = doors.grpc(rpc, b"\x7a" + _varint(_LARGE) + b"x" * _LARGE)
    if (
        refusal is None
        or refusal.code != "RESOURCE_EXHAUSTED"
        or (rpc.access != "SERVICE" and refusal.reason != "REQUEST_TOO_LARGE")
    ):
        wrong.append(f"gRPC: answered {refusal}")
    call = http_call(rpc, good(rpc.request)) if rpc.http and rpc.http.body else None
    if call is not None:
        padded = b'{"displayName": "' + b"x" * _LARGE + b'"}'
        refusal = doors.json(rpc, HttpCall(call.method, call.path, {}, padded, None))
        if refusal is None or refusal.reason != "REQUEST_TOO_LARGE":
            wrong.append(f"JSON: answered {refusal}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", [rpc for rpc in _ALL if rpc.keyed], ids=_id)
def test_a_bad_idempotency_key_is_refused(doors: Doors, rpc: Rpc) -> None:
    plain = tuple(pair for pair in doors.metadata(rpc) if pair[0] != "idempotency-key")
    expected = {
        "missing": (plain, "IDEMPOTENCY_KEY_REQUIRED"),
        "too long": ((*plain, ("idempotency-key", "k" * 256)), "IDEMPOTENCY_KEY_INVALID"),
    }
    wrong: list[str] = []
    for label, (metadata, reason) in expected.items():
        refusal = doors.grpc(rpc, good(rpc.request), metadata=metadata)
        if implemented(rpc) and (refusal is None or refusal.reason != reason):
            wrong.append(f"{label}: answered {refusal}")

    assert not wrong, "\n".join(wrong)


def test_every_rule_of_every_contract_has_a_case() -> None:
    """The generator itself: it would be easy to be green by asking nothing."""
    cases = [(rpc, case) for rpc in _ALL for case in broken(rpc.request)]

    assert len(cases) > 1500
    for name in (
        "amount",
        "amount.currency",
        "sourceWalletId",
        "destination",
        "destination.target",
    ):
        assert any(case.must_refuse and case.field == name for _, case in cases), name
    for label in (
        "missing",
        "zero",
        "negative",
        "too long",
        "NUL",
        "unknown number",
        "unknown currency",
    ):
        assert any(case.must_refuse and case.label == label for _, case in cases), label


def _judge(
    rpc: Rpc, label: str, field: str, must_refuse: bool, refusal: Refusal | None
) -> Iterator[str]:
    """What is wrong with an answer; nothing when it is as it should be."""
    if refusal is None:
        if must_refuse:
            yield f"{label} {field}: was not refused"
        return
    what = f"{label} {field}: {refusal}"
    reason = reasons().get((refusal.domain, refusal.reason))
    if refusal.code in _NEVER:
        yield f"{what}: a fault of ours"
    elif reason is None:
        yield f"{what}: not a reason of any contract"
    elif reason.code != refusal.code:
        yield f"{what}: the contract says {reason.code}"
    if any(leak in refusal.message for leak in _LEAKS):
        yield f"{what}: tells of our insides"
    if not must_refuse or (refusal.reason == "NOT_YET_AVAILABLE" and not implemented(rpc)):
        return
    if refusal.reason != "VALIDATION_FAILED":
        yield f"{what}: not VALIDATION_FAILED"
    elif field not in refusal.fields:
        yield f"{what}: the field is not named"


def _wrong_types(descriptor: Descriptor, call: HttpCall) -> Iterator[tuple[str, str, HttpCall]]:
    """The call with one value of another JSON type, for every value."""
    if call.body is not None:
        for label, field, changed in _changed(descriptor, call.body, ()):
            content = json.dumps(changed).encode()
            yield label, field, HttpCall(call.method, call.path, {}, content, changed)
    for name in call.query:
        kind = descriptor.fields_by_camelcase_name[name].type
        if kind in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64):
            query = {**call.query, name: "seven"}
            yield "text for a number", name, HttpCall(call.method, call.path, query, None, None)


def _changed(
    descriptor: Descriptor, body: Mapping[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, value in body.items():
        field = descriptor.fields_by_camelcase_name[name]
        for label, replacement in _others(field):
            changed: dict[str, Any] = copy.deepcopy(dict(body))
            changed[name] = replacement
            yield label, name, changed
        inner = field.message_type
        if inner is None or str(inner.full_name).startswith("google."):
            continue
        values = value if isinstance(value, list) else [value]
        if not isinstance(values[0], dict):
            continue
        for label, deeper, replaced in _changed(inner, values[0], (*path, name)):
            changed = copy.deepcopy(dict(body))
            changed[name] = [replaced] if isinstance(value, list) else replaced
            yield label, deeper, changed


def _others(field: FieldDescriptor) -> list[tuple[str, Any]]:
    if field.is_repeated:
        # The transcoder takes one object for a list of objects, and one text for a list of texts.
        is_message = field.message_type is not None
        return [("text for a list", "text")] if is_message else [("an object for a list", {"a": 1})]
    if field.message_type is not None:
        return [("text for an object", "text")] if not _is_well_known(field) else []
    if field.type == FieldDescriptor.TYPE_STRING:
        return [("an object for text", {})]
    if field.type in (FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_INT32):
        beyond = str(2**63) if field.type == FieldDescriptor.TYPE_INT64 else str(2**31)
        return [
            ("text for a number", "seven"),
            ("a fraction", 1.5),
            ("beyond the range", beyond),
            ("an object for a number", {}),
        ]
    if field.type == FieldDescriptor.TYPE_BOOL:
        return [("text for a truth", "maybe")]
    if field.type == FieldDescriptor.TYPE_ENUM:
        return [("no value of the enum", "NO_SUCH_VALUE")]
    return []


def _is_well_known(field: FieldDescriptor) -> bool:
    return field.message_type is not None and str(field.message_type.full_name).startswith(
        "google."
    )


def _names(refusal: Refusal | None, field: str) -> bool:
    if refusal is None:
        return False
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field)
    return any(name in refusal.message for name in (field, snake)) or field in refusal.fields


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


assert set(HTTP_STATUS) == set(CODE_NUMBER), "every gRPC code has an HTTP status"

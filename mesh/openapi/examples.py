"""Examples: plausible values that follow the rules of their fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mesh.contract.model import EMPTY, HTTP_BODY, Contract, Field, Reason
from mesh.contract.model import Message as ContractMessage

_ID = "0192f5a4-6c1e-7b2a-9d3f-5e8c7a1b2c3d"
_TIME = "2026-11-20T09:30:00.000Z"
_DEPTH_MAX = 5

# By the name of a field, whatever message it is in. A value that breaks the field's rules is not used.
_BY_NAME: dict[str, Any] = {
    "email": "amina@example.org",
    "identifier": "+254712345678",
    "phone": "+254712345678",
    "recipient": "+254712345678",
    "password": "correct horse battery",
    "new_password": "correct horse battery staple",
    "pin": "493817",
    "new_pin": "502846",
    "code": "482913",
    "totp_code": "482913",
    "display_name": "Amina Wanjiru",
    "recipient_name": "A**** W******",
    "name": "Umoja savings",
    "group_name": "Umoja savings",
    "description": "Weekly savings of the Umoja group",
    "note": "For the tomatoes",
    "reason": "School fees",
    "currency": "KES",
    "minor_units": "120050",
    "locale": "en",
    "provider": "daraja",
    "expires_in": 900,
    "page_size": 50,
    "etag": "7",
    "tenant_id": "default",
    "method": "MOBILE_MONEY",
    "next_page_token": "",
    "page_token": "",
    "cursor": "42",
    "rail": "mpesa",
    "counterparty_name": "Brian Otieno",
    "provider_receipt": "TSM5N3WJU8",
    "failure_reason": "",
    "failure_message": "",
    "reversal_transaction_id": "",
    "user_agent": "Mozilla/5.0",
    "address": "203.0.113.7",
}
# Where the name alone would mislead: by message and field.
_BY_PLACE = {
    "hazina.auth.v1.PartReadiness.name": "wallet",
    "hazina.auth.v1.ApiKey.name": "Bookkeeping",
    "hazina.auth.v1.CreateApiKeyRequest.name": "Bookkeeping",
    "hazina.wallet.v1.Wallet.name": "Shillings",
}
# Where a lifecycle has several ends, the good one is shown.
_GOOD_STATES = ("COMPLETED", "ACTIVE", "SERVING", "APPROVED", "ACCEPTED")
_FREE = {"currency": "KES", "minorUnits": "0"}


class Examples:
    """Makes examples of messages."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._rpc = ""

    def message(self, name: str, *, is_input: bool, rpc: str, without: Iterable[str] = ()) -> Any:
        """An example of a message as JSON, as it is sent to or answered by the RPC of that name."""
        self._rpc = rpc.upper()
        return self._message(name, frozenset(without), is_input=is_input, depth=0)

    def _message(self, name: str, left_out: frozenset[str], *, is_input: bool, depth: int) -> Any:
        if name == "google.protobuf.Timestamp":
            return _TIME
        if name == "google.protobuf.Duration":
            return "300s"
        if name == "google.protobuf.FieldMask":
            return "displayName"
        if name in (EMPTY, "google.protobuf.Struct"):
            return {}
        if name == HTTP_BODY:
            return ""
        message = self._contract.messages[name]
        found = {}
        for field in self._chosen(message):
            if field.name in left_out:
                continue
            place = f"{name}.{field.name}"
            value: Any = _BY_PLACE.get(place)
            if value is None:
                value = self._field(field, is_input=is_input, depth=depth)
            if value is not None:
                found[field.json_name] = value
        return found

    def _chosen(self, message: ContractMessage) -> list[Field]:
        """Every field, but of each choice only the first."""
        seen: set[str] = set()
        chosen = []
        for field in message.fields:
            if field.oneof in seen:
                continue
            if field.oneof:
                seen.add(field.oneof)
            chosen.append(field)
        return chosen

    def _field(self, field: Field, *, is_input: bool, depth: int) -> Any:
        if field.kind == "map":
            return {}
        if field.kind == "message" and depth >= _DEPTH_MAX:
            return [] if field.repeated else None
        value = self._single(field, is_input=is_input, depth=depth)
        if field.repeated:
            return [] if value is None else [value]
        return value

    def _single(self, field: Field, *, is_input: bool, depth: int) -> Any:
        if field.name == "fee" and field.type_name == "hazina.type.v1.Money":
            return dict(_FREE)
        if field.kind == "message":
            return self._message(field.type_name, frozenset(), is_input=is_input, depth=depth + 1)
        if field.kind == "enum":
            return self._value(field.type_name)
        if field.kind == "bool":
            return True
        if field.kind == "bytes":
            return ""
        if field.kind == "string":
            return _string(field)
        return _number(field)

    def _value(self, enumeration: str) -> str:
        """A value that the RPC's own name holds, else a good end, else the first that means something."""
        names = [value.name for value in self._contract.enumerations[enumeration].values]
        for name in names:
            if name.replace("_", "") in self._rpc:
                return name
        return next((name for name in _GOOD_STATES if name in names), names[min(1, len(names) - 1)])


def _string(field: Field) -> str:
    own = field.rules.get("string", {})
    if field.repeated:
        own = field.rules.get("repeated", {}).get("items", {}).get("string", {})
    if "in" in own:
        return next((value for value in own["in"] if value), "")
    if own.get("uuid") or field.name == "id" or field.name.endswith("_id"):
        named = _BY_NAME.get(field.name)
        return named if named is not None and not own.get("uuid") else _ID
    if field.name in _BY_NAME:
        value = str(_BY_NAME[field.name])
        if own.get("min_len", 0) <= len(value) <= own.get("max_len", 1 << 30):
            return value
    return "text" if own.get("min_len", 0) <= 4 else "text" * (own["min_len"] // 4 + 1)


def _number(field: Field) -> Any:
    if field.kind in ("int64", "uint64", "sint64", "fixed64", "sfixed64"):
        return str(_BY_NAME.get(field.name, "1"))
    named = _BY_NAME.get(field.name, 1)
    return named if isinstance(named, int) else 1


def refusal(reason: Reason, http: int, number: int) -> dict[str, Any]:
    """An example of a refusal."""
    metadata: dict[str, str] = {}
    if reason.name == "RATE_LIMITED":
        metadata = {"retryAfterSeconds": "1"}
    violations = []
    if reason.name == "VALIDATION_FAILED":
        violations = [
            {
                "field": "amount.minorUnits",
                "description": "must be more than zero",
                "reason": "amount.positive",
            }
        ]
    return {
        "code": number,
        "status": reason.code,
        "message": " ".join(reason.comment.split()),
        "reason": reason.name,
        "domain": reason.domain,
        "metadata": metadata,
        "fieldViolations": violations,
        "requestId": "0c9ff4b6-2f4e-4a53-8a0e-9d3f2f6f6c11",
        "timestamp": _TIME,
        "path": "/api/v1/…",
    }

"""Refusals: what the classes say, and that the contract says the same."""

import inspect

import pytest
from google.rpc import code_pb2

from hazina.policy.v1 import policy_pb2
from hazina.type.v1 import error_reason_pb2
from services.kit import errors
from services.kit.errors import FieldViolation, RemoteRefusal, ServiceError

CLASSES = [
    one
    for _, one in inspect.getmembers(errors, inspect.isclass)
    if issubclass(one, ServiceError) and one not in (ServiceError, RemoteRefusal)
]
# Sent by Envoy or by auth, or made where no class is needed.
WITHOUT_CLASS = {
    "ERROR_REASON_UNSPECIFIED",
    "API_KEY_INVALID",
    "CANCELLED",
    "INTERNAL",
    "REQUEST_TOO_LARGE",
    "ROUTE_NOT_FOUND",
}


def test_every_reason_that_services_send_has_exactly_one_class() -> None:
    contract = {value.name for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values}
    assert sorted(one.reason for one in CLASSES) == sorted(contract - WITHOUT_CLASS)


@pytest.mark.parametrize("one", CLASSES, ids=lambda one: str(one.__name__))
def test_a_class_has_the_code_that_the_contract_gives_its_reason(one: type[ServiceError]) -> None:
    value = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name[one.reason]
    refusal = value.GetOptions().Extensions[policy_pb2.refusal]
    assert one.code == code_pb2.Code.Name(refusal.code)
    assert one.domain == "hazina"


def test_the_message_is_the_docstrings_first_line_unless_one_is_given() -> None:
    assert errors.NotFound().message == "There is no such thing."
    assert str(errors.NotFound("There is no such wallet.")) == "There is no such wallet."


def test_keywords_become_metadata() -> None:
    error = errors.PermissionMissing(permission="wallet.read")
    assert error.metadata == {"permission": "wallet.read"}


def test_field_violations_and_delays_are_kept() -> None:
    error = errors.ValidationFailed(
        field_violations=[FieldViolation("a", "b")], retry_after_seconds=2
    )
    assert error.field_violations == (("a", "b", ""),)
    assert error.retry_after_seconds == 2


def test_a_remote_refusal_keeps_its_own_code_and_leaves_the_class_alone() -> None:
    first = RemoteRefusal("NOT_FOUND", "WALLET_NOT_FOUND", {"id": "1"}, domain="wallet.hazina")
    second = RemoteRefusal("ABORTED", "OTHER")
    assert (first.code, first.reason, first.domain) == (
        "NOT_FOUND",
        "WALLET_NOT_FOUND",
        "wallet.hazina",
    )
    assert (second.code, second.reason, second.domain) == ("ABORTED", "OTHER", "hazina")
    assert RemoteRefusal.code == "INTERNAL"


def test_a_remote_refusal_about_our_call_is_our_fault() -> None:
    assert RemoteRefusal("INVALID_ARGUMENT", "VALIDATION_FAILED").is_our_fault
    assert not RemoteRefusal("NOT_FOUND", "NOT_FOUND").is_our_fault
    assert not RemoteRefusal(
        "INVALID_ARGUMENT", "VALIDATION_FAILED", domain="wallet.hazina"
    ).is_our_fault


def test_a_callee_may_use_any_name_in_its_metadata() -> None:
    metadata = {"message": "x", "field_violations": "y", "retry_after_seconds": "z"}
    assert RemoteRefusal("NOT_FOUND", "NOT_FOUND", metadata).metadata == metadata

"""Refusals and their contract."""

from google.rpc import code_pb2

from hazina.auth.v1 import auth_errors_pb2
from hazina.policy.v1 import policy_pb2
from services.auth import errors
from services.auth.errors import AuthError


def test_each_reason_of_the_contract_is_one_class_with_its_code() -> None:
    classes = [getattr(errors, name) for name in errors.__all__ if name != "AuthError"]
    ours = {one.reason: one.code for one in classes}
    values = auth_errors_pb2.ErrorReason.DESCRIPTOR.values
    contract = {
        value.name: code_pb2.Code.Name(value.GetOptions().Extensions[policy_pb2.refusal].code)
        for value in values
        if value.number
    }
    assert ours == contract and len(classes) == len(contract)
    assert all(issubclass(one, AuthError) and one.domain == "auth.hazina" for one in classes)
    assert all(one().message.endswith(".") for one in classes)

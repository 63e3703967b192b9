"""Refusals are those of the contract."""

from google.rpc import code_pb2

from hazina.policy.v1 import policy_pb2
from hazina.wallet.v1.wallet_errors_pb2 import ErrorReason
from services.wallet import errors
from services.wallet.domain import Refusal


def _classes() -> list[type[errors.WalletError]]:
    return [one for one in errors.WalletError.__subclasses__() if one.__module__ == errors.__name__]


def test_each_class_has_reason_and_code_of_the_contract() -> None:
    for one in _classes():
        value = ErrorReason.DESCRIPTOR.values_by_name[one.reason]
        refusal = value.GetOptions().Extensions[policy_pb2.refusal]
        assert code_pb2.Code.Name(refusal.code) == one.code, one.__name__
        assert one.domain == "wallet.hazina"


def test_every_reason_of_the_contract_is_told_by_a_class_or_a_verdict() -> None:
    told = {one.reason for one in _classes()} | {refusal.value for refusal in Refusal}
    assert told == set(ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}

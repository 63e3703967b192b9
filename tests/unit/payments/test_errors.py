"""Every refusal stands in the contract, with its code."""

import inspect

import pytest
from google.rpc import code_pb2

from hazina.payments.v1 import payments_errors_pb2
from hazina.policy.v1 import policy_pb2
from services.payments import errors
from services.payments.errors import PaymentsError, refusal_of
from services.payments.operations import steps

REFUSALS = [
    one
    for _, one in inspect.getmembers(errors, inspect.isclass)
    if issubclass(one, PaymentsError) and one is not PaymentsError
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_in_the_contract_with_its_code(refusal: type[PaymentsError]) -> None:
    value = payments_errors_pb2.ErrorReason.DESCRIPTOR.values_by_name[refusal.reason]
    promised = value.GetOptions().Extensions[policy_pb2.refusal].code
    assert code_pb2.Code.Name(promised) == refusal.code
    assert refusal.domain == "payments.hazina"


def test_no_two_refusals_share_a_reason() -> None:
    assert len({one.reason for one in REFUSALS}) == len(REFUSALS)


def test_whatever_the_ledger_refuses_can_be_told_again() -> None:
    for reason in steps._LEDGER_REASONS.values():
        assert refusal_of(reason).reason == reason
        assert steps._FAILURE_MESSAGES[reason]

"""Every reason of the contract has its refusal, with the code that the contract names."""

from google.rpc import code_pb2

from hazina.comms.v1 import comms_errors_pb2
from hazina.policy.v1 import policy_pb2
from services.comms import errors


def test_refusals_and_the_contract_name_the_same_reasons_and_codes() -> None:
    values = comms_errors_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values
    promised = {
        value.name: code_pb2.Code.Name(value.GetOptions().Extensions[policy_pb2.refusal].code)
        for value in values
        if value.number
    }
    assert {one.reason: one.code for one in errors.CommsError.__subclasses__()} == promised


def test_a_fault_of_the_provider_is_not_told_to_callers() -> None:
    for refusal in (errors.ChannelUnavailable("SMTP_451"), errors.RecipientRefused("SMTP_550")):
        assert "SMTP" not in refusal.message
        assert not refusal.metadata
        assert refusal.domain == "comms.hazina"

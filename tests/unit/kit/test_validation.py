"""Paths of fields as JSON callers write them."""

import pytest
from google.protobuf import field_mask_pb2

from hazina.type.v1 import money_pb2
from services.kit import validation
from services.kit.errors import ValidationFailed


@pytest.mark.parametrize(
    ("name", "json"),
    [("minor_units", "minorUnits"), ("id", "id"), ("a_b_c", "aBC"), ("line_1", "line1")],
)
def test_names_are_written_in_lower_camel_case(name: str, json: str) -> None:
    assert validation.json_name(name) == json


def test_a_good_message_passes() -> None:
    validation.check(money_pb2.Money(currency="KES", minor_units=1))
    validation.refuse_nul(money_pb2.Money(currency="KES"))


def test_a_bad_message_names_field_rule_and_reason() -> None:
    with pytest.raises(ValidationFailed) as caught:
        validation.check(money_pb2.Money(currency="EUR"))
    [violation] = caught.value.field_violations
    assert (violation.field, violation.reason) == ("currency", "string.in")
    assert violation.description


def test_a_nul_character_is_named() -> None:
    with pytest.raises(ValidationFailed) as caught:
        validation.refuse_nul(money_pb2.Money(currency="K\0S"))
    assert [one.field for one in caught.value.field_violations] == ["currency"]


def test_a_nul_character_in_a_list_is_named_with_its_place() -> None:
    with pytest.raises(ValidationFailed) as refused:
        validation.refuse_nul(field_mask_pb2.FieldMask(paths=["good", "b\0d"]))

    assert [violation.field for violation in refused.value.field_violations] == ["paths[1]"]

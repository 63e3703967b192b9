"""Between the contracts and the domain."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from hazina.auth.v1 import auth_service_pb2, user_pb2, user_service_pb2
from services.auth import convert
from services.auth.domain import Secret
from services.auth.errors import EmailInvalid, PhoneInvalid
from services.auth.operations.readiness import PartState
from services.kit.errors import ValidationFailed
from tests.harness import assert_refused
from tests.unit.auth.test_domain import PERSON, SESSION


def test_a_sign_up_is_read() -> None:
    request = auth_service_pb2.SignUpRequest(phone="0712345678", pin="7391", display_name=" A  B ")
    form = convert.sign_up_form(request)
    assert form.identifier.value == "+254712345678" and form.secret == Secret("pin", "7391")
    assert (form.display_name, form.locale) == ("A B", "en")
    with pytest.raises(EmailInvalid):
        convert.sign_up_form(auth_service_pb2.SignUpRequest(email="a@b", display_name="A"))
    with pytest.raises(PhoneInvalid):
        convert.sign_up_form(auth_service_pb2.SignUpRequest(phone="+999", display_name="A"))


@pytest.mark.parametrize("name", ["", " ", "\u200b", "a\x00b", "a\u202eb", "x" * 81])
def test_a_name_must_be_readable(name: str) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "displayName"):
        convert.display_name(name)


@pytest.mark.parametrize("name", ["Asha", "  Ñandú  O'Neil ", "王小明", "x" * 80])
def test_a_name_may_be_of_any_language(name: str) -> None:
    assert convert.display_name(name) == " ".join(name.split())


def test_a_recovery_with_a_code_needs_a_new_secret() -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "newPassword"):
        convert.new_secret(auth_service_pb2.RecoverRequest(code="123456"))
    request = auth_service_pb2.RecoverRequest(new_pin="7391")
    assert convert.new_secret(request) == Secret("pin", "7391")


def test_a_change_holds_only_what_the_mask_names() -> None:
    user = user_pb2.User(display_name="Asha", locale="sw", etag='"3"')
    request = user_service_pb2.UpdateMeRequest(user=user, update_mask=FieldMask(paths=["locale"]))
    change = convert.profile_change(request)
    assert (change.display_name, change.locale, change.etag) == (None, "sw", '"3"')


@pytest.mark.parametrize("path", ["*", "id", "email", "user.locale", "displayName", ""])
def test_a_change_of_anything_else_is_refused(path: str) -> None:
    mask = FieldMask(paths=[path])
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "updateMask"):
        convert.profile_change(user_service_pb2.UpdateMeRequest(update_mask=mask))


def test_a_search_is_read_without_outer_space() -> None:
    search = convert.search(user_service_pb2.ListUsersRequest(query="  0712 345 678 "))
    assert (search.name, search.identifier.value) == ("0712 345 678", "+254712345678")
    with pytest.raises(ValidationFailed):
        convert.search(user_service_pb2.ListUsersRequest(query=" a "))


def test_a_time_that_is_none_is_refused() -> None:
    assert convert.time_of(Timestamp(seconds=0), "at") == datetime(1970, 1, 1, tzinfo=UTC)
    for wrong in (Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1)):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "at"):
            convert.time_of(wrong, "at")


def test_positions_in_lists_come_back_as_they_went() -> None:
    time, item_id = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC), UUID(int=7)
    assert convert.time_and_id(convert.by_time_and_id(time, item_id)) == (time, item_id)
    assert convert.name_and_id(convert.by_name_and_id(PERSON)) == ("Asha Mwangi", PERSON.id)
    assert convert.time_and_id(None) is None and convert.name_and_id(None) is None


def test_a_person_sees_all_of_themselves_and_others_little() -> None:
    user = convert.user(PERSON)
    assert user.verified and user.email == "asha@example.com" and user.kyc_tier == 1
    assert [place.tenant_id for place in user.memberships] == ["acme", "default"]
    summary = convert.user_summary(PERSON)
    assert "asha@" not in str(summary) and summary.masked_identifier == "a***a@example.com"
    entry = convert.directory_entry(PERSON)
    assert entry.masked_name == "A**** M." and entry.email == "asha@example.com"


def test_a_session_knows_whether_it_calls() -> None:
    assert convert.session(SESSION, SESSION.id).current
    assert not convert.session(SESSION, UUID(int=9)).current


def test_readiness_lists_every_part() -> None:
    answer = convert.readiness({"auth": PartState.SERVING, "redis": PartState.SERVING})
    assert answer.ready and [part.name for part in answer.parts] == ["auth", "redis"]


def test_roles_hold_what_the_policy_contract_grants() -> None:
    bundles = convert.role_bundles()
    assert set(bundles) == {"member", "staff", "admin"}
    assert set(bundles["member"]) < set(bundles["staff"]) < set(bundles["admin"])

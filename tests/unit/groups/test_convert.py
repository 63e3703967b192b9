"""Between the contract and the domain of groups."""

import pytest

from hazina.groups.v1 import contribution_service_pb2, withdrawal_service_pb2
from hazina.groups.v1.group_pb2 import ApprovalPolicy, Group
from hazina.groups.v1.group_service_pb2 import UpdateGroupRequest
from services.groups import convert
from services.groups.domain import ExitRule, Method, Period, PolicyKind, Schedule
from services.groups.errors import CurrencyMismatch
from services.kit.clock import Clock
from services.kit.errors import ValidationFailed
from tests.factories.groups import by_phone, from_wallet, group_request, in_cash, payout, weekly

GROUP = str(Clock().new_id())
WALLET = Clock().new_id()


def test_a_group_gets_the_careful_rules_where_none_are_told() -> None:
    made = convert.new_group(group_request("  Umoja "), "default")
    assert made.name == "Umoja" and made.policy.kind is PolicyKind.ALL_ADMINS
    assert made.exit_rule is ExitRule.PAY_OUT and made.schedule is None


def test_a_schedule_is_read_whole() -> None:
    made = convert.new_group(group_request(contribution_schedule=weekly(500, 7)), "default")
    assert made.schedule == Schedule(500, Period.WEEKLY, 7)


def test_only_fields_of_the_mask_are_changes() -> None:
    request = UpdateGroupRequest(
        group=Group(name="New", approval_policy=ApprovalPolicy(kind=ApprovalPolicy.QUORUM))
    )
    request.update_mask.paths.append("name")
    assert convert.changes(request, "KES") == {"name": "New"}


@pytest.mark.parametrize("path", ["id", "currency", "etag", "member_count", "nothing"])
def test_other_fields_cannot_be_changed(path: str) -> None:
    request = UpdateGroupRequest(group=Group())
    request.update_mask.paths.append(path)
    with pytest.raises(ValidationFailed):
        convert.changes(request, "KES")


def test_a_mask_names_something() -> None:
    with pytest.raises(ValidationFailed):
        convert.changes(UpdateGroupRequest(group=Group(name="New")), "KES")


def test_a_schedule_is_in_the_currency_of_the_group() -> None:
    request = UpdateGroupRequest(group=Group(contribution_schedule=weekly(5)))
    request.update_mask.paths.append("contribution_schedule")
    with pytest.raises(CurrencyMismatch):
        convert.changes(request, "BTC")


@pytest.mark.parametrize(
    ("request_", "method"),
    [
        (from_wallet(GROUP, WALLET), Method.WALLET),
        (by_phone(GROUP), Method.MOBILE_MONEY),
        (in_cash(GROUP), Method.CASH),
    ],
)
def test_the_source_says_how_it_is_paid(
    request_: contribution_service_pb2.CreateContributionRequest, method: Method
) -> None:
    assert convert.contribution_order(request_).method is method


@pytest.mark.parametrize(
    "request_",
    [payout(GROUP, WALLET), payout(GROUP, "a@b.co"), payout(GROUP, "", phone="0712345678")],
)
def test_a_destination_is_shown_as_it_was_asked_for(
    request_: withdrawal_service_pb2.CreateWithdrawalRequest,
) -> None:
    order = convert.withdrawal_order(request_)
    assert convert._destination(order.destination) == request_.destination


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValidationFailed):
        convert.identifier("nobody")

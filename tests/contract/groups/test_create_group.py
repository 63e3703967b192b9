"""CreateGroup: a group with a wallet of its own."""

from typing import Any
from uuid import UUID

import pytest

from hazina.groups.v1.group_pb2 import ApprovalPolicy, ApprovalStep, ExitRule, Role
from services.kit.errors import ServiceUnavailable
from tests.contract.groups.conftest import World
from tests.factories.groups import group_request, quorum, weekly
from tests.harness import assert_refused


async def test_a_group_has_a_wallet_and_its_maker_owns_it(world: World) -> None:
    answer = await world.groups(world.asha).CreateGroup(
        group_request(contribution_schedule=weekly(50_000), approval_policy=quorum(2)), key="k"
    )
    made = answer.group
    assert made.name == "Umoja" and made.role == Role.OWNER and made.member_count == 1
    assert made.approval_policy == quorum(2) and made.contribution_schedule == weekly(50_000)
    assert made.exit_rule == ExitRule.PAY_OUT and made.etag
    assert world.ledger.balance(UUID(made.wallet_id)) == 0


async def test_rules_that_are_not_told_are_the_careful_ones(world: World) -> None:
    made = await world.group()
    assert made.approval_policy.kind == ApprovalPolicy.ALL_ADMINS
    assert not made.HasField("contribution_schedule")


async def test_a_replayed_request_answers_the_first_group(world: World) -> None:
    groups = world.groups(world.asha)
    first = await groups.CreateGroup(group_request(), key="k")
    call = groups.CreateGroup(group_request(), key="k")
    assert await call == first
    assert ("idempotent-replayed", "true") in tuple(await call.initial_metadata())
    assert len(await world.rows("SELECT 1 FROM groups.savings_group")) == 1


async def test_one_key_with_other_content_is_refused(world: World) -> None:
    groups = world.groups(world.asha)
    await groups.CreateGroup(group_request(), key="k")
    with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
        await groups.CreateGroup(group_request("Other"), key="k")


async def test_a_group_whose_wallet_could_not_be_opened_is_completed_by_the_same_key(
    world: World,
) -> None:
    groups = world.groups(world.asha)
    world.ledger.failing.append(ServiceUnavailable())
    with assert_refused("UNAVAILABLE", "SERVICE_UNAVAILABLE"):
        await groups.CreateGroup(group_request(), key="k")
    answer = await groups.CreateGroup(group_request(), key="k")
    assert world.ledger.balance(UUID(answer.group.wallet_id)) == 0


@pytest.mark.parametrize(
    "policy",
    [
        quorum(0),
        ApprovalPolicy(kind=ApprovalPolicy.BY_AMOUNT),
        ApprovalPolicy(
            kind=ApprovalPolicy.BY_AMOUNT,
            steps=[
                ApprovalStep(amount_minor_max=200, approvals_needed=2),
                ApprovalStep(amount_minor_max=100, approvals_needed=3),
            ],
        ),
    ],
)
async def test_rules_that_contradict_themselves_are_refused(
    world: World, policy: ApprovalPolicy
) -> None:
    with assert_refused("INVALID_ARGUMENT", "APPROVAL_POLICY_INVALID"):
        await world.groups(world.asha).CreateGroup(group_request(approval_policy=policy), key="k")


async def test_a_schedule_is_in_the_currency_of_the_group(world: World) -> None:
    request = group_request(contribution_schedule=weekly(100, currency="USD"))
    with assert_refused("INVALID_ARGUMENT", "CURRENCY_MISMATCH"):
        await world.groups(world.asha).CreateGroup(request, key="k")


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "  "}),
        ("name", {"name": "x" * 81}),
        ("currency", {"currency": "EUR"}),
        ("contributionSchedule.dueDay", {"contribution_schedule": weekly(100, 8)}),
        ("contributionSchedule.amount", {"contribution_schedule": weekly(0)}),
    ],
)
async def test_bad_input_is_named(world: World, field: str, fields: dict[str, Any]) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field=field):
        await world.groups(world.asha).CreateGroup(group_request(**fields), key="k")


async def test_a_key_is_required(world: World) -> None:
    with assert_refused("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REQUIRED"):
        await world.groups(world.asha).CreateGroup(group_request())

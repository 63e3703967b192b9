"""Money of groups through the real wallet and payments services: exact, and never twice."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest

from hazina.groups.v1.contribution_service_pb2 import (
    BatchGetGroupTotalsRequest,
    ConfirmContributionRequest,
    Contribution,
    ListContributionsRequest,
)
from hazina.groups.v1.group_pb2 import Role
from hazina.groups.v1.group_service_pb2 import CreateInvitationRequest, LeaveGroupRequest
from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from tests.factories.groups import by_phone, from_wallet, in_cash, quorum
from tests.harness import assert_refused
from tests.integration.groups.conftest import Village, patiently


async def test_a_group_saves_and_pays_out_to_the_cent(village: Village) -> None:
    asha, brian = await village.person("Asha", 100_000), await village.person("Brian", 50_000)
    group = await village.group(asha, approval_policy=quorum(2))
    await village.join(group, asha, brian, "ADMIN")
    for person, amount in ((asha, 30_000), (brian, 12_345)):
        await village.contributions(person).CreateContribution(
            from_wallet(group.id, village.wallets[person.id], amount), key=village.key()
        )
    made = await village.asked(group, asha, 20_000)
    wallet = UUID(group.wallet_id)
    assert await village.mesh.held(wallet) == 20_000
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await village.act("Execute", asha, made)
    await village.act("Approve", brian, made)
    assert (await village.act("Execute", asha, made)).state == Withdrawal.COMPLETED
    assert await village.mesh.balance(wallet) == 22_345 and await village.mesh.held(wallet) == 0
    assert await village.mesh.balance(village.wallets[asha.id]) == 90_000
    await village.groups(brian).LeaveGroup(LeaveGroupRequest(group_id=group.id), key="leave")
    assert await village.mesh.balance(village.wallets[brian.id]) == 50_000
    answer = await village.contributions(asha).BatchGetGroupTotals(
        BatchGetGroupTotalsRequest(group_ids=[group.id])
    )
    [totals] = answer.group_totals
    assert totals.contributed.minor_units == 42_345 and totals.paid_out.minor_units == 32_345
    assert totals.available.minor_units == 10_000 and totals.own.minor_units == 30_000
    await village.mesh.books()


async def test_a_contribution_by_mobile_money_counts_when_it_was_paid(
    village: Village, phone: str
) -> None:
    asha = await village.person("Asha")
    group = await village.group(asha)
    answer = await village.contributions(asha).CreateContribution(
        by_phone(group.id, 20_000, phone), key="k"
    )
    assert answer.contribution.state == Contribution.PENDING
    done = await _until_contributed(village, asha, group.id)
    assert done.state == Contribution.COMPLETED
    assert await village.mesh.balance(UUID(group.wallet_id)) == 20_000


async def test_a_contribution_that_the_payer_refused_has_failed(
    village: Village, phone: str
) -> None:
    village.mesh.simulator.fault("failed", phone=phone, code=1032)
    asha = await village.person("Asha")
    group = await village.group(asha)
    await village.contributions(asha).CreateContribution(by_phone(group.id, 5_000, phone), key="k")
    done = await _until_contributed(village, asha, group.id)
    assert done.state == Contribution.FAILED and done.failure_reason == "PAYER_CANCELLED"


async def _until_contributed(village: Village, person: Any, group_id: str) -> Contribution:
    for _ in range(150):
        answer = await village.contributions(person).ListContributions(
            ListContributionsRequest(group_id=group_id)
        )
        found: Contribution = answer.contributions[0]
        if found.state != Contribution.PENDING:
            counted = found.amount.minor_units if found.state == Contribution.COMPLETED else 0
            assert answer.total.minor_units == counted
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("still pending")


async def test_cash_is_in_the_books_and_cannot_be_withdrawn(village: Village) -> None:
    asha, brian = await village.person("Asha"), await village.person("Brian")
    group = await village.group(asha)
    await village.join(group, asha, brian, "MEMBER")
    made = await village.contributions(asha).CreateContribution(
        in_cash(group.id, 7_000, brian.id), key="k"
    )
    await village.contributions(brian).ConfirmContribution(
        ConfirmContributionRequest(group_id=group.id, contribution_id=made.contribution.id), key="k"
    )
    books = await village.mesh.books()
    assert books[f"SYSTEM:CASH:{group.id}"] == 7_000 and books["EXTERNAL:cash"] == -7_000
    with assert_refused("FAILED_PRECONDITION", "INSUFFICIENT_FUNDS"):
        await village.asked(group, asha, 1)


async def test_a_payout_by_mobile_money_ends_when_the_provider_says_so(
    village: Village, phone: str
) -> None:
    asha = await village.person("Asha")
    group = await village.group(asha, 100_000)
    made = await village.asked(group, asha, 30_000, phone)
    assert (await village.act("Execute", asha, made)).state == Withdrawal.PROCESSING
    await village.until(asha, made, "COMPLETED")
    assert await village.mesh.balance(UUID(group.wallet_id)) == 70_000
    assert [one["moved"] for one in village.mesh.simulator.payments(phone)] == [300]
    assert (await village.mesh.books())["EXTERNAL:mpesa"] == 30_000


async def test_a_payout_that_the_provider_refused_ends_it_with_the_money_back(
    village: Village, phone: str
) -> None:
    village.mesh.simulator.fault("failed", phone=phone, code=2001)
    asha = await village.person("Asha")
    group = await village.group(asha, 100_000)
    made = await village.asked(group, asha, 30_000, phone)
    await village.act("Execute", asha, made)
    failed = await village.until(asha, made, "FAILED")
    assert failed.failure_reason == "PROVIDER_DECLINED"
    wallet = UUID(group.wallet_id)
    assert await village.mesh.balance(wallet) == 100_000 and await village.mesh.held(wallet) == 0
    with assert_refused("FAILED_PRECONDITION", "WITHDRAWAL_NOT_APPROVED"):
        await village.act("Execute", asha, made)


async def test_a_payout_that_failed_first_and_was_paid_after_all_is_completed(
    village: Village, phone: str
) -> None:
    village.mesh.simulator.fault("failed_then_success", phone=phone, seconds=2.0)
    asha = await village.person("Asha")
    group = await village.group(asha, 100_000)
    made = await village.asked(group, asha, 30_000, phone)
    await village.act("Execute", asha, made)
    await village.until(asha, made, "FAILED")
    await village.until(asha, made, "COMPLETED")
    assert await village.mesh.balance(UUID(group.wallet_id)) == 70_000


async def test_a_rejection_frees_the_money_in_the_real_ledger(village: Village) -> None:
    asha = await village.person("Asha")
    group = await village.group(asha, 100_000)
    made = await village.asked(group, asha, 30_000)
    await village.act("Reject", asha, made)
    assert await village.mesh.held(UUID(group.wallet_id)) == 0


async def test_executions_at_once_pay_once(village: Village) -> None:
    asha = await village.person("Asha")
    group = await village.group(asha, 100_000)
    made = await village.asked(group, asha, 30_000)
    answers = await asyncio.gather(
        *(village.act("Execute", asha, made) for _ in range(10)), return_exceptions=True
    )
    assert len([one for one in answers if isinstance(one, Withdrawal)]) == 1
    assert await village.mesh.balance(village.wallets[asha.id]) == 30_000


@pytest.mark.parametrize("round_", range(3))
async def test_expiry_and_the_last_approval_end_in_one_truth(village: Village, round_: int) -> None:
    asha, brian = await village.person("Asha"), await village.person("Brian")
    group = await village.group(asha, 100_000)
    await village.join(group, asha, brian, "MEMBER")
    made = await village.asked(group, brian, 30_000)
    await _expire_soon(village, made)
    try:
        await asyncio.sleep(0.7 + round_ * 0.1)
        approved = (await village.act("Approve", asha, made)).state == Withdrawal.APPROVED
    except grpc.aio.AioRpcError as error:
        with assert_refused("FAILED_PRECONDITION", "HOLD_EXPIRED"):
            raise error
        approved = False
    await village.until(brian, made, "EXPIRED")
    told = await village.rows(
        "SELECT aggregate_version FROM groups.outbox WHERE type = 'groups.withdrawal.decided'"
        " ORDER BY position"
    )
    assert len(told) == (2 if approved else 1)
    for _ in range(50):
        if not await village.mesh.held(UUID(group.wallet_id)):
            break
        await asyncio.sleep(0.1)
    assert await village.mesh.held(UUID(group.wallet_id)) == 0, "the job frees the money"


@pytest.mark.parametrize("round_", range(3))
async def test_expiry_and_execution_end_in_one_truth(village: Village, round_: int) -> None:
    asha = await village.person("Asha")
    group = await village.group(asha, 100_000)
    made = await village.asked(group, asha, 30_000)
    await _expire_soon(village, made)
    await asyncio.sleep(0.7 + round_ * 0.1)
    answers = await asyncio.gather(
        *(village.act("Execute", asha, made) for _ in range(4)), return_exceptions=True
    )
    paid = [one for one in answers if isinstance(one, Withdrawal)]
    await village.until(asha, made, "COMPLETED" if paid else "EXPIRED")
    assert len(paid) <= 1
    assert await village.mesh.balance(village.wallets[asha.id]) == 30_000 * len(paid)


async def _expire_soon(village: Village, made: Withdrawal) -> None:
    await village.rows("UPDATE groups.withdrawal SET expire_time = now() + interval '0.8 seconds'")
    await village.rows(
        "UPDATE groups_jobs.procrastinate_jobs SET scheduled_at = now() + interval '0.8 seconds'"
        " WHERE task_name = 'groups.expire'"
    )


async def test_a_person_without_an_account_is_sent_the_link_once(village: Village) -> None:
    asha = await village.person("Asha")
    group = await village.group(asha)
    request = CreateInvitationRequest(
        group_id=group.id, identifier="new@example.org", role=Role.MEMBER
    )
    for _ in range(2):
        await village.groups(asha).CreateInvitation(request, key="k")
    for _ in range(100):
        if village.messages.sent:
            break
        await asyncio.sleep(0.1)
    [sent] = village.messages.sent.values()
    assert sent.email == "new@example.org" and sent.variables["group_name"] == "Umoja"
    assert sent.variables["link"].startswith("http://127.0.0.1:8080/#/invitations/")


@pytest.mark.slow
async def test_two_hundred_contributions_at_once_end_exact(quiet_village: Village) -> None:
    village = quiet_village
    asha = await village.person("Asha")
    group = await village.group(asha)
    await village.mesh.move("EXTERNAL:opening", str(village.wallets[asha.id]), 1_000)
    people = [asha, *[await village.person(f"Member{one:03d}", 1_000) for one in range(199)]]
    await village.rows(
        "INSERT INTO groups.member (tenant_id, group_id, user_id, name, role, state, join_time)"
        " SELECT 'default', $1, one, one::text, 'MEMBER', 'ACTIVE', now() FROM unnest($2::uuid[]) one",
        UUID(group.id),
        [one.id for one in people[1:]],
    )

    async def pay(number: int) -> None:
        person = people[number]
        request = from_wallet(group.id, village.wallets[person.id], number + 1)
        await patiently(
            lambda: village.contributions(person).CreateContribution(request, key=f"c-{number}")
        )

    await asyncio.gather(*(pay(number) for number in range(200)))
    total = sum(range(1, 201))
    assert await village.mesh.balance(UUID(group.wallet_id)) == total
    answer = await village.contributions(asha).ListContributions(
        ListContributionsRequest(group_id=group.id)
    )
    assert answer.total.minor_units == total and len(answer.members) == 200
    assert sum(one.contributed.minor_units for one in answer.members) == total
    await village.mesh.books()

"""What groups tells the others: enough for comms to write every message without asking."""

from uuid import UUID

from google.protobuf.message import Message

from hazina.event.v1.envelope_pb2 import Envelope
from hazina.groups.v1 import groups_events_pb2
from hazina.groups.v1.contribution_service_pb2 import Contribution
from hazina.groups.v1.group_pb2 import Role
from hazina.groups.v1.withdrawal_service_pb2 import Withdrawal
from services.groups.operations import reminders
from tests.contract.groups.conftest import World, world
from tests.factories.groups import from_wallet, quorum, weekly

__all__ = ["world"]


async def told(world: World, kind: str, payload: Message) -> list[Envelope]:
    """Envelopes of a type, oldest first; the last payload is unpacked."""
    rows = await world.rows(
        "SELECT envelope FROM groups.outbox WHERE type = $1 ORDER BY position", kind
    )
    envelopes = [Envelope.FromString(bytes(row["envelope"])) for row in rows]
    assert envelopes and envelopes[-1].payload.Unpack(payload)
    return envelopes


async def test_an_invitation_names_the_person_if_there_is_one(world: World) -> None:
    group = await world.group()
    made = groups_events_pb2.InvitationCreated()
    for address, user_id in (("brian@example.org", str(world.brian.id)), ("new@example.org", "")):
        invitation_id = await world.invite(group, address, "ADMIN")
        envelopes = await told(world, "groups.invitation.created", made)
        assert made.invitation_id == invitation_id and made.user_id == user_id
        assert made.inviter_name == "Asha Otieno" and made.role == Role.ADMIN
        assert envelopes[-1].actor == f"user:{world.asha.id}"
        assert address not in str(envelopes[-1]), "addresses stay here"


async def test_a_contribution_names_those_who_look_after_the_money(
    world: World,
) -> None:
    group = await world.group()
    await world.join(group, world.brian, "TREASURER")
    await world.join(group, world.chris)
    await world.contributions(world.brian).CreateContribution(
        from_wallet(group.id, world.wallet(world.brian), 700), key="k"
    )
    made = groups_events_pb2.ContributionCompleted()
    await told(world, "groups.contribution.completed", made)
    assert made.display_name == "Brian Kamau" and made.amount.minor_units == 700
    assert made.method == Contribution.WALLET
    assert list(made.officer_user_ids) == [str(world.asha.id)]


async def test_a_withdrawal_asks_those_who_have_said_nothing_and_tells_the_end(
    world: World,
) -> None:
    group = await world.group(balance=100_000, approval_policy=quorum(2))
    await world.join(group, world.brian, "ADMIN")
    made = await world.asked(group, world.asha, 4_000)
    asked = groups_events_pb2.ApprovalAsked()
    [first] = await told(world, "groups.approval.asked", asked)
    assert list(asked.approver_user_ids) == [str(world.brian.id)]
    assert asked.reason == "Roof" and asked.amount.minor_units == 4_000
    await world.act("Approve", world.brian, made)
    await world.act("Reject", world.brian, made)
    decided = groups_events_pb2.WithdrawalDecided()
    envelopes = await told(world, "groups.withdrawal.decided", decided)
    assert decided.state == Withdrawal.REJECTED and decided.decider_name == "Brian Kamau"
    assert decided.requester_user_id == str(world.asha.id)
    versions = [one.aggregate_version for one in (first, *envelopes)]
    assert versions == [1, 2, 3], "without gaps"


async def test_a_reminder_names_what_each_one_owes(world: World) -> None:
    group = await world.group(contribution_schedule=weekly(500))
    [row] = await world.rows(
        "UPDATE groups.savings_group SET schedule_time = now() - interval '14 days'"
        " RETURNING schedule_time, current_date AS today"
    )
    await world.rows("UPDATE groups.member SET join_time = now() - interval '14 days'")
    await reminders.remind(
        world.desk,
        "default",
        UUID(group.id),
        due=row["today"],
        schedule_time=row["schedule_time"],
    )
    made = groups_events_pb2.ReminderDue()
    await told(world, "groups.reminder.due", made)
    [debt] = made.debts
    assert debt.user_id == str(world.asha.id) and debt.amount.minor_units == 1_000
    assert made.due_time.ToDatetime().date() == row["today"]

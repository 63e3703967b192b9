"""AddMember."""

from typing import Any

from hazina.auth.v1 import auth_events_pb2
from hazina.auth.v1.directory_service_pb2 import AddMemberRequest
from hazina.event.v1 import envelope_pb2
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def add(auth: Auth, tenant: str, identifier: str, *roles: str) -> Any:
    """A place in a tenant."""
    request = AddMemberRequest(tenant_id=tenant, identifier=identifier, roles=roles)
    return (await auth.tenants().AddMember(request)).member


async def test_a_person_gets_a_place_in_a_further_tenant(auth: Auth) -> None:
    account = await auth.account("+254712345678", name="Brian Otieno")
    await auth.tenant("acme")
    member = await add(auth, "acme", "0712345678", "staff")
    assert member.user_id == str(account.id) and list(member.roles) == ["staff"]
    assert (member.display_name, member.masked_identifier) == ("Brian Otieno", "+254***678")
    rows = await auth.rows("SELECT type, tenant_id, envelope FROM outbox ORDER BY position")
    assert [(row["type"], row["tenant_id"]) for row in rows] == [
        ("auth.user.verified", "default"),
        ("auth.member.added", "acme"),
    ]
    envelope = envelope_pb2.Envelope.FromString(rows[-1]["envelope"])
    payload = auth_events_pb2.MemberAdded()
    assert envelope.payload.Unpack(payload) and payload.phone == "+254712345678"
    assert envelope.actor == "service:ops" and envelope.aggregate_version == 2


async def test_roles_held_before_are_kept_and_repeating_changes_nothing(auth: Auth) -> None:
    await auth.account("asha@example.com")
    first = await add(auth, "default", "asha@example.com", "admin")
    again = await add(auth, "default", "asha@example.com", "admin")
    assert list(first.roles) == ["admin", "member"] and again == first
    rows = await auth.rows("SELECT type FROM outbox")
    assert [row["type"] for row in rows] == ["auth.user.verified"]


async def test_what_is_not_there_is_named(auth: Auth) -> None:
    await auth.account("asha@example.com")
    await auth.sign_up("waiting@example.com")
    with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
        await add(auth, "nowhere", "asha@example.com", "member")
    with assert_refused("NOT_FOUND", "ROLE_NOT_FOUND") as refusal:
        await add(auth, "default", "asha@example.com", "member", "emperor")
    assert refusal.metadata["role"] == "emperor"
    for identifier in ("nobody@example.com", "waiting@example.com", "no identifier"):
        with assert_refused("NOT_FOUND", "USER_NOT_FOUND"):
            await add(auth, "default", identifier, "member")


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for field, tenant, identifier, roles in (
        ("tenantId", "No", "asha@example.com", ["member"]),
        ("identifier", "default", "", ["member"]),
        ("roles", "default", "asha@example.com", []),
        ("roles", "default", "asha@example.com", ["member", "member"]),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await add(auth, tenant, identifier, *roles)

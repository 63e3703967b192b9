"""What the others hear, through Postgres and Redis."""

from typing import Any

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1.envelope_pb2 import Envelope
from tests.factories.auth import Auth, eventually_true


async def envelopes(auth: Auth, count: int) -> list[Envelope]:
    """What is in the stream, once so many events are."""
    redis = auth.running.harness.redis
    found: list[Any] = []

    async def all_are_there() -> bool:
        found[:] = await redis.xrange("events.auth") or []
        return len(found) >= count

    await eventually_true(all_are_there)
    return [Envelope.FromString(fields[b"envelope"]) for _, fields in found]


async def test_a_verified_person_is_told_to_the_others(auth: Auth) -> None:
    account = await auth.account("+254712345678", name="Brian Otieno")
    [envelope] = await envelopes(auth, 1)
    assert (envelope.type, envelope.tenant_id) == ("auth.user.verified", "default")
    assert envelope.aggregate_id == str(account.id) and envelope.aggregate_version == 1
    payload = auth_events_pb2.UserVerified()
    assert envelope.payload.Unpack(payload)
    assert payload == auth_events_pb2.UserVerified(
        user_id=str(account.id), display_name="Brian Otieno", phone="+254712345678", locale="en"
    )


async def test_a_further_place_is_told_in_its_tenant(auth: Auth) -> None:
    account = await auth.account("asha@example.com")
    await auth.tenant("acme")
    await auth.add_member(account, "acme")
    first, second = await envelopes(auth, 2)
    assert (second.type, second.tenant_id) == ("auth.member.added", "acme")
    assert second.aggregate_version == first.aggregate_version + 1
    payload = auth_events_pb2.MemberAdded()
    assert second.payload.Unpack(payload) and payload.email == "asha@example.com"


async def test_a_sign_up_that_waits_is_nobodys_business(auth: Auth) -> None:
    await auth.sign_up("waiting@example.com")
    await auth.code("waiting@example.com")
    await auth.account("asha@example.com")
    [envelope] = await envelopes(auth, 1)
    assert envelope.type == "auth.user.verified"

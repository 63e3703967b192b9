"""VerifyIdentity."""

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1 import envelope_pb2
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_the_code_verifies_and_signs_in(auth: Auth) -> None:
    started = await auth.sign_up("asha@example.com", name="Asha Mwangi")
    tokens = await auth.verify("asha@example.com", await auth.code("asha@example.com"))
    assert tokens.user.verified and tokens.user.id == started.user.id
    assert tokens.user.email == "asha@example.com" and tokens.user.display_name == "Asha Mwangi"
    assert 890 <= tokens.expires_in <= 900
    [place] = tokens.user.memberships
    assert (place.tenant_id, list(place.roles)) == ("default", ["member"])
    claims = auth.signed_in(tokens, "asha@example.com").claims
    assert claims["sub"] == tokens.user.id and claims["tid"] == "default"
    assert "payments.transfer" in claims["tenants"]["default"]["permissions"]
    assert "payments.resolve" not in claims["tenants"]["default"]["permissions"]
    assert claims["exp"] - claims["iat"] == 900 and claims["amr"] == ["pwd"]


async def test_the_others_hear_of_it_once(auth: Auth) -> None:
    account = await auth.account("asha@example.com")
    [row] = await auth.rows("SELECT type, tenant_id, envelope FROM outbox")
    envelope = envelope_pb2.Envelope.FromString(row["envelope"])
    payload = auth_events_pb2.UserVerified()
    assert envelope.payload.Unpack(payload)
    assert (row["type"], row["tenant_id"]) == ("auth.user.verified", "default")
    assert payload.user_id == str(account.id) and payload.email == "asha@example.com"
    assert envelope.aggregate_version == 1 and envelope.actor == f"user:{account.id}"


async def test_a_phone_is_found_in_any_usual_spelling(auth: Auth) -> None:
    await auth.sign_up("0712 345 678")
    code = await auth.code("+254712345678")
    assert (await auth.verify("254712345678", code)).user.phone == "+254712345678"


async def test_a_code_works_once(auth: Auth) -> None:
    await auth.sign_up()
    code = await auth.code("asha@example.com")
    await auth.verify("asha@example.com", code)
    with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
        await auth.verify("asha@example.com", code)

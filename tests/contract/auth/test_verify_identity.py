"""VerifyIdentity."""

from hazina.auth.v1 import auth_events_pb2
from hazina.event.v1 import envelope_pb2
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_the_code_verifies_and_signs_in(auth: Auth) -> None:
    started = await auth.sign_up("asha@example.com", name="Asha Mwangi")
    tokens = await auth.verify("asha@example.com", await auth.code("asha@example.com"))
    assert tokens.user.verified and tokens.user.id == started.user.id
    assert tokens.user.create_time == started.user.create_time
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


async def test_a_code_lives_ten_minutes(auth: Auth) -> None:
    await auth.sign_up()
    code = await auth.code("asha@example.com")
    await auth.pass_time("verification_code", 601, "create_time", "expire_time")
    with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
        await auth.verify("asha@example.com", code)


async def test_a_code_is_forgotten_after_five_wrong_tries(auth: Auth) -> None:
    await auth.sign_up()
    code = await auth.code("asha@example.com")
    for _ in range(5):
        with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
            await auth.verify("asha@example.com", f"{(int(code) + 1) % 1_000_000:06d}")
    with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
        await auth.verify("asha@example.com", code)


async def test_a_code_belongs_to_its_identifier(auth: Auth) -> None:
    await auth.sign_up("asha@example.com")
    await auth.sign_up("brian@example.com")
    code = await auth.code("asha@example.com")
    for identifier in ("brian@example.com", "nobody@example.com", "no identifier"):
        with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
            await auth.verify(identifier, code)


async def test_too_many_wrong_codes_must_wait(strict_auth: Auth) -> None:
    for _ in range(5):
        with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
            await strict_auth.verify("asha@example.com", "000000")
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS") as refusal:
        await strict_auth.verify("asha@example.com", "000000")
    assert refusal.retry_after_seconds is not None


async def test_a_person_gets_a_place_in_the_tenant_of_the_request(auth: Auth) -> None:
    await auth.tenant("acme")
    account = await auth.account("asha@example.com", tenant="acme")
    assert account.claims["tid"] == "acme" and list(account.claims["tenants"]) == ["acme"]
    [row] = await auth.rows("SELECT tenant_id FROM outbox")
    assert row["tenant_id"] == "acme"


async def test_without_a_tenant_in_the_request_it_is_that_of_the_sign_up(auth: Auth) -> None:
    await auth.tenant("acme")
    await auth.sign_up("asha@example.com", tenant="acme")
    tokens = await auth.verify("asha@example.com", await auth.code("asha@example.com"))
    assert [place.tenant_id for place in tokens.user.memberships] == ["acme"]


async def test_an_unknown_tenant_is_refused(auth: Auth) -> None:
    await auth.sign_up()
    code = await auth.code("asha@example.com")
    with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
        await auth.verify("asha@example.com", code, tenant="nowhere")


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for identifier, code, field in (
        ("", "123456", "identifier"),
        ("a" * 255, "123456", "identifier"),
        ("asha@example.com", "12345", "code"),
        ("asha@example.com", "12345x", "code"),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await auth.verify(identifier, code)

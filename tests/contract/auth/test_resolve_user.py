"""ResolveUser."""

from hazina.auth.v1.directory_service_pb2 import ResolveUserRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_the_person_is_found_in_any_usual_spelling(auth: Auth) -> None:
    brian = await auth.account("+254712345678", name="Brian Otieno")
    for spelling in ("0712345678", "254712345678", "+254 712 345-678"):
        request = ResolveUserRequest(tenant_id="default", identifier=spelling)
        entry = await auth.directory().ResolveUser(request)
        assert entry.user_id == str(brian.id)
    assert (entry.display_name, entry.masked_name) == ("Brian Otieno", "B**** O.")
    assert (entry.email, entry.phone, entry.locale) == ("", "+254712345678", "en")
    await auth.account("asha@example.com")
    request = ResolveUserRequest(tenant_id="default", identifier=" ASHA@Example.com")
    assert (await auth.directory("groups").ResolveUser(request)).email == "asha@example.com"


async def test_nobody_and_people_of_other_tenants_are_the_same(auth: Auth) -> None:
    await auth.tenant("acme")
    await auth.account("acme@example.com", tenant="acme")
    await auth.sign_up("waiting@example.com")
    answers = set()
    for tenant, identifier in (
        ("default", "acme@example.com"),
        ("default", "nobody@example.com"),
        ("default", "waiting@example.com"),
        ("default", "no identifier"),
        ("nowhere", "acme@example.com"),
    ):
        with assert_refused("NOT_FOUND", "USER_NOT_FOUND") as refusal:
            request = ResolveUserRequest(tenant_id=tenant, identifier=identifier)
            await auth.directory().ResolveUser(request)
        answers.add((refusal.message, str(refusal.metadata)))
    assert len(answers) == 1
    request = ResolveUserRequest(tenant_id="acme", identifier="acme@example.com")
    assert (await auth.directory().ResolveUser(request)).email == "acme@example.com"


async def test_only_payments_and_groups_may_ask(auth: Auth) -> None:
    request = ResolveUserRequest(tenant_id="default", identifier="asha@example.com")
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await auth.directory("wallet").ResolveUser(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "tenantId"):
        await auth.directory().ResolveUser(ResolveUserRequest(identifier="asha@example.com"))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "identifier"):
        await auth.directory().ResolveUser(ResolveUserRequest(tenant_id="default"))

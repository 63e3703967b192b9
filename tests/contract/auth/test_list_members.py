"""ListMembers."""

from hazina.auth.v1.directory_service_pb2 import ListMembersRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_pages_go_through_the_members_of_one_tenant(auth: Auth) -> None:
    await auth.tenant("acme")
    accounts = [await auth.account(f"person{number}@example.com") for number in range(5)]
    await auth.account("stranger@example.com", tenant="acme")
    seen = []
    token = ""
    for count in (2, 2, 1):
        request = ListMembersRequest(tenant_id="default", page_size=2, page_token=token)
        page = await auth.tenants().ListMembers(request)
        assert len(page.members) == count
        seen += list(page.members)
        token = page.next_page_token
    assert token == "" and [one.user_id for one in seen] == [str(one.id) for one in accounts]
    assert list(seen[0].roles) == ["member"] and seen[0].masked_identifier == "p***0@example.com"


async def test_a_page_token_belongs_to_its_tenant(auth: Auth) -> None:
    await auth.tenant("acme")
    for number in range(2):
        await auth.account(f"person{number}@example.com")
    request = ListMembersRequest(tenant_id="default", page_size=1)
    token = (await auth.tenants().ListMembers(request)).next_page_token
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        request = ListMembersRequest(tenant_id="acme", page_token=token)
        await auth.tenants().ListMembers(request)


async def test_an_unknown_tenant_is_named(auth: Auth) -> None:
    with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
        await auth.tenants().ListMembers(ListMembersRequest(tenant_id="nowhere"))


async def test_bad_input_names_the_field(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "tenantId"):
        await auth.tenants().ListMembers(ListMembersRequest())
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "pageSize"):
        request = ListMembersRequest(tenant_id="default", page_size=-1)
        await auth.tenants().ListMembers(request)

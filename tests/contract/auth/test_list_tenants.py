"""ListTenants."""

from hazina.auth.v1.directory_service_pb2 import ListTenantsRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_pages_go_through_all_tenants_by_id(auth: Auth) -> None:
    for tenant in ("zebra", "acme", "mango", "beta"):
        await auth.tenant(tenant)
    seen: list[str] = []
    token = ""
    for count in (2, 2, 1):
        request = ListTenantsRequest(page_size=2, page_token=token)
        page = await auth.tenants().ListTenants(request)
        assert len(page.tenants) == count
        seen += [tenant.id for tenant in page.tenants]
        token = page.next_page_token
    assert token == "" and seen == ["acme", "beta", "default", "mango", "zebra"]


async def test_bad_input_is_refused(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "pageSize"):
        await auth.tenants().ListTenants(ListTenantsRequest(page_size=-1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await auth.tenants().ListTenants(ListTenantsRequest(page_token="made up"))

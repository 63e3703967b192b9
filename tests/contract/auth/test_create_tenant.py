"""CreateTenant."""

from hazina.auth.v1.directory_service_pb2 import CreateTenantRequest
from hazina.auth.v1.directory_service_pb2_grpc import TenantServiceStub
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_a_tenant_comes_with_its_roles(auth: Auth) -> None:
    request = CreateTenantRequest(tenant_id="acme", display_name="Acme Savings")
    tenant = (await auth.tenants().CreateTenant(request)).tenant
    assert (tenant.id, tenant.display_name) == ("acme", "Acme Savings")
    assert tenant.create_time.seconds > 0
    rows = await auth.rows("SELECT name, permissions FROM role WHERE tenant_id = 'acme'")
    roles = {row["name"]: set(row["permissions"]) for row in rows}
    assert roles["member"] < roles["staff"] < roles["admin"]
    assert "payments.fees" in roles["admin"] - roles["staff"]


async def test_an_id_is_given_once(auth: Auth) -> None:
    for tenant_id in ("default", "acme"):
        request = CreateTenantRequest(tenant_id=tenant_id, display_name="A")
        if tenant_id == "acme":
            await auth.tenants().CreateTenant(request)
        with assert_refused("ALREADY_EXISTS", "TENANT_EXISTS"):
            await auth.tenants().CreateTenant(request)


async def test_only_operators_may(auth: Auth) -> None:
    request = CreateTenantRequest(tenant_id="acme", display_name="A")
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await auth.running.stub(TenantServiceStub, identity="wallet").CreateTenant(request)
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await auth.running.stub(TenantServiceStub, through_mesh_as="comms").CreateTenant(request)
    with assert_refused("PERMISSION_DENIED", "ACCESS_DENIED"):
        await auth.running.stub(TenantServiceStub).CreateTenant(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for field, tenant_id, name in (
        ("tenantId", "", "A"),
        ("tenantId", "Acme", "A"),
        ("tenantId", "1acme", "A"),
        ("tenantId", "a" * 32, "A"),
        ("tenantId", "*", "A"),
        ("displayName", "acme", ""),
        ("displayName", "acme", "x" * 81),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            request = CreateTenantRequest(tenant_id=tenant_id, display_name=name)
            await auth.tenants().CreateTenant(request)

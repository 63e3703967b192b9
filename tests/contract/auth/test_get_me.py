"""GetMe."""

from hazina.auth.v1.user_service_pb2 import GetMeRequest
from hazina.auth.v1.user_service_pb2_grpc import UserServiceStub
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_one_sees_ones_own_profile_with_all_places(auth: Auth) -> None:
    account = await auth.account("asha@example.com", name="Asha Mwangi")
    await auth.tenant("acme")
    await auth.add_member(account, "acme", "staff")
    me = await auth.users(account).GetMe(GetMeRequest())
    assert (me.id, me.display_name, me.email) == (
        str(account.id),
        "Asha Mwangi",
        "asha@example.com",
    )
    assert me.verified and not me.totp_enabled and me.kyc_tier == 0 and me.phone == ""
    places = {place.tenant_id: list(place.roles) for place in me.memberships}
    assert places == {"default": ["member"], "acme": ["staff"]}
    assert me.etag and me.create_time.seconds > 0


async def test_a_tenant_where_one_has_no_place_does_not_exist(auth: Auth) -> None:
    account = await auth.account()
    await auth.tenant("acme")
    for tenant in ("acme", "nowhere", "Not A Slug"):
        with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
            await auth.users(account, tenant=tenant).GetMe(GetMeRequest())


async def test_it_needs_a_good_token(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("UNAUTHENTICATED", "TOKEN_INVALID"):
        headers = [("authorization", f"Bearer {account.access_token[:-6]}AAAAAA")]
        await auth.running.stub(UserServiceStub, headers=headers).GetMe(GetMeRequest())

"""UnsuspendUser."""

from hazina.auth.v1.directory_service_pb2 import UnsuspendUserRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_the_person_is_let_in_again_and_old_sessions_stay_ended(auth: Auth) -> None:
    account = await auth.account()
    await auth.suspend(account)
    request = UnsuspendUserRequest(identifier=account.identifier, note="a mistake")
    await auth.tenants().UnsuspendUser(request)
    await auth.tenants().UnsuspendUser(request)  # changes nothing
    assert (await auth.login(account)).user.verified
    assert not await auth.stands(account)
    rows = await auth.rows("SELECT kind FROM suspension ORDER BY create_time")
    assert [row["kind"] for row in rows] == ["suspend", "unsuspend"]


async def test_nobody_is_named(auth: Auth) -> None:
    with assert_refused("NOT_FOUND", "USER_NOT_FOUND"):
        request = UnsuspendUserRequest(identifier="nobody@example.com", note="a test")
        await auth.tenants().UnsuspendUser(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "note"):
        request = UnsuspendUserRequest(identifier="asha@example.com")
        await auth.tenants().UnsuspendUser(request)

"""SuspendUser."""

from hazina.auth.v1.directory_service_pb2 import SuspendUserRequest
from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_all_sessions_end_and_no_token_is_given_out(auth: Auth) -> None:
    account = await auth.account()
    other = auth.signed_in(await auth.login(account), account.identifier)
    request = CreateApiKeyRequest(name="export", permissions=["wallet.read"])
    key = (await auth.users(account).CreateApiKey(request)).key
    await auth.suspend(account)
    assert not await auth.stands(account) and not await auth.stands(other)
    assert not await auth.exchange(key)
    with assert_refused("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"):
        await auth.login(account)
    with assert_refused("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"):
        await auth.refresh(other.refresh_token)


async def test_the_reason_is_kept_and_repeating_changes_nothing(auth: Auth) -> None:
    account = await auth.account()
    await auth.suspend(account)
    await auth.suspend(account)
    [row] = await auth.rows("SELECT kind, note, actor, user_id FROM suspension")
    assert dict(row) == {
        "kind": "suspend",
        "note": "a test",
        "actor": "service:ops",
        "user_id": account.id,
    }


async def test_nobody_is_named(auth: Auth) -> None:
    with assert_refused("NOT_FOUND", "USER_NOT_FOUND"):
        request = SuspendUserRequest(identifier="nobody@example.com", note="a test")
        await auth.tenants().SuspendUser(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for field, identifier, note in (
        ("identifier", "", "a test"),
        ("note", "asha@example.com", ""),
        ("note", "asha@example.com", "x" * 281),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            request = SuspendUserRequest(identifier=identifier, note=note)
            await auth.tenants().SuspendUser(request)

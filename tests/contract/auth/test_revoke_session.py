"""RevokeSession."""

from uuid import uuid4

from hazina.auth.v1.user_service_pb2 import RevokeSessionRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_one_of_ones_own_sessions_ends(auth: Auth) -> None:
    account = await auth.account()
    other = auth.signed_in(await auth.login(account), account.identifier)
    request = RevokeSessionRequest(session_id=str(other.session_id))
    await auth.users(account).RevokeSession(request)
    assert not await auth.stands(other) and await auth.stands(account)
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        await auth.refresh(other.refresh_token)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await auth.users(account).RevokeSession(request)


async def test_other_peoples_sessions_do_not_exist(auth: Auth) -> None:
    asha = await auth.account("asha@example.com")
    brian = await auth.account("brian@example.com")
    for session_id in (brian.session_id, uuid4()):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await auth.users(asha).RevokeSession(RevokeSessionRequest(session_id=str(session_id)))
    assert await auth.stands(brian)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "sessionId"):
        await auth.users(account).RevokeSession(RevokeSessionRequest(session_id="1"))

"""CheckSession."""

from uuid import uuid4

from hazina.auth.v1.auth_service_pb2 import LogoutRequest
from hazina.auth.v1.session_service_pb2 import CheckSessionRequest
from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest, RevokeApiKeyRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_a_session_stands_until_it_ends(auth: Auth) -> None:
    account = await auth.account()
    assert await auth.stands(account)
    await auth.accounts().Logout(LogoutRequest(refresh_token=account.refresh_token))
    assert not await auth.stands(account)


async def test_a_session_belongs_to_its_person(auth: Auth) -> None:
    asha = await auth.account("asha@example.com")
    brian = await auth.account("brian@example.com")
    for user_id, session_id in (
        (asha.id, brian.session_id),
        (asha.id, uuid4()),
        (uuid4(), asha.session_id),
    ):
        request = CheckSessionRequest(user_id=str(user_id), session_id=str(session_id))
        assert not (await auth.sessions().CheckSession(request)).active


async def test_an_expired_session_stands_no_more(auth: Auth) -> None:
    account = await auth.account()
    await auth.pass_time("session", 8 * 86400, "expire_time")
    assert not await auth.stands(account)


async def test_an_api_key_stands_until_it_is_revoked_or_its_maker_suspended(auth: Auth) -> None:
    account = await auth.account()
    request = CreateApiKeyRequest(name="export", permissions=["wallet.read"])
    keys = [(await auth.users(account).CreateApiKey(request)).api_key for _ in range(2)]

    async def stands(number: int) -> bool:
        question = CheckSessionRequest(user_id=str(account.id), session_id=keys[number].id)
        return bool((await auth.sessions().CheckSession(question)).active)

    assert await stands(0) and await stands(1)
    await auth.users(account).RevokeApiKey(RevokeApiKeyRequest(api_key_id=keys[0].id))
    assert not await stands(0) and await stands(1)
    await auth.suspend(account)
    assert not await stands(1)


async def test_only_services_may_ask(auth: Auth) -> None:
    request = CheckSessionRequest(user_id=str(uuid4()), session_id=str(uuid4()))
    for caller in ("wallet", "payments", "groups", "comms"):
        assert not (await auth.sessions(caller).CheckSession(request)).active
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await auth.sessions("ops").CheckSession(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "userId"):
        await auth.sessions().CheckSession(CheckSessionRequest(session_id=str(uuid4())))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "sessionId"):
        await auth.sessions().CheckSession(CheckSessionRequest(user_id=str(uuid4())))

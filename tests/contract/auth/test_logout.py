"""Logout."""

from google.protobuf.empty_pb2 import Empty

from hazina.auth.v1 import auth_service_pb2 as pb
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_the_session_ends(auth: Auth) -> None:
    account = await auth.account()
    await auth.accounts().Logout(pb.LogoutRequest(refresh_token=account.refresh_token))
    assert not await auth.stands(account)
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        await auth.refresh(account.refresh_token)


async def test_any_token_of_the_session_ends_it(auth: Auth) -> None:
    account = await auth.account()
    await auth.refresh(account.refresh_token)
    await auth.accounts().Logout(pb.LogoutRequest(refresh_token=account.refresh_token))
    assert not await auth.stands(account)


async def test_other_sessions_go_on(auth: Auth) -> None:
    account = await auth.account()
    other = auth.signed_in(await auth.login(account), account.identifier)
    await auth.accounts().Logout(pb.LogoutRequest(refresh_token=account.refresh_token))
    assert await auth.stands(other)


async def test_an_unknown_or_ended_token_gets_the_same_answer(auth: Auth) -> None:
    account = await auth.account()
    for token in (account.refresh_token, account.refresh_token, "made up"):
        assert await auth.accounts().Logout(pb.LogoutRequest(refresh_token=token)) == Empty()


async def test_bad_input_names_the_field(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "refreshToken"):
        await auth.accounts().Logout(pb.LogoutRequest())

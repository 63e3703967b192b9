"""RefreshToken."""

from hazina.auth.v1 import auth_service_pb2 as pb
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_each_token_is_traded_for_the_next(auth: Auth) -> None:
    account = await auth.account()
    first = await auth.refresh(account.refresh_token)
    second = await auth.refresh(first.refresh_token)
    tokens = {account.refresh_token, first.refresh_token, second.refresh_token}
    assert len(tokens) == 3 and second.user.id == str(account.id)
    renewed = auth.signed_in(second, account.identifier)
    assert renewed.session_id == account.session_id
    assert renewed.claims["jti"] != account.claims["jti"]
    assert await auth.stands(account)


async def test_a_lost_answer_is_given_again(auth: Auth) -> None:
    account = await auth.account()
    first = await auth.refresh(account.refresh_token)
    again = await auth.refresh(account.refresh_token)
    assert (again.access_token, again.refresh_token) == (first.access_token, first.refresh_token)
    assert (await auth.refresh(again.refresh_token)).user.verified


async def test_a_lost_answer_is_given_again_for_thirty_seconds_only(auth: Auth) -> None:
    account = await auth.account()
    newest = await auth.refresh(account.refresh_token)
    await auth.pass_time("session", 31, "refresh_time")
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED"):
        await auth.refresh(account.refresh_token)
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        await auth.refresh(newest.refresh_token)
    assert not await auth.stands(account)


async def test_an_older_token_ends_the_session_at_once(auth: Auth) -> None:
    account = await auth.account()
    other = auth.signed_in(await auth.login(account), account.identifier)
    first = await auth.refresh(account.refresh_token)
    newest = await auth.refresh(first.refresh_token)
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED"):
        await auth.refresh(account.refresh_token)
    for token in (account.refresh_token, first.refresh_token, newest.refresh_token):
        with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
            await auth.refresh(token)
    assert not await auth.stands(account) and await auth.stands(other)


async def test_a_token_lives_seven_days(auth: Auth) -> None:
    account = await auth.account()
    await auth.pass_time("session", 7 * 86400 + 1, "refresh_time", "expire_time")
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        await auth.refresh(account.refresh_token)


async def test_a_session_lives_ninety_days_in_all(auth: Auth) -> None:
    account = await auth.account()
    await auth.pass_time("session", 89 * 86400, "create_time")
    await auth.refresh(account.refresh_token)
    [row] = await auth.rows("SELECT expire_time - create_time AS life FROM session")
    assert row["life"].days == 90


async def test_an_unknown_token_is_refused(auth: Auth) -> None:
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        await auth.refresh("made up")


async def test_a_suspended_person_gets_no_tokens(auth: Auth) -> None:
    account = await auth.account()
    await auth.suspend(account)
    with assert_refused("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"):
        await auth.refresh(account.refresh_token)


async def test_tokens_follow_what_changed_meanwhile(auth: Auth) -> None:
    account = await auth.account()
    await auth.tenant("acme")
    await auth.add_member(account, "acme", "staff")
    tokens = await auth.refresh(account.refresh_token)
    claims = auth.signed_in(tokens, account.identifier).claims
    assert sorted(claims["tenants"]) == ["acme", "default"] and claims["tid"] == "default"
    assert "payments.review" in claims["tenants"]["acme"]["permissions"]
    assert "payments.review" not in claims["tenants"]["default"]["permissions"]


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for token in ("", "x" * 513):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "refreshToken"):
            await auth.accounts().RefreshToken(pb.RefreshTokenRequest(refresh_token=token))

"""StepUp."""

import time
from typing import Any

from hazina.auth.v1 import auth_service_pb2 as pb
from tests.factories.auth import Account, Auth
from tests.factories.authenticator import enable_totp, fresh_code, wrong_code
from tests.harness import assert_refused


async def step_up(auth: Auth, account: Account, code: str, refresh_token: str = "") -> Any:
    """Give a second factor in the account's session."""
    request = pb.StepUpRequest(totp_code=code, refresh_token=refresh_token or account.refresh_token)
    return await auth.accounts(user=account.person).StepUp(request)


async def test_the_next_tokens_carry_the_second_factor(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    tokens = await step_up(auth, account, await fresh_code(auth, account, app))
    stepped = auth.signed_in(tokens, account.identifier)
    assert stepped.session_id == account.session_id
    assert stepped.claims["amr"] == ["pwd", "otp"]
    assert abs(stepped.claims["sft"] - time.time()) < 10
    renewed = auth.signed_in(await auth.refresh(tokens.refresh_token), account.identifier)
    assert renewed.claims["sft"] == stepped.claims["sft"]


async def test_a_wrong_or_used_code_is_refused_and_trades_nothing(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    [row] = await auth.rows("SELECT last_step FROM totp")
    for code in (wrong_code(app), app.generate_otp(row["last_step"])):
        with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
            await step_up(auth, account, code)
    assert (await auth.refresh(account.refresh_token)).user.verified


async def test_without_an_app_there_is_no_second_factor(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("FAILED_PRECONDITION", "TOTP_NOT_ENABLED"):
        await step_up(auth, account, "123456")


async def test_the_refresh_token_must_be_of_this_session(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    code = await fresh_code(auth, account, app)
    other = auth.signed_in(await auth.login(account, totp_code=code), account.identifier)
    code = await fresh_code(auth, account, app)
    for token in (other.refresh_token, "made up"):
        with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
            await step_up(auth, account, code, token)


async def test_an_older_refresh_token_ends_the_session(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    first = await auth.refresh(account.refresh_token)
    await auth.refresh(first.refresh_token)
    with assert_refused("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED"):
        await step_up(auth, account, await fresh_code(auth, account, app))
    assert not await auth.stands(account)


async def test_a_suspended_person_gets_no_tokens(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    await auth.suspend(account)
    with assert_refused("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"):
        await step_up(auth, account, await fresh_code(auth, account, app))


async def test_too_many_codes_must_wait(strict_auth: Auth) -> None:
    account = await strict_auth.account()
    app = await enable_totp(strict_auth, account)
    for _ in range(5):
        with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
            await step_up(strict_auth, account, wrong_code(app))
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
        await step_up(strict_auth, account, await fresh_code(strict_auth, account, app))


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "totpCode"):
        await step_up(auth, account, "12345")


async def test_it_needs_a_user(auth: Auth) -> None:
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await auth.accounts().StepUp(pb.StepUpRequest(totp_code="123456", refresh_token="x"))

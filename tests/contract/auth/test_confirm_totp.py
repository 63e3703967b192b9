"""ConfirmTotp."""

import pyotp

from hazina.auth.v1.user_service_pb2 import ConfirmTotpRequest, EnrollTotpRequest, GetMeRequest
from tests.factories.auth import Auth
from tests.factories.authenticator import enable_totp, wrong_code
from tests.harness import assert_refused


async def test_a_first_right_code_turns_the_app_on(auth: Auth) -> None:
    account = await auth.account()
    await enable_totp(auth, account)
    assert (await auth.users(account).GetMe(GetMeRequest())).totp_enabled
    with assert_refused("UNAUTHENTICATED", "TOTP_REQUIRED"):
        await auth.login(account)


async def test_it_needs_an_app_that_was_started(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("FAILED_PRECONDITION", "TOTP_NOT_ENABLED"):
        await auth.users(account).ConfirmTotp(ConfirmTotpRequest(totp_code="123456"))


async def test_an_app_is_turned_on_once(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    with assert_refused("FAILED_PRECONDITION", "TOTP_ALREADY_ENABLED"):
        await auth.users(account).ConfirmTotp(ConfirmTotpRequest(totp_code=app.now()))


async def test_wrong_codes_are_refused_and_soon_must_wait(strict_auth: Auth) -> None:
    account = await strict_auth.account()
    users = strict_auth.users(account)
    app = pyotp.TOTP((await users.EnrollTotp(EnrollTotpRequest())).secret)
    for _ in range(5):
        with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
            await users.ConfirmTotp(ConfirmTotpRequest(totp_code=wrong_code(app)))
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
        await users.ConfirmTotp(ConfirmTotpRequest(totp_code=app.now()))
    assert not (await users.GetMe(GetMeRequest())).totp_enabled


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "totpCode"):
        await auth.users(account).ConfirmTotp(ConfirmTotpRequest(totp_code="12345a"))

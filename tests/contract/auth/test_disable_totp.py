"""DisableTotp."""

from hazina.auth.v1.user_service_pb2 import DisableTotpRequest
from tests.factories.auth import Auth
from tests.factories.authenticator import enable_totp, fresh_code, wrong_code
from tests.harness import assert_refused


async def test_a_right_code_turns_the_app_off(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    code = await fresh_code(auth, account, app)
    await auth.users(account).DisableTotp(DisableTotpRequest(totp_code=code))
    assert not (await auth.login(account)).user.totp_enabled


async def test_without_an_app_there_is_nothing_to_turn_off(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("FAILED_PRECONDITION", "TOTP_NOT_ENABLED"):
        await auth.users(account).DisableTotp(DisableTotpRequest(totp_code="123456"))


async def test_wrong_codes_are_refused_and_soon_must_wait(strict_auth: Auth) -> None:
    account = await strict_auth.account()
    app = await enable_totp(strict_auth, account)
    users = strict_auth.users(account)
    for _ in range(5):
        with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
            await users.DisableTotp(DisableTotpRequest(totp_code=wrong_code(app)))
    code = await fresh_code(strict_auth, account, app)
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
        await users.DisableTotp(DisableTotpRequest(totp_code=code))


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "totpCode"):
        await auth.users(account).DisableTotp(DisableTotpRequest())

"""Recover."""

from typing import Any

import pytest

from hazina.auth.v1 import auth_service_pb2 as pb
from hazina.comms.v1.message_service_pb2 import SendMessageRequest
from tests.factories.auth import PIN, Account, Auth, reasons_of_a_storm
from tests.factories.authenticator import enable_totp, fresh_code, wrong_code
from tests.harness import assert_refused

NEW = "a quite different secret"


async def ask(auth: Auth, identifier: str) -> Any:
    """First step."""
    return await auth.accounts().Recover(pb.RecoverRequest(identifier=identifier))


async def give(auth: Auth, identifier: str, code: str, **fields: Any) -> Any:
    """Second step."""
    fields = fields or {"new_password": NEW}
    request = pb.RecoverRequest(identifier=identifier, code=code, **fields)
    return await auth.accounts().Recover(request)


async def asked(auth: Auth, account: Account) -> str:
    """The code of a recovery."""
    await ask(auth, account.identifier)
    return await auth.code(account.identifier, count=2)


async def test_a_code_and_a_new_secret_sign_in_and_end_all_other_sessions(auth: Auth) -> None:
    account = await auth.account()
    other = auth.signed_in(await auth.login(account), account.identifier)
    code = await asked(auth, account)
    assert auth.comms.messages[-1].template == SendMessageRequest.RECOVERY_CODE
    answer = await give(auth, account.identifier, code)
    recovered = auth.signed_in(answer, account.identifier, NEW)
    assert not answer.code_sent and answer.user.id == str(account.id) and answer.expires_in == 900
    assert await auth.stands(recovered)
    assert not await auth.stands(account) and not await auth.stands(other)
    assert (await auth.login(recovered)).user.verified
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
        await auth.login(account)


async def test_a_password_may_become_a_pin(auth: Auth) -> None:
    account = await auth.account()
    await give(auth, account.identifier, await asked(auth, account), new_pin=PIN)
    request = pb.LoginRequest(identifier=account.identifier, pin=PIN)
    assert (await auth.accounts().Login(request)).user.verified


async def test_the_first_step_answers_the_same_for_everybody(auth: Auth) -> None:
    account = await auth.account()
    for identifier in (account.identifier, "nobody@example.com", "no identifier"):
        assert await ask(auth, identifier) == pb.RecoverResponse(code_sent=True)
    await auth.code(account.identifier, count=2)
    assert not auth.comms.sent_to("nobody@example.com")


async def test_a_sign_up_that_waits_is_verified_by_it(auth: Auth) -> None:
    await auth.sign_up("asha@example.com")
    await auth.code("asha@example.com")
    await ask(auth, "asha@example.com")
    code = await auth.code("asha@example.com", count=2)
    answer = await give(auth, "asha@example.com", code)
    assert answer.user.verified
    assert (await auth.login(auth.signed_in(answer, "asha@example.com", NEW))).user.verified


async def test_a_code_works_once_and_only_for_recovery(auth: Auth) -> None:
    account = await auth.account()
    code = await asked(auth, account)
    with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
        await auth.verify(account.identifier, code)
    await give(auth, account.identifier, code)
    with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
        await give(auth, account.identifier, code)


async def test_a_wrong_code_and_an_unknown_identifier_are_one_answer(auth: Auth) -> None:
    account = await auth.account()
    code = await asked(auth, account)
    for identifier in (account.identifier, "nobody@example.com", "no identifier"):
        with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
            await give(auth, identifier, f"{(int(code) + 1) % 1_000_000:06d}")


async def test_an_authenticator_app_is_needed_too(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    code = await asked(auth, account)
    with assert_refused("UNAUTHENTICATED", "TOTP_REQUIRED"):
        await give(auth, account.identifier, code)
    with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
        await give(auth, account.identifier, code, new_password=NEW, totp_code=wrong_code(app))
    totp_code = await fresh_code(auth, account, app)
    answer = await give(auth, account.identifier, code, new_password=NEW, totp_code=totp_code)
    assert auth.signed_in(answer, account.identifier).claims["amr"] == ["pwd", "otp"]


async def test_a_suspended_person_is_told_after_a_right_code(auth: Auth) -> None:
    account = await auth.account()
    code = await asked(auth, account)
    await auth.suspend(account)
    with assert_refused("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"):
        await give(auth, account.identifier, code)


async def test_weak_secrets_are_refused(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "PASSWORD_TOO_WEAK"):
        await give(auth, "asha@example.com", "123456", new_password="password123")
    with assert_refused("INVALID_ARGUMENT", "PIN_TOO_WEAK"):
        await give(auth, "asha@example.com", "123456", new_pin="1234")


async def test_too_many_tries_must_wait(strict_auth: Auth) -> None:
    for _ in range(5):
        await ask(strict_auth, "asha@example.com")
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
        await ask(strict_auth, "asha@example.com")
    for _ in range(5):
        with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
            await give(strict_auth, "asha@example.com", "123456")
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS"):
        await give(strict_auth, "asha@example.com", "123456")


@pytest.mark.slow
async def test_a_storm_of_recoveries_is_shed(auth: Auth) -> None:
    calls = (give(auth, f"person{number}@example.com", "123456") for number in range(60))
    assert await reasons_of_a_storm(calls) == {"CODE_INVALID", "OVERLOADED"}


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for field, request in (
        ("identifier", pb.RecoverRequest()),
        ("code", pb.RecoverRequest(identifier="asha@example.com", code="12")),
        ("newPassword", pb.RecoverRequest(identifier="asha@example.com", code="123456")),
        ("newPin", pb.RecoverRequest(identifier="a@example.com", code="123456", new_pin="12")),
        ("totpCode", pb.RecoverRequest(identifier="a@example.com", totp_code="x")),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await auth.accounts().Recover(request)

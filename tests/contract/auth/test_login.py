"""Login."""

import statistics
import time

import psutil
import pytest
from argon2 import PasswordHasher

from hazina.auth.v1 import auth_service_pb2 as pb
from tests.factories.auth import PASSWORD, PIN, Auth, eventually, reasons_of_a_storm
from tests.factories.authenticator import enable_totp, fresh_code, wrong_code
from tests.harness import assert_refused


async def test_a_password_signs_in(auth: Auth) -> None:
    account = await auth.account()
    tokens = await auth.login(account)
    again = auth.signed_in(tokens, account.identifier)
    assert again.id == account.id and again.session_id != account.session_id
    assert tokens.expires_in == 900 and tokens.user.verified
    assert await auth.stands(again) and await auth.stands(account)


async def test_a_pin_signs_in_by_phone(auth: Auth) -> None:
    request = pb.SignUpRequest(phone="0712345678", pin=PIN, display_name="Brian")
    await auth.accounts().SignUp(request)
    await auth.verify("0712345678", await auth.code("+254712345678"))
    tokens = await auth.accounts().Login(pb.LoginRequest(identifier="+254 712 345 678", pin=PIN))
    assert tokens.user.phone == "+254712345678"


async def test_every_wrong_pair_gets_the_same_answer(auth: Auth) -> None:
    account = await auth.account()
    answers = set()
    for request in (
        pb.LoginRequest(identifier=account.identifier, password="wrong"),
        pb.LoginRequest(identifier=account.identifier, pin="1234"),
        pb.LoginRequest(identifier="nobody@example.com", password=PASSWORD),
        pb.LoginRequest(identifier="no identifier", password=PASSWORD),
    ):
        with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID") as refusal:
            await auth.accounts().Login(request)
        answers.add((refusal.message, str(refusal.metadata), refusal.domain))
    assert len(answers) == 1


@pytest.mark.slow
async def test_an_unknown_identifier_takes_as_long_as_a_wrong_secret(auth: Auth) -> None:
    account = await auth.account()
    spent: dict[str, list[float]] = {account.identifier: [], "nobody@example.com": []}
    for _ in range(12):
        for identifier, times in spent.items():
            started = time.perf_counter()
            with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
                request = pb.LoginRequest(identifier=identifier, password="wrong")
                await auth.accounts().Login(request)
            times.append(time.perf_counter() - started)
    known, unknown = (statistics.median(times) for times in spent.values())
    assert 0.5 < known / unknown < 2


async def test_an_unverified_identifier_is_named_only_after_a_right_secret(auth: Auth) -> None:
    await auth.sign_up("asha@example.com")
    await auth.code("asha@example.com")
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
        await auth.accounts().Login(
            pb.LoginRequest(identifier="asha@example.com", password="wrong")
        )
    with assert_refused("FAILED_PRECONDITION", "IDENTITY_NOT_VERIFIED"):
        await auth.accounts().Login(
            pb.LoginRequest(identifier="asha@example.com", password=PASSWORD)
        )
    code = await auth.code("asha@example.com", count=2)
    assert (await auth.verify("asha@example.com", code)).user.verified


async def test_too_many_tries_must_wait_even_with_the_right_secret(strict_auth: Auth) -> None:
    account = await strict_auth.account()
    for _ in range(5):
        with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
            request = pb.LoginRequest(identifier=account.identifier, password="wrong")
            await strict_auth.accounts().Login(request)
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS") as refusal:
        await strict_auth.login(account)
    assert refusal.retry_after_seconds is not None
    await strict_auth.pass_time("attempt", 61, "start_time")
    assert (await strict_auth.login(account)).user.verified


async def test_from_anywhere_one_identity_has_twenty_tries_in_a_quarter_of_an_hour(
    strict_auth: Auth,
) -> None:
    account = await strict_auth.account()
    request = pb.LoginRequest(identifier=account.identifier, password="wrong")
    for number in range(20):
        headers = [("x-envoy-external-address", f"198.51.100.{number}")]
        with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
            await strict_auth.accounts(headers=headers).Login(request)
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS") as refusal:
        headers = [("x-envoy-external-address", "203.0.113.7")]
        await strict_auth.accounts(headers=headers).Login(request)
    assert refusal.retry_after_seconds is not None and refusal.retry_after_seconds > 60


async def test_a_right_secret_makes_earlier_tries_forgotten(strict_auth: Auth) -> None:
    account = await strict_auth.account()
    for _ in range(3):
        for _ in range(4):
            with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
                request = pb.LoginRequest(identifier=account.identifier, password="wrong")
                await strict_auth.accounts().Login(request)
        await strict_auth.login(account)


async def test_an_authenticator_app_is_asked_for_after_the_secret(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
        request = pb.LoginRequest(identifier=account.identifier, password="wrong")
        await auth.accounts().Login(request)
    with assert_refused("UNAUTHENTICATED", "TOTP_REQUIRED"):
        await auth.login(account)
    with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
        await auth.login(account, totp_code=wrong_code(app))
    code = await fresh_code(auth, account, app)
    tokens = await auth.login(account, totp_code=code)
    claims = auth.signed_in(tokens, account.identifier).claims
    assert claims["amr"] == ["pwd", "otp"] and abs(claims["sft"] - time.time()) < 10
    with assert_refused("UNAUTHENTICATED", "TOTP_INVALID"):
        await auth.login(account, totp_code=code)


async def test_a_suspended_person_is_told_after_a_right_secret(auth: Auth) -> None:
    account = await auth.account()
    await auth.suspend(account)
    with assert_refused("PERMISSION_DENIED", "ACCOUNT_SUSPENDED"):
        await auth.login(account)
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
        request = pb.LoginRequest(identifier=account.identifier, password="wrong")
        await auth.accounts().Login(request)


async def test_a_hash_with_older_parameters_is_renewed(auth: Auth) -> None:
    account = await auth.account()
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(account.password)
    await auth.rows("UPDATE credential SET hash = $1", old)
    await auth.login(account)
    [row] = await auth.rows("SELECT hash FROM credential")
    assert "m=47104,t=1,p=1" in row["hash"]
    await auth.login(account)


async def test_the_password_process_comes_back_when_it_dies(auth: Auth) -> None:
    account = await auth.account()
    [child] = [
        one for one in psutil.Process().children() if "services.auth.hasher" in one.cmdline()
    ]
    assert child.nice() >= 10
    child.kill()
    await eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert (await auth.login(account)).user.verified


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("identifier", pb.LoginRequest(password=PASSWORD)),
        ("secret", pb.LoginRequest(identifier="asha@example.com")),
        ("password", pb.LoginRequest(identifier="asha@example.com", password="x" * 129)),
        ("pin", pb.LoginRequest(identifier="asha@example.com", pin="1234567")),
        ("totpCode", pb.LoginRequest(identifier="asha@example.com", pin="1", totp_code="12")),
        ("password", pb.LoginRequest(identifier="asha@example.com", password="a\0b")),
    ],
)
async def test_bad_input_names_the_field(auth: Auth, field: str, request_: pb.LoginRequest) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
        await auth.accounts().Login(request_)


async def test_a_storm_of_logins_is_shed(auth: Auth) -> None:
    account = await auth.account()
    assert await reasons_of_a_storm(auth.login(account) for _ in range(60)) == {"OVERLOADED"}

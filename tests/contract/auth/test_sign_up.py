"""SignUp."""

import statistics
import time

import pytest

from hazina.auth.v1 import auth_service_pb2 as pb
from hazina.auth.v1.user_service_pb2 import GetMeRequest
from hazina.comms.v1.message_service_pb2 import SendMessageRequest
from tests.factories.auth import PASSWORD, PIN, Auth, eventually, reasons_of_a_storm
from tests.harness import assert_refused


async def test_an_email_starts_an_account_and_gets_a_code(auth: Auth) -> None:
    answer = await auth.sign_up(" Asha@Example.COM", name="  Asha   Mwangi ")
    assert answer.verification_required and not answer.user.verified
    assert answer.user.email == "asha@example.com" and answer.user.phone == ""
    assert answer.user.display_name == "Asha Mwangi" and answer.user.locale == "en"
    code = await auth.code("asha@example.com")
    [message] = auth.comms.sent_to("asha@example.com")
    assert len(code) == 6 and code.isdigit()
    assert message.template == SendMessageRequest.SIGN_UP_CODE
    assert dict(message.variables) == {"code": code, "minutes": "10"}
    assert (message.tenant_id, message.locale) == ("default", "en")


async def test_a_phone_with_a_pin_gets_a_code_in_its_language(auth: Auth) -> None:
    request = pb.SignUpRequest(phone="0712345678", pin=PIN, display_name="Brian", locale="sw")
    answer = await auth.accounts().SignUp(request)
    assert answer.user.phone == "+254712345678" and answer.user.email == ""
    await auth.code("+254712345678")
    assert auth.comms.messages[0].locale == "sw"


async def test_a_taken_identifier_answers_the_same_and_changes_nothing(auth: Auth) -> None:
    account = await auth.account("asha@example.com")
    taken = await auth.sign_up("asha@example.com", password="another good secret", name="Eve Evil")
    free = await auth.sign_up("free@example.com", password="another good secret", name="Eve Evil")
    assert taken.user.id not in (str(account.id), free.user.id)
    for answer, email in ((taken, "asha@example.com"), (free, "free@example.com")):
        assert answer.user.email == email
        for varying in ("id", "email", "create_time"):
            answer.user.ClearField(varying)
    assert taken == free
    await eventually(lambda: len(auth.comms.sent_to("asha@example.com")) == 2)
    notice = auth.comms.sent_to("asha@example.com")[-1]
    assert notice.template == SendMessageRequest.IDENTIFIER_TAKEN and not notice.variables
    me = await auth.users(account).GetMe(GetMeRequest())
    assert me.display_name == "Asha Mwangi"
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
        account.password = "another good secret"
        await auth.login(account)


@pytest.mark.slow
async def test_a_taken_identifier_takes_as_long_as_a_free_one(auth: Auth) -> None:
    await auth.account("asha@example.com")
    spent: dict[str, list[float]] = {"asha@example.com": [], "free@example.com": []}
    for _ in range(11):
        for email, times in spent.items():
            started = time.perf_counter()
            await auth.sign_up(email)
            times.append(time.perf_counter() - started)
    taken, free = (statistics.median(times) for times in spent.values())
    assert 0.5 < taken / free < 2


async def test_whoever_gives_a_code_back_owns_that_sign_up(auth: Auth) -> None:
    await auth.sign_up("asha@example.com", password="first good secret", name="First")
    first = await auth.code("asha@example.com")
    await auth.sign_up("asha@example.com", password="second good secret", name="Second")
    await auth.code("asha@example.com", count=2)
    tokens = await auth.verify("asha@example.com", first)
    assert tokens.user.display_name == "First"
    account = auth.signed_in(tokens, "asha@example.com", "first good secret")
    assert (await auth.login(account)).user.id == tokens.user.id
    account.password = "second good secret"
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_INVALID"):
        await auth.login(account)


async def test_only_so_many_codes_of_one_identifier_live_at_once(auth: Auth) -> None:
    await auth.sign_up()
    oldest = await auth.code("asha@example.com")
    for count in (2, 3, 4):
        await auth.sign_up()
        await auth.code("asha@example.com", count=count)
    with assert_refused("INVALID_ARGUMENT", "CODE_INVALID"):
        await auth.verify("asha@example.com", oldest)


async def test_too_many_sign_ups_of_one_identifier_must_wait(strict_auth: Auth) -> None:
    for _ in range(5):
        await strict_auth.sign_up("asha@example.com")
    with assert_refused("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS") as refusal:
        await strict_auth.sign_up("Asha@example.com")
    assert refusal.domain == "auth.hazina"
    assert refusal.retry_after_seconds is not None and 1 <= refusal.retry_after_seconds <= 60
    assert refusal.metadata["retryAfterSeconds"].isdigit()
    await strict_auth.sign_up("brian@example.com")


@pytest.mark.parametrize(
    "password", ["password123", "12345678", "aaaaaaaa1", "zanele@example.com!"]
)
async def test_a_weak_password_is_refused(auth: Auth, password: str) -> None:
    with assert_refused("INVALID_ARGUMENT", "PASSWORD_TOO_WEAK"):
        await auth.sign_up("zanele@example.com", password=password)


@pytest.mark.parametrize("pin", ["0000", "1234", "4321", "8901", "121212", "1990"])
async def test_a_weak_pin_is_refused(auth: Auth, pin: str) -> None:
    request = pb.SignUpRequest(phone="+254712345678", pin=pin, display_name="Brian")
    with assert_refused("INVALID_ARGUMENT", "PIN_TOO_WEAK"):
        await auth.accounts().SignUp(request)


async def test_what_cannot_be_an_identifier_is_refused(auth: Auth) -> None:
    with assert_refused("INVALID_ARGUMENT", "EMAIL_INVALID"):
        await auth.sign_up("asha@localhost")
    with assert_refused("INVALID_ARGUMENT", "PHONE_INVALID"):
        await auth.sign_up("+2547999")


async def test_an_unknown_tenant_is_refused(auth: Auth) -> None:
    with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
        await auth.sign_up("asha@example.com", tenant="nowhere")


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("identifier", pb.SignUpRequest(password=PASSWORD, display_name="A")),
        ("secret", pb.SignUpRequest(email="a@example.com", display_name="A")),
        ("password", pb.SignUpRequest(email="a@example.com", password="short", display_name="A")),
        ("password", pb.SignUpRequest(email="a@example.com", password="x" * 129, display_name="A")),
        ("pin", pb.SignUpRequest(email="a@example.com", pin="12a4", display_name="A")),
        ("displayName", pb.SignUpRequest(email="a@example.com", password=PASSWORD)),
        (
            "displayName",
            pb.SignUpRequest(email="a@example.com", password=PASSWORD, display_name="  "),
        ),
        (
            "displayName",
            pb.SignUpRequest(email="a@example.com", password=PASSWORD, display_name="x" * 81),
        ),
        (
            "displayName",
            pb.SignUpRequest(email="a@example.com", password=PASSWORD, display_name="a\0b"),
        ),
        (
            "displayName",
            pb.SignUpRequest(email="a@example.com", password=PASSWORD, display_name="a\x07b"),
        ),
        (
            "locale",
            pb.SignUpRequest(
                email="a@example.com", password=PASSWORD, display_name="A", locale="xx"
            ),
        ),
    ],
)
async def test_bad_input_names_the_field(
    auth: Auth, field: str, request_: pb.SignUpRequest
) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
        await auth.accounts().SignUp(request_)


@pytest.mark.slow
async def test_a_crowd_of_sign_ups_is_shed(auth: Auth) -> None:
    calls = (auth.sign_up(f"person{number}@example.com") for number in range(60))
    assert await reasons_of_a_storm(calls) == {"OVERLOADED"}

"""What happens when the same thing is tried many times at once."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

import grpc

from hazina.auth.v1 import auth_service_pb2
from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest
from services.kit import refusals
from tests.factories.auth import Auth
from tests.factories.authenticator import enable_totp, fresh_code


async def at_once(calls: Iterable[Awaitable[Any]]) -> tuple[list[Any], list[str]]:
    """Answers, and reasons of refusals."""
    answers, reasons = [], []
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, BaseException):
            assert isinstance(answer, grpc.aio.AioRpcError), repr(answer)
            reasons.append(refusals.from_call_error(answer).reason)
        else:
            answers.append(answer)
    return answers, reasons


async def test_a_code_given_twenty_times_at_once_works_once(auth: Auth) -> None:
    await auth.sign_up()
    code = await auth.code("asha@example.com")
    answers, reasons = await at_once(auth.verify("asha@example.com", code) for _ in range(20))
    assert len(answers) == 1 and set(reasons) == {"CODE_INVALID"}
    for table, count in (("user_account", 1), ("identifier", 1), ("session", 1), ("outbox", 1)):
        assert len(await auth.rows(f"SELECT 1 FROM {table}")) == count
    assert await auth.rows("SELECT 1 FROM sign_up") == []


async def test_codes_of_two_sign_ups_at_once_give_the_identifier_to_one(auth: Auth) -> None:
    await auth.sign_up(name="First")
    first = await auth.code("asha@example.com")
    await auth.sign_up(name="Second")
    second = await auth.code("asha@example.com", count=2)
    calls = (auth.verify("asha@example.com", code) for code in (first, second) * 3)
    answers, reasons = await at_once(calls)
    assert len(answers) == 1 and reasons == ["CODE_INVALID"] * 5
    [row] = await auth.rows("SELECT display_name FROM user_account")
    assert row["display_name"] == answers[0].user.display_name


async def test_a_refresh_token_traded_twenty_times_at_once_has_one_successor(auth: Auth) -> None:
    account = await auth.account()
    answers, reasons = await at_once(auth.refresh(account.refresh_token) for _ in range(20))
    assert not reasons
    assert len({(answer.access_token, answer.refresh_token) for answer in answers}) == 1
    rows = await auth.rows("SELECT generation FROM refresh_token ORDER BY generation")
    assert [row["generation"] for row in rows] == [1, 2]
    [session] = await auth.rows("SELECT generation, end_time FROM session")
    assert (session["generation"], session["end_time"]) == (2, None)


async def test_an_old_refresh_token_used_many_times_at_once_ends_the_session_once(
    auth: Auth,
) -> None:
    account = await auth.account()
    first = await auth.refresh(account.refresh_token)
    newest = await auth.refresh(first.refresh_token)
    tokens = [account.refresh_token] * 10 + [newest.refresh_token] * 10
    _, reasons = await at_once(auth.refresh(token) for token in tokens)
    assert reasons.count("REFRESH_TOKEN_REUSED") == 1
    assert set(reasons) <= {"REFRESH_TOKEN_REUSED", "REFRESH_TOKEN_INVALID"}
    assert not await auth.stands(account)


async def test_tries_at_once_are_all_counted(strict_auth: Auth) -> None:
    request = auth_service_pb2.LoginRequest(identifier="nobody@example.com", password="wrong")
    _, reasons = await at_once(strict_auth.accounts().Login(request) for _ in range(20))
    assert reasons.count("CREDENTIALS_INVALID") == 5
    assert reasons.count("TOO_MANY_ATTEMPTS") == 15


async def test_a_code_of_an_authenticator_app_given_at_once_works_once(auth: Auth) -> None:
    account = await auth.account()
    app = await enable_totp(auth, account)
    code = await fresh_code(auth, account, app)
    answers, reasons = await at_once(auth.login(account, totp_code=code) for _ in range(8))
    assert len(answers) == 1 and set(reasons) == {"TOTP_INVALID"}


async def test_keys_made_at_once_do_not_pass_the_limit(auth: Auth) -> None:
    account = await auth.account()
    users = auth.users(account)
    request = CreateApiKeyRequest(name="export", permissions=["wallet.read"])
    answers, reasons = await at_once(users.CreateApiKey(request) for _ in range(10))
    assert len(answers) == 5 and reasons == ["TOO_MANY_API_KEYS"] * 5


async def test_a_login_and_a_suspension_at_once_leave_no_live_session(auth: Auth) -> None:
    account = await auth.account()
    await at_once([*(auth.login(account) for _ in range(6)), auth.suspend(account)])
    assert await auth.rows("SELECT 1 FROM session WHERE end_time IS NULL") == []


async def test_events_of_one_person_are_numbered_without_gaps(auth: Auth) -> None:
    account = await auth.account()
    for number in range(6):
        await auth.tenant(f"tenant{number}")
    await at_once(auth.add_member(account, f"tenant{number}") for number in range(6))
    rows = await auth.rows("SELECT aggregate_version FROM outbox ORDER BY aggregate_version")
    assert [row["aggregate_version"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]

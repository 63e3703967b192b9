"""EnrollTotp."""

from urllib.parse import parse_qs, urlsplit

from hazina.auth.v1.user_service_pb2 import EnrollTotpRequest, GetMeRequest
from tests.factories.auth import Auth
from tests.factories.authenticator import enable_totp
from tests.harness import assert_refused


async def test_the_secret_is_answered_and_counts_for_nothing_yet(auth: Auth) -> None:
    account = await auth.account()
    answer = await auth.users(account).EnrollTotp(EnrollTotpRequest())
    address = urlsplit(answer.otpauth_uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [answer.secret]
    assert not (await auth.users(account).GetMe(GetMeRequest())).totp_enabled
    assert (await auth.login(account)).user.verified
    [row] = await auth.rows("SELECT sealed_secret FROM totp")
    assert answer.secret.encode() not in row["sealed_secret"]


async def test_before_it_counts_it_can_be_started_again(auth: Auth) -> None:
    account = await auth.account()
    first = await auth.users(account).EnrollTotp(EnrollTotpRequest())
    second = await auth.users(account).EnrollTotp(EnrollTotpRequest())
    assert first.secret != second.secret


async def test_an_app_that_is_on_is_not_replaced(auth: Auth) -> None:
    account = await auth.account()
    await enable_totp(auth, account)
    with assert_refused("FAILED_PRECONDITION", "TOTP_ALREADY_ENABLED"):
        await auth.users(account).EnrollTotp(EnrollTotpRequest())

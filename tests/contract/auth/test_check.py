"""Check: what the edge asks about a call with an API key."""

import json
from typing import Any

import grpc
import pytest

from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest, GetMeRequest
from tests.factories.auth import Account, Auth, read_token


async def create(auth: Auth, account: Account, *permissions: str) -> Any:
    """A key of the account."""
    request = CreateApiKeyRequest(name="export", permissions=permissions)
    return await auth.users(account).CreateApiKey(request)


async def test_a_key_is_exchanged_for_a_short_lived_token(auth: Auth) -> None:
    account = await auth.account()
    made = await create(auth, account, "auth.profile", "wallet.read")
    verdict = await auth.check(made.key)
    assert verdict.status.code == 0
    assert list(verdict.ok_response.headers_to_remove) == ["x-api-key"]
    [option] = verdict.ok_response.headers
    assert option.header.key == "authorization" and option.append_action == 2
    claims = read_token(option.header.value.removeprefix("Bearer "))
    assert claims["exp"] - claims["iat"] == 120
    assert claims["sub"] == str(account.id) and claims["key"] == made.api_key.id == claims["sid"]
    assert claims["tenants"] == {
        "default": {"roles": ["member"], "permissions": ["auth.profile", "wallet.read"]}
    }
    account.access_token = option.header.value.removeprefix("Bearer ")
    assert (await auth.users(account).GetMe(GetMeRequest())).id == str(account.id)


async def test_a_key_never_does_more_than_its_maker_may_today(auth: Auth) -> None:
    account = await auth.account()
    await auth.add_member(account, "default", "staff")
    account.access_token = (await auth.refresh(account.refresh_token)).access_token
    made = await create(auth, account, "payments.review", "wallet.read")
    await auth.rows("UPDATE membership SET roles = '{member}'")
    claims = read_token(await auth.exchange(made.key))
    assert claims["tenants"]["default"]["permissions"] == ["wallet.read"]


async def test_a_bad_key_is_refused_in_the_shape_of_every_error(auth: Auth) -> None:
    account = await auth.account()
    made = await create(auth, account, "wallet.read")
    expired = await create(auth, account, "wallet.read")
    await auth.rows(
        "UPDATE api_key SET expire_time = now() WHERE prefix = $1", expired.api_key.prefix
    )
    for key in (
        "",
        "made up",
        made.key[:-1] + "~",
        made.api_key.prefix + "_",
        expired.key,
        "é" * 9,
    ):
        verdict = await auth.check(key)
        assert verdict.status.code == grpc.StatusCode.UNAUTHENTICATED.value[0]
        assert verdict.denied_response.status.code == 401
        body = json.loads(verdict.denied_response.body)
        assert (body["reason"], body["domain"], body["status"], body["code"]) == (
            "API_KEY_INVALID",
            "hazina",
            "UNAUTHENTICATED",
            16,
        )
        assert body["path"] == "/api/v1/wallets" and body["fieldViolations"] == []
        assert set(body) == {
            *("code", "status", "message", "reason", "domain", "metadata", "fieldViolations"),
            *("requestId", "timestamp", "path"),
        }


async def test_the_last_use_is_kept_to_the_minute(auth: Auth) -> None:
    account = await auth.account()
    made = await create(auth, account, "wallet.read")
    await auth.check(made.key)
    [row] = await auth.rows("SELECT last_use_time FROM api_key")
    assert row["last_use_time"].second == 0 and row["last_use_time"].microsecond == 0


@pytest.mark.parametrize("identity", ["payments", "mesh", "ops"])
async def test_only_the_edge_may_ask(auth: Auth, identity: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await auth.check("made up", identity=identity)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED

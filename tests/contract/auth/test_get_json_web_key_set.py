"""GetJsonWebKeySet."""

import asyncio

import jwt

from hazina.auth.v1 import auth_service_pb2 as pb
from hazina.auth.v1.user_service_pb2 import GetMeRequest
from tests.factories.auth import Auth


async def published(auth: Auth) -> list[pb.JsonWebKey]:
    """The key set."""
    return list((await auth.accounts().GetJsonWebKeySet(pb.GetJsonWebKeySetRequest())).keys)


def as_json(key: pb.JsonWebKey) -> dict[str, str]:
    """A key as RFC 7517 writes it."""
    return {field.name: value for field, value in key.ListFields()}


async def test_another_library_verifies_our_tokens_by_it(auth: Auth) -> None:
    account = await auth.account()
    [key] = await published(auth)
    assert (key.kty, key.crv, key.alg, key.use) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert jwt.get_unverified_header(account.access_token)["kid"] == key.kid
    claims = jwt.decode(
        account.access_token,
        jwt.PyJWK(as_json(key)).key,
        algorithms=["EdDSA"],
        audience="hazina",
        issuer="hazina",
    )
    assert claims["sub"] == str(account.id)


async def test_a_key_is_published_before_it_signs_and_after(auth: Auth) -> None:
    account = await auth.account()
    [first] = await published(auth)
    waiting = auth.keys.publish_next()
    await asyncio.sleep(1.1)
    assert [key.kid for key in await published(auth)] == [first.kid, waiting.kid]
    signed = (await auth.refresh(account.refresh_token)).access_token
    assert jwt.get_unverified_header(signed)["kid"] == first.kid
    auth.keys.activate_next()
    await asyncio.sleep(1.1)
    tokens = await auth.login(account)
    assert jwt.get_unverified_header(tokens.access_token)["kid"] == waiting.kid
    assert [key.kid for key in await published(auth)] == [first.kid, waiting.kid]
    for token in (account.access_token, tokens.access_token):
        account.access_token = token
        assert (await auth.users(account).GetMe(GetMeRequest())).id == str(account.id)

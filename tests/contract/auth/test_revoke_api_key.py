"""RevokeApiKey."""

from uuid import uuid4

from hazina.auth.v1.user_service_pb2 import CreateApiKeyRequest, RevokeApiKeyRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_the_key_works_no_more(auth: Auth) -> None:
    account = await auth.account()
    request = CreateApiKeyRequest(name="export", permissions=["wallet.read"])
    made = await auth.users(account).CreateApiKey(request)
    assert await auth.exchange(made.key)
    revocation = RevokeApiKeyRequest(api_key_id=made.api_key.id)
    await auth.users(account).RevokeApiKey(revocation)
    assert not await auth.exchange(made.key)
    with assert_refused("NOT_FOUND", "NOT_FOUND"):
        await auth.users(account).RevokeApiKey(revocation)


async def test_other_peoples_keys_do_not_exist(auth: Auth) -> None:
    asha = await auth.account("asha@example.com")
    brian = await auth.account("brian@example.com")
    request = CreateApiKeyRequest(name="export", permissions=["wallet.read"])
    made = await auth.users(brian).CreateApiKey(request)
    for key_id in (made.api_key.id, str(uuid4())):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await auth.users(asha).RevokeApiKey(RevokeApiKeyRequest(api_key_id=key_id))
    assert await auth.exchange(made.key)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "apiKeyId"):
        await auth.users(account).RevokeApiKey(RevokeApiKeyRequest(api_key_id="1"))

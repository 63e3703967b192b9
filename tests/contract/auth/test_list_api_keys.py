"""ListApiKeys."""

from hazina.auth.v1.user_service_pb2 import (
    CreateApiKeyRequest,
    ListApiKeysRequest,
    RevokeApiKeyRequest,
)
from tests.factories.auth import Account, Auth
from tests.harness import assert_refused


async def create(auth: Auth, account: Account, name: str) -> str:
    """The id of a new key."""
    request = CreateApiKeyRequest(name=name, permissions=["wallet.read"])
    return str((await auth.users(account).CreateApiKey(request)).api_key.id)


async def test_live_keys_are_listed_newest_first(auth: Auth) -> None:
    account = await auth.account()
    for name in ("one", "two", "three", "ended"):
        ended = await create(auth, account, name)
    await auth.users(account).RevokeApiKey(RevokeApiKeyRequest(api_key_id=ended))
    answer = await auth.users(account).ListApiKeys(ListApiKeysRequest())
    assert [key.name for key in answer.api_keys] == ["three", "two", "one"]


async def test_keys_of_others_and_of_other_tenants_are_not_listed(auth: Auth) -> None:
    account = await auth.account()
    other = await auth.account("brian@example.com")
    await create(auth, account, "mine")
    await auth.tenant("acme")
    await auth.add_member(account, "acme")
    account.access_token = (await auth.refresh(account.refresh_token)).access_token
    answer = await auth.users(account, tenant="acme").ListApiKeys(ListApiKeysRequest())
    assert not answer.api_keys
    assert not (await auth.users(other).ListApiKeys(ListApiKeysRequest())).api_keys


async def test_pages_go_through_all_of_them_once(auth: Auth) -> None:
    account = await auth.account()
    ids = [await create(auth, account, str(number)) for number in range(5)]
    seen: list[str] = []
    token = ""
    for count in (2, 2, 1):
        request = ListApiKeysRequest(page_size=2, page_token=token)
        page = await auth.users(account).ListApiKeys(request)
        assert len(page.api_keys) == count
        seen += [key.id for key in page.api_keys]
        token = page.next_page_token
    assert token == "" and seen == ids[::-1]


async def test_bad_input_is_refused(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "pageSize"):
        await auth.users(account).ListApiKeys(ListApiKeysRequest(page_size=-1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await auth.users(account).ListApiKeys(ListApiKeysRequest(page_token="made up"))

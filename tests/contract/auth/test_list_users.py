"""ListUsers."""

from typing import Any

from hazina.auth.v1.user_service_pb2 import ListUsersRequest
from tests.factories.auth import Account, Auth
from tests.harness import assert_refused


async def find(auth: Auth, account: Account, query: str, **options: Any) -> list[str]:
    """Names of the people found, as listed."""
    request = ListUsersRequest(query=query)
    answer = await auth.users(account, **options).ListUsers(request)
    return [user.display_name for user in answer.users]


async def test_people_are_found_by_the_beginning_of_their_name(auth: Auth) -> None:
    asha = await auth.account("asha@example.com", name="Asha Mwangi")
    await auth.account("ashley@example.com", name="ASHley 100%_")
    await auth.account("brian@example.com", name="Brian Ash")
    assert await find(auth, asha, "ash") == ["Asha Mwangi", "ASHley 100%_"]
    assert await find(auth, asha, "ashley 100%_") == ["ASHley 100%_"]
    assert await find(auth, asha, "%%") == [] and await find(auth, asha, "a_h") == []


async def test_people_are_found_by_their_whole_email_or_phone(auth: Auth) -> None:
    asha = await auth.account("asha@example.com", name="Asha")
    await auth.account("+254712345678", name="Brian Otieno")
    assert await find(auth, asha, "0712 345 678") == ["Brian Otieno"]
    assert await find(auth, asha, "ASHA@example.com") == ["Asha"]
    assert await find(auth, asha, "asha@exam") == []


async def test_others_see_a_masked_identifier(auth: Auth) -> None:
    asha = await auth.account("asha@example.com", name="Asha")
    await auth.account("+254712345678", name="Brian Otieno")
    answer = await auth.users(asha).ListUsers(ListUsersRequest(query="brian"))
    assert answer.users[0].masked_identifier == "+254***678"
    answer = await auth.users(asha).ListUsers(ListUsersRequest(query="asha"))
    assert answer.users[0].masked_identifier == "a***a@example.com"


async def test_people_of_other_tenants_do_not_exist(auth: Auth) -> None:
    asha = await auth.account("asha@example.com", name="Asha")
    await auth.tenant("acme")
    await auth.account("stranger@example.com", name="Asher Stranger", tenant="acme")
    for query in ("ash", "stranger@example.com", "Asher Stranger"):
        assert "Asher Stranger" not in await find(auth, asha, query)


async def test_pages_go_through_everybody_once(auth: Auth) -> None:
    asha = await auth.account("asha@example.com", name="Zz Asha")
    await auth.rows(
        "INSERT INTO user_account (id, display_name, locale, default_tenant_id, version, create_time)"
        " SELECT gen_random_uuid(), 'Éa ' || (n / 2), 'en', 'default', 1, now() FROM generate_series(1, 105) n"
    )
    await auth.rows(
        "INSERT INTO membership SELECT 'default', id, '{member}', now() FROM user_account"
        " WHERE display_name LIKE 'Éa%'"
    )
    seen: list[str] = []
    token, sizes = "", []
    while True:
        request = ListUsersRequest(query="éa", page_size=40, page_token=token)
        page = await auth.users(asha).ListUsers(request)
        seen += [user.id for user in page.users]
        sizes.append(len(page.users))
        token = page.next_page_token
        if not token:
            break
    assert sizes == [40, 40, 25] and len(set(seen)) == 105
    for size, count in ((0, 50), (1000, 100)):
        page = await auth.users(asha).ListUsers(ListUsersRequest(query="éa", page_size=size))
        assert len(page.users) == count


async def test_a_page_token_belongs_to_its_list(auth: Auth) -> None:
    asha = await auth.account("asha@example.com", name="Asha One")
    brian = await auth.account("brian@example.com", name="Asha Two")
    request = ListUsersRequest(query="asha", page_size=1)
    token = (await auth.users(asha).ListUsers(request)).next_page_token
    assert token
    for account, query, given in (
        (asha, "ash", token),
        (brian, "asha", token),
        (asha, "asha", token[:-2] + "AA"),
        (asha, "asha", "made up"),
    ):
        with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
            request = ListUsersRequest(query=query, page_token=given)
            await auth.users(account).ListUsers(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    asha = await auth.account()
    for field, request in (
        ("query", ListUsersRequest()),
        ("query", ListUsersRequest(query="a")),
        ("query", ListUsersRequest(query="  a  ")),
        ("query", ListUsersRequest(query="a" * 255)),
        ("pageSize", ListUsersRequest(query="asha", page_size=-1)),
        ("pageToken", ListUsersRequest(query="asha", page_token="x" * 2049)),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await auth.users(asha).ListUsers(request)

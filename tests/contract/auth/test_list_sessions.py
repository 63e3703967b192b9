"""ListSessions."""

from hazina.auth.v1.auth_service_pb2 import LoginRequest, LogoutRequest
from hazina.auth.v1.user_service_pb2 import ListSessionsRequest
from tests.factories.auth import PASSWORD, Auth
from tests.harness import assert_refused


async def test_live_sessions_are_listed_newest_first(auth: Auth) -> None:
    account = await auth.account()
    headers = [("x-envoy-external-address", "198.51.100.7")]
    request = LoginRequest(identifier=account.identifier, password=PASSWORD)
    tokens = await auth.accounts(headers=headers).Login(request)
    newest = auth.signed_in(tokens, account.identifier)
    ended = await auth.login(account)
    await auth.accounts().Logout(LogoutRequest(refresh_token=ended.refresh_token))
    listed = (await auth.users(account).ListSessions(ListSessionsRequest())).sessions
    assert [session.id for session in listed] == [str(newest.session_id), str(account.session_id)]
    assert [session.current for session in listed] == [False, True]
    assert listed[0].address == "198.51.100.7" and "grpc" in listed[0].user_agent
    assert listed[0].refresh_time == listed[0].create_time


async def test_other_peoples_sessions_are_not_ones_own(auth: Auth) -> None:
    asha = await auth.account("asha@example.com")
    await auth.account("brian@example.com")
    listed = (await auth.users(asha).ListSessions(ListSessionsRequest())).sessions
    assert [session.id for session in listed] == [str(asha.session_id)]


async def test_pages_go_through_all_of_them_once(auth: Auth) -> None:
    account = await auth.account()
    for _ in range(4):
        await auth.login(account)
    seen: list[str] = []
    token = ""
    for count in (2, 2, 1):
        request = ListSessionsRequest(page_size=2, page_token=token)
        page = await auth.users(account).ListSessions(request)
        assert len(page.sessions) == count
        seen += [session.id for session in page.sessions]
        token = page.next_page_token
    assert token == "" and len(set(seen)) == 5


async def test_bad_input_is_refused(auth: Auth) -> None:
    account = await auth.account()
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "pageSize"):
        await auth.users(account).ListSessions(ListSessionsRequest(page_size=-1))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await auth.users(account).ListSessions(ListSessionsRequest(page_token="made up"))

"""BatchGetUsers."""

from uuid import uuid4

from hazina.auth.v1.directory_service_pb2 import BatchGetUsersRequest
from tests.factories.auth import Auth
from tests.harness import assert_refused


async def test_people_of_the_tenant_are_read_and_all_others_left_out(auth: Auth) -> None:
    await auth.tenant("acme")
    asha = await auth.account("asha@example.com")
    brian = await auth.account("brian@example.com")
    stranger = await auth.account("stranger@example.com", tenant="acme")
    ids = [str(one) for one in (asha.id, brian.id, brian.id, stranger.id, uuid4())]
    for caller in ("payments", "groups", "comms"):
        request = BatchGetUsersRequest(tenant_id="default", user_ids=ids)
        answer = await auth.directory(caller).BatchGetUsers(request)
        found = {user.user_id: user.email for user in answer.users}
        assert found == {str(asha.id): "asha@example.com", str(brian.id): "brian@example.com"}
        assert len(answer.users) == 2


async def test_others_may_not_ask(auth: Auth) -> None:
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        request = BatchGetUsersRequest(tenant_id="default", user_ids=[str(uuid4())])
        await auth.directory("wallet").BatchGetUsers(request)


async def test_bad_input_names_the_field(auth: Auth) -> None:
    for field, request in (
        ("userIds", BatchGetUsersRequest(tenant_id="default")),
        ("userIds[0]", BatchGetUsersRequest(tenant_id="default", user_ids=["1"])),
        ("userIds", BatchGetUsersRequest(tenant_id="default", user_ids=[str(uuid4())] * 1001)),
        ("tenantId", BatchGetUsersRequest(tenant_id="No", user_ids=[str(uuid4())])),
    ):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", field):
            await auth.directory().BatchGetUsers(request)

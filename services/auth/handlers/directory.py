"""`hazina.auth.v1.SessionService` and `DirectoryService`: what other services ask."""

from hazina.auth.v1 import directory_service_pb2 as pb
from hazina.auth.v1 import session_service_pb2
from services.auth import convert, domain
from services.auth.operations import directory, sessions
from services.auth.operations.desk import Desk
from services.kit.identity import Call


class SessionHandlers:
    """Sessions, as other services see them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def CheckSession(
        self, request: session_service_pb2.CheckSessionRequest, call: Call
    ) -> session_service_pb2.CheckSessionResponse:
        is_active = await sessions.check_session(
            self._desk,
            user_id=convert.id_of(request.user_id),
            session_id=convert.id_of(request.session_id),
        )
        return session_service_pb2.CheckSessionResponse(active=is_active)


class DirectoryHandlers:
    """People of a tenant, as other services see them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ResolveUser(self, request: pb.ResolveUserRequest, call: Call) -> pb.DirectoryEntry:
        person = await directory.resolve_user(
            self._desk,
            tenant_id=request.tenant_id,
            identifier=domain.parse_identifier(request.identifier),
        )
        return convert.directory_entry(person)

    async def BatchGetUsers(
        self, request: pb.BatchGetUsersRequest, call: Call
    ) -> pb.BatchGetUsersResponse:
        found = await directory.batch_get_users(
            self._desk,
            tenant_id=request.tenant_id,
            user_ids=[convert.id_of(user_id) for user_id in request.user_ids],
        )
        return pb.BatchGetUsersResponse(users=[convert.directory_entry(one) for one in found])

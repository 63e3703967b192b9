"""The people of a tenant, by `hazina.auth.v1.DirectoryService`."""

from collections.abc import Sequence
from uuid import UUID

from hazina.auth.v1 import directory_service_pb2, directory_service_pb2_grpc
from services.groups.domain import Person
from services.kit.channels import Channels
from services.kit.errors import RemoteRefusal

__all__ = ["DirectoryClient"]


class DirectoryClient:
    """Finds people."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(directory_service_pb2_grpc.DirectoryServiceStub)

    async def resolve(self, tenant_id: str, identifier: str) -> Person | None:
        """The person of the tenant with this email address or phone number."""
        try:
            answer = await self._stub.ResolveUser(
                directory_service_pb2.ResolveUserRequest(tenant_id=tenant_id, identifier=identifier)
            )
        except RemoteRefusal as refusal:
            if refusal.reason == "USER_NOT_FOUND":
                return None
            raise
        return _person(answer)

    async def people(self, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, Person]:
        """People of the tenant by id; unknown ones are left out."""
        answer = await self._stub.BatchGetUsers(
            directory_service_pb2.BatchGetUsersRequest(
                tenant_id=tenant_id, user_ids=[str(one) for one in ids]
            )
        )
        return {UUID(one.user_id): _person(one) for one in answer.users}


def _person(entry: directory_service_pb2.DirectoryEntry) -> Person:
    return Person(
        UUID(entry.user_id), entry.display_name, entry.email, entry.phone, entry.locale or "en"
    )

"""Calls to other services: messages by comms, health of everybody."""

from collections.abc import Mapping
from uuid import UUID

from grpc_health.v1 import health_pb2, health_pb2_grpc

from hazina.comms.v1 import message_service_pb2, message_service_pb2_grpc
from services.auth.domain import CODE_LIFE, EMAIL, Identifier
from services.kit.channels import Channels

__all__ = ["Comms", "Health"]

_Request = message_service_pb2.SendMessageRequest


class Comms:
    """Messages that carry codes and warnings. The message id makes repeating a call harmless."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(message_service_pb2_grpc.MessageServiceStub)

    async def send_sign_up_code(
        self, *, tenant_id: str, message_id: UUID, to: Identifier, locale: str, code: str
    ) -> None:
        """The code of a sign-up."""
        await self._send(tenant_id, message_id, _Request.SIGN_UP_CODE, to, locale, _code(code))

    async def send_recovery_code(
        self, *, tenant_id: str, message_id: UUID, to: Identifier, locale: str, code: str
    ) -> None:
        """The code of a recovery."""
        await self._send(tenant_id, message_id, _Request.RECOVERY_CODE, to, locale, _code(code))

    async def send_identifier_taken(
        self, *, tenant_id: str, message_id: UUID, to: Identifier, locale: str
    ) -> None:
        """Somebody tried to sign up with the owner's identifier."""
        await self._send(tenant_id, message_id, _Request.IDENTIFIER_TAKEN, to, locale, {})

    async def _send(
        self,
        tenant_id: str,
        message_id: UUID,
        template: message_service_pb2.SendMessageRequest.Template.ValueType,
        to: Identifier,
        locale: str,
        variables: Mapping[str, str],
    ) -> None:
        request = _Request(
            tenant_id=tenant_id,
            message_id=str(message_id),
            template=template,
            locale=locale,
            variables=variables,
        )
        if to.kind == EMAIL:
            request.email = to.value
        else:
            request.phone = to.value
        await self._stub.SendMessage(request, timeout=10.0)


def _code(code: str) -> Mapping[str, str]:
    return {"code": code, "minutes": str(int(CODE_LIFE.total_seconds()) // 60)}


class Health:
    """Asks a service, through the mesh listener, whether it serves."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(health_pb2_grpc.HealthStub)

    async def serves(self, service: str) -> bool:
        """False when the service says that it does not. Raises when it cannot be reached."""
        answer = await self._stub.Check(
            health_pb2.HealthCheckRequest(), metadata=[("x-hazina-service", service)]
        )
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

"""Messages to addresses, by `hazina.comms.v1.MessageService`."""

from hazina.comms.v1 import message_service_pb2, message_service_pb2_grpc
from services.groups.domain import Invitation
from services.kit import telemetry
from services.kit.channels import Channels
from services.kit.clock import derived_id
from services.kit.errors import RemoteRefusal

__all__ = ["MessagesClient"]

_TIMEOUT_SECONDS = 10.0
_LOCALE = "en"  # nobody knows yet which language they read
_Request = message_service_pb2.SendMessageRequest


class MessagesClient:
    """Sends invitations to people without an account."""

    def __init__(self, channels: Channels) -> None:
        self._stub = channels.stub(message_service_pb2_grpc.MessageServiceStub)

    async def invite(self, invitation: Invitation, *, group_name: str, link: str) -> None:
        """Send the link of an invitation; a repeat sends nothing twice. An address that is refused for good is let be."""
        request = _Request(
            tenant_id=invitation.tenant_id,
            message_id=str(derived_id(invitation.id, "message")),
            template=_Request.GROUP_INVITATION,
            locale=_LOCALE,
            variables={
                "group_name": group_name,
                "inviter_name": invitation.inviter_name,
                "link": link,
            },
        )
        if "@" in invitation.identifier:
            request.email = invitation.identifier
        else:
            request.phone = invitation.identifier
        try:
            await self._stub.SendMessage(request, timeout=_TIMEOUT_SECONDS)
        except RemoteRefusal as refusal:
            if refusal.reason not in ("RECIPIENT_REFUSED", "MESSAGE_EXISTS"):
                raise
            telemetry.log.warning(
                "invitation_refused", invitation_id=str(invitation.id), reason=refusal.reason
            )

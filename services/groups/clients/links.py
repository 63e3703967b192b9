"""Links of invitations: a token that only this service can make is the right to see and to accept one."""

import base64
import hmac
from urllib.parse import quote

from services.groups.domain import Invitation

__all__ = ["InvitationLinks"]

_PURPOSE = b"hazina group invitation"


class InvitationLinks:
    """Signs with a key derived from the service's secret. A token ends with the invitation: its time is signed with it."""

    def __init__(self, secret: bytes, *, public_url: str) -> None:
        self._key = hmac.digest(secret, _PURPOSE, "sha256")
        self._public_url = public_url.rstrip("/")

    def link(self, invitation: Invitation) -> str:
        """Where the invitation can be seen, in the web app."""
        token = quote(self._token(invitation), safe="")
        return f"{self._public_url}/#/invitations/{invitation.id}?token={token}"

    def opens(self, token: str, invitation: Invitation) -> bool:
        """Whether a token is that of the invitation's link."""
        return hmac.compare_digest(token.encode(), self._token(invitation).encode())

    def _token(self, invitation: Invitation) -> str:
        signed = f"{invitation.tenant_id}:{invitation.id}:{int(invitation.expire_time.timestamp())}"
        digest = hmac.digest(self._key, signed.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

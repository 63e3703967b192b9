"""Page tokens that clients can neither read nor change.

A token is bound to the RPC, the tenant, the user and the filters of the list that it came from: anywhere else it is
refused. It is encrypted with a key derived from the service's secret, so every process of the service can open it.
"""

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.kit.errors import FieldViolation, PageTokenInvalid, ValidationFailed
from services.kit.identity import Call

__all__ = ["SIZE_DEFAULT", "SIZE_MAX", "Pages"]

SIZE_DEFAULT = 50
SIZE_MAX = 100
_NONCE_BYTES = 12
_TOKEN_LENGTH_MAX = 4096


class Pages:
    """Seals and opens the page tokens of one service."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"hazina page tokens").derive(
            secret
        )
        self._cipher = AESGCM(key)

    def seal(self, call: Call, filters: Mapping[str, str], position: Mapping[str, Any]) -> str:
        """A token for the page that begins after `position` (JSON values)."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(position, separators=(",", ":")).encode()
        sealed = nonce + self._cipher.encrypt(nonce, plain, _binding(call, filters))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, call: Call, filters: Mapping[str, str], token: str) -> dict[str, Any] | None:
        """The position in a token; None for an empty token, which is the first page. Raises PageTokenInvalid."""
        if not token:
            return None
        if len(token) > _TOKEN_LENGTH_MAX:
            raise PageTokenInvalid
        try:
            sealed = base64.b64decode(
                token + "=" * (-len(token) % 4), altchars=b"-_", validate=True
            )
            nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            position = json.loads(self._cipher.decrypt(nonce, body, _binding(call, filters)))
        except (ValueError, InvalidTag) as error:
            raise PageTokenInvalid from error
        assert isinstance(position, dict), "only seal() makes tokens"
        return position

    @staticmethod
    def size(page_size: int) -> int:
        """How many to answer: 0 means 50, more than 100 means 100. Raises ValidationFailed for a negative number."""
        if page_size < 0:
            raise ValidationFailed(
                field_violations=[
                    FieldViolation("pageSize", "must not be negative", "page_size.not_negative")
                ]
            )
        return min(page_size or SIZE_DEFAULT, SIZE_MAX)


def _binding(call: Call, filters: Mapping[str, str]) -> bytes:
    user = "" if call.user is None else str(call.user.id)
    return json.dumps([call.method, call.tenant_id, user, sorted(filters.items())]).encode()

"""Everything that is derived from the service's secret, so that no code, key or token is stored in clear.

Each purpose has a key of its own. Whoever reads the database without the secret learns no code, no PIN and no token.
"""

import base64
import hashlib
import hmac
import os
import secrets
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.auth.domain import PIN, Identifier, Secret

__all__ = ["Derivation", "token_hash"]

_NONCE_BYTES = 12
_KEY_PREFIX = "hz"


class Derivation:
    """Derives codes, peppers, hashes and successors from one secret of 32 bytes or more."""

    def __init__(self, secret: bytes) -> None:
        def key(purpose: str) -> bytes:
            info = f"hazina auth {purpose}".encode()
            return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)

        self._code_key = key("verification code")
        self._code_hash_key = key("verification code hash")
        self._pin_key = key("pin pepper")
        self._attempt_key = key("attempt subject")
        self._refresh_key = key("refresh token")
        self._api_key_key = key("api key")
        self._totp_cipher = AESGCM(key("totp secret"))

    def code(self, verification_id: UUID) -> str:
        """The six digits that are sent for this verification."""
        digest = hmac.digest(self._code_key, verification_id.bytes, "sha256")
        return f"{int.from_bytes(digest[:16]) % 1_000_000:06d}"

    def code_hash(self, verification_id: UUID, code: str) -> bytes:
        """What is stored of a code."""
        return hmac.digest(self._code_hash_key, verification_id.bytes + code.encode(), "sha256")

    def peppered(self, secret: Secret) -> str:
        """What is hashed of a secret: a PIN has too few values to stand alone, so it takes the pepper."""
        if secret.kind != PIN:
            return secret.value
        return hmac.new(self._pin_key, secret.value.encode(), "sha256").hexdigest()

    def attempt_subject(self, action: str, identifier: Identifier, address: str = "") -> bytes:
        """Whom tries are counted for."""
        text = f"{action}\n{identifier.kind}\n{identifier.value}\n{address}"
        return hmac.digest(self._attempt_key, text.encode(), "sha256")

    def successor(self, refresh_token: str) -> str:
        """The refresh token that this one is traded for: always the same, and unknown to who lacks our secret."""
        return _text(hmac.digest(self._refresh_key, refresh_token.encode(), "sha256"))

    def api_key_hash(self, key: str) -> bytes:
        """What is stored of an API key."""
        return hmac.digest(self._api_key_key, key.encode(), "sha256")

    def seal_totp(self, user_id: UUID, secret: str) -> bytes:
        """An authenticator app's secret, encrypted for this person only."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._totp_cipher.encrypt(nonce, secret.encode(), user_id.bytes)

    def open_totp(self, user_id: UUID, sealed: bytes) -> str:
        """The secret inside."""
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return self._totp_cipher.decrypt(nonce, body, user_id.bytes).decode()


def new_refresh_token() -> str:
    """The first refresh token of a session: 256 random bits."""
    return _text(secrets.token_bytes(32))


def token_hash(refresh_token: str) -> bytes:
    """What is stored of a refresh token. It is random enough for a plain hash."""
    return hashlib.sha256(refresh_token.encode()).digest()


def new_api_key() -> tuple[str, str]:
    """A key of 256 random bits, and the prefix that tells it apart."""
    prefix = f"{_KEY_PREFIX}_{secrets.token_hex(5)}"
    return f"{prefix}_{_text(secrets.token_bytes(32))}", prefix


def api_key_prefix(key: str) -> str | None:
    """The prefix of a key; None when this cannot be one."""
    parts = key.split("_", 2)
    if len(key) > 128 or not key.isascii() or len(parts) != 3 or parts[0] != _KEY_PREFIX:
        return None
    return f"{parts[0]}_{parts[1]}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

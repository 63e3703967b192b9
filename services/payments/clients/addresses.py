"""The addresses of our hooks, and what they prove.

A provider is given `<base>/<secret>.<transaction>.<purpose>.<seal>`: the transaction that it belongs to, so that a callback
is understood even where the answer to our request was lost, and a seal that nobody else can make. The address of a
question (`purpose` q) is known to the provider alone, because it was sent with the question: what comes there is an
answer. The bare secret is a hook, too; what comes there fits nothing.
"""

import hashlib
import hmac
from uuid import UUID

from services.payments.domain import HookAddress

__all__ = ["HookAddresses"]

_CALLBACK, _QUESTION = "c", "q"


class HookAddresses:
    """Makes and reads addresses. `base_url` ends with the secret."""

    def __init__(self, base_url: str, *, hook_secret: str, sealing_secret: bytes) -> None:
        self._base_url = base_url
        self._hook_secret = hook_secret
        self._key = hmac.digest(sealing_secret, b"hazina hook addresses", hashlib.sha256)

    def for_callback(self, transaction_id: UUID) -> str:
        """Where the provider tells how a request ended."""
        return f"{self._base_url}.{self._suffix(transaction_id.hex, _CALLBACK)}"

    def for_answer(self, transaction_id: UUID, question: int) -> str:
        """Where the provider answers one question."""
        return f"{self._base_url}.{self._suffix(transaction_id.hex, f'{_QUESTION}{question}')}"

    def read(self, secret: str) -> HookAddress | None:
        """What the last part of an address says; None if we did not make it. Takes the same time for all wrong ones."""
        given, *rest = secret.split(".")
        is_ours = hmac.compare_digest(given.encode(), self._hook_secret.encode())
        if not rest:
            return HookAddress() if is_ours else None
        transaction, purpose, seal = rest if len(rest) == 3 else ("", "", "")
        expected = self._seal(transaction, purpose)
        if not (hmac.compare_digest(seal.encode(), expected.encode()) and is_ours):
            return None
        return HookAddress(UUID(hex=transaction), purpose.startswith(_QUESTION))

    def _suffix(self, transaction: str, purpose: str) -> str:
        return f"{transaction}.{purpose}.{self._seal(transaction, purpose)}"

    def _seal(self, transaction: str, purpose: str) -> str:
        text = f"{transaction}.{purpose}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:32]

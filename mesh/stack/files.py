"""`python -m mesh.stack.files`: certificates, signing keys and Envoy's files, made or renewed where due.

A process of its own, so that the supervisor keeps neither a compiler nor cryptography in memory. It leaves a note of
when it has to run again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mesh.stack import due, rendering
from mesh.stack.certificates import Certificates
from mesh.stack.environment import Stack
from mesh.stack.home import Home
from mesh.stack.keys import TOKEN_LIFE_MAX, KeyState, SigningKeys
from mesh.stack.ports import IDENTITIES


def prepare(stack: Stack, *, now: datetime | None = None) -> None:
    """Make what is missing, renew what is due, and note when the next of it will be."""
    now = now or datetime.now(UTC)
    certificates = Certificates(stack.home.certificates, IDENTITIES)
    keys = SigningKeys(stack.home.keys)
    certificates.prepare(now=now)
    keys.prepare(now=now)
    keys.drop_expired(now=now)
    rendering.render_all(stack)
    note_due(stack.home, certificates, keys)
    due.note_rendered(stack)


def note_due(home: Home, certificates: Certificates, keys: SigningKeys) -> None:
    """Write when `prepare` has something to do again: half of a certificate's life, or the end of a key's last token."""
    moments = [certificates.renewal_time()]
    moments += [
        key.change_time + TOKEN_LIFE_MAX for key in keys.all() if key.state is KeyState.RETIRED
    ]
    due.note(home, min(moments))


if __name__ == "__main__":
    prepare(Stack.from_environment())

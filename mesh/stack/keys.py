"""Ed25519 keys that sign access tokens: published before use, kept until the last token of theirs has ended.

Layout below `<home>/keys`:

    signing/<kid>.pem   private keys (PKCS 8); `kid` is the RFC 7638 thumbprint
    state.json          {"keys": [{"kid", "state", "changeTime"}]}, state next, active or retired, oldest first
    jwks.json           the public keys of all of them

Rotation has three steps, so that no valid token is ever refused: `publish_next`; when everyone has the new
`jwks.json` (Envoy and the services look within seconds), `activate_next`; after the longest life of a token,
`drop_expired`. Exactly one key is active at any time.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.stack.home import Exclusive, StackError, write_atomically

# Access tokens live 15 minutes; a minute more for clocks and verifiers' caches.
TOKEN_LIFE_MAX = timedelta(minutes=16)


class KeyState(StrEnum):
    """Where a key is in its life."""

    NEXT = "next"  # published, signs nothing yet
    ACTIVE = "active"  # published, signs
    RETIRED = "retired"  # published, signs nothing any more


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What is known of a key without its secret."""

    kid: str
    state: KeyState
    change_time: datetime


@dataclass(slots=True)
class SigningKeys:
    """The signing keys of one mesh, below `folder`."""

    folder: Path
    _lock: Exclusive = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = Exclusive(self.folder)

    def prepare(self, *, now: datetime | None = None) -> None:
        """Make the first key if there is none. It may sign at once: nobody has cached an older set."""
        with self._lock:
            if not self.all():
                self._save([self._make(KeyState.ACTIVE, now or datetime.now(UTC))])
            elif not self.jwks_file.exists():
                self._save(self.all())

    def all(self) -> list[SigningKey]:
        """All keys, oldest first."""
        if not self._state_file.exists():
            return []
        return [
            SigningKey(
                entry["kid"], KeyState(entry["state"]), datetime.fromisoformat(entry["changeTime"])
            )
            for entry in json.loads(self._state_file.read_text())["keys"]
        ]

    def publish_next(self, *, now: datetime | None = None) -> SigningKey:
        """Step one: a new key in the published set. An unfinished rotation is continued, not doubled."""
        with self._lock:
            keys = self.all()
            waiting = [key for key in keys if key.state is KeyState.NEXT]
            if waiting:
                return waiting[0]
            made = self._make(KeyState.NEXT, now or datetime.now(UTC))
            self._save([*keys, made])
            return made

    def activate_next(self, *, now: datetime | None = None) -> SigningKey:
        """Step two, when everyone has the set of step one: sign with the new key, retire the old one."""
        now = now or datetime.now(UTC)
        with self._lock:
            keys = self.all()
            if not any(key.state is KeyState.NEXT for key in keys):
                raise StackError(
                    "No key is waiting to sign. Run `hazina keys rotate` from the start."
                )
            turned = [
                replace(key, state=KeyState.RETIRED, change_time=now)
                if key.state is KeyState.ACTIVE
                else replace(key, state=KeyState.ACTIVE, change_time=now)
                if key.state is KeyState.NEXT
                else key
                for key in keys
            ]
            self._save(turned)
            return next(key for key in turned if key.state is KeyState.ACTIVE)

    def drop_expired(self, *, now: datetime | None = None) -> Sequence[SigningKey]:
        """Step three: forget retired keys whose last token has ended. Answers which ones."""
        now = now or datetime.now(UTC)
        with self._lock:
            keys = self.all()
            expired = [
                key
                for key in keys
                if key.state is KeyState.RETIRED and now - key.change_time > TOKEN_LIFE_MAX
            ]
            if expired:
                self._save([key for key in keys if key not in expired])
                for key in expired:
                    self._key_file(key.kid).unlink(missing_ok=True)
            return expired

    @property
    def jwks_file(self) -> Path:
        """The published set."""
        return self.folder / "jwks.json"

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The published set: every key that a valid token may be signed with, now or soon."""
        published: dict[str, list[dict[str, str]]] = json.loads(self.jwks_file.read_text())
        return published

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    def _key_file(self, kid: str) -> Path:
        return self.folder / "signing" / f"{kid}.pem"

    def _make(self, state: KeyState, now: datetime) -> SigningKey:
        key = Ed25519PrivateKey.generate()
        kid = thumbprint(_public_jwk(key))
        (self.folder / "signing").mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_atomically(self._key_file(kid), pem.decode(), mode=0o600)
        return SigningKey(kid, state, now)

    def _save(self, keys: Sequence[SigningKey]) -> None:
        """Publish first, then change who signs: a crash in between leaves a key that is merely unused."""
        entries = [
            {"kid": key.kid, "state": key.state.value, "changeTime": key.change_time.isoformat()}
            for key in keys
        ]
        published = [
            {**self._public(key.kid), "kid": key.kid, "alg": "EdDSA", "use": "sig"} for key in keys
        ]
        write_atomically(self.jwks_file, json.dumps({"keys": published}, indent=2) + "\n")
        write_atomically(self._state_file, json.dumps({"keys": entries}, indent=2) + "\n")

    def _public(self, kid: str) -> dict[str, str]:
        key: Any = serialization.load_pem_private_key(self._key_file(kid).read_bytes(), None)
        return _public_jwk(key)


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638 thumbprint of an OKP key."""
    canonical = json.dumps(
        {name: jwk[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True
    )
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

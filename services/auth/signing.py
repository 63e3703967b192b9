"""Access tokens: signed by the key that `hazina keys` made active, published with all keys that may be in use.

The folder is the one that `hazina keys` writes: `state.json` says which key signs, `signing/<kid>.pem` holds it, and
`jwks.json` is what everybody verifies with. It is looked at once a second. A key is published there before it signs.
"""

import json
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from services.kit import telemetry

__all__ = ["SigningKeys"]

_WATCH_SECONDS = 1.0
_MEMBERS = ("kty", "crv", "x", "kid", "use", "alg")


class SigningKeys:
    """The folder of signing keys. Reads it at once; raises what is wrong with it, so that the service does not start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._registry = JWSRegistry(algorithms=["EdDSA"])
        self._marks: object = None
        self._look_again_at = 0.0
        self._load()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims, signed by the active key."""
        self._look()
        header = {"alg": "EdDSA", "kid": self._kid, "typ": "JWT"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the name EdDSA is being replaced; Envoy knows only it
            return jwt.encode(
                header, dict(claims), self._key, algorithms=["EdDSA"], registry=self._registry
            )

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        """Every published key, as RFC 7517 and RFC 8037 write them."""
        self._look()
        return self._public

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_again_at:
            return
        self._look_again_at = now + _WATCH_SECONDS
        try:
            if self._state() != self._marks:
                self._load()
        except (OSError, ValueError, KeyError, StopIteration, JoseError) as error:
            telemetry.log.error("signing_keys_unreadable", fault=type(error).__name__)

    def _load(self) -> None:
        marks = self._state()
        state = json.loads((self._folder / "state.json").read_text())
        kid = next(key["kid"] for key in state["keys"] if key["state"] == "active")
        published = json.loads((self._folder / "jwks.json").read_text())["keys"]
        public = [{name: key[name] for name in _MEMBERS} for key in published]
        if not any(key["kid"] == kid for key in public):
            raise ValueError("the active signing key is not published")
        key = OKPKey.import_key((self._folder / "signing" / f"{kid}.pem").read_bytes())
        self._kid, self._key, self._public, self._marks = kid, key, public, marks

    def _state(self) -> object:
        stats = [os.stat(self._folder / name) for name in ("state.json", "jwks.json")]
        return [(stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats]

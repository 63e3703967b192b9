"""Tokens as the table of verdicts needs them, made with the mesh's own signing key, and tokens that only look right."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.stack.keys import KeyState, SigningKeys
from tests.e2e.mesh import Mesh
from tests.matrix.contracts import role_permissions


class Tokens:
    """Variations of one good token: its person and session stand, what it claims differs."""

    def __init__(self, mesh: Mesh, access_token: str, *, tenant: str) -> None:
        self.tenant = tenant
        self._token = access_token
        self._claims: dict[str, Any] = jwt.decode(
            access_token, options={"verify_signature": False, "verify_aud": False}
        )
        active = next(
            key for key in SigningKeys(mesh.home.keys).all() if key.state is KeyState.ACTIVE
        )
        self._kid = active.kid
        self._key: Any = serialization.load_pem_private_key(
            (mesh.home.keys / "signing" / f"{active.kid}.pem").read_bytes(), None
        )
        now = int(time.time())
        everything = self._with_roles(*role_permissions())
        fresh = {"sft": now, "kyc": 2}
        past = {"iat": now - 1900, "nbf": now - 1900, "exp": now - 1000}
        self._by_caller: dict[str, str | None] = {
            "edge.anonymous": None,
            "edge.token_invalid": self._sign({}, key=Ed25519PrivateKey.generate()),
            "edge.token_expired": self._sign(past),
            "edge.token_other_audience": self._sign({"aud": "somebody-else"}),
            "edge.member": self._sign({**self._with_roles("member"), **fresh}),
            "edge.staff": self._sign({**self._with_roles("staff"), **fresh}),
            "edge.admin": self._sign({**self._with_roles("admin"), **fresh}),
            "edge.no_role": self._sign({**self._with_roles(), **fresh}),
            "edge.other_tenant": self._sign({**everything, **fresh}),
            "edge.no_second_factor": self._sign({**everything, "kyc": 2, "sft": None}),
            "edge.lowest_tier": self._sign({**everything, "sft": now, "kyc": 0}),
        }

    def of(self, caller: str) -> str | None:
        """The token of a caller of the table; None for those who have none."""
        return self._by_caller[caller]

    @property
    def bad(self) -> Mapping[str, str]:
        """Tokens that nothing may accept, by what is wrong with them."""
        head, payload, signature = self._token.split(".")
        stranger = Ed25519PrivateKey.generate()
        return {
            "foreign issuer": self._sign({"iss": "somebody-else"}),
            "forged with another key": self._sign({}, key=stranger),
            "of an unknown key": self._sign({}, key=stranger, kid="unknown"),
            "changed after signing": ".".join(
                [head, _encode({**self._claims, "kyc": 2}), signature]
            ),
            "unsigned": ".".join([_encode({"alg": "none", "typ": "JWT"}), payload, ""]),
            "not a token": "not-a-token",
        }

    def _with_roles(self, *roles: str) -> dict[str, Any]:
        held = sorted(frozenset[str]().union(*(role_permissions()[role] for role in roles)))
        membership = {"roles": list(roles), "permissions": held}
        return {"tenants": {self.tenant: membership}, "tid": self.tenant}

    def _sign(self, changes: Mapping[str, Any], *, key: Any = None, kid: str = "") -> str:
        claims = {**self._claims, **changes}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(
            claims, key or self._key, algorithm="EdDSA", headers={"kid": kid or self._kid}
        )


def _encode(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

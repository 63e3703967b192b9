"""Signed-in people and their tokens."""

import json
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import OKPKey

from hazina.policy.v1 import policy_pb2
from services.kit.clock import Clock


@dataclass(frozen=True)
class Person:
    """Someone with an access token."""

    id: UUID
    session_id: UUID
    tenant_id: str
    token: str


class Signer:
    """Signs tokens as auth does, and writes the JWKS file that services read."""

    def __init__(self, jwks_file: Path) -> None:
        self._key = OKPKey.generate_key("Ed25519", {"kid": "test", "use": "sig", "alg": "EdDSA"})
        jwks_file.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))

    def sign(
        self, claims: Mapping[str, Any], *, algorithm: str = "EdDSA", kid: str = "test"
    ) -> str:
        """A token with exactly these claims."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return jwt.encode(
                {"alg": algorithm, "kid": kid}, dict(claims), self._key, algorithms=[algorithm]
            )


def claims_of(
    user_id: UUID,
    session_id: UUID,
    *,
    tenant: str = "default",
    roles: Iterable[str] = ("member",),
    permissions: Iterable[str] | None = None,
    tenants: Mapping[str, Mapping[str, Iterable[str]]] | None = None,
    kyc_tier: int = 1,
    second_factor_age_seconds: float | None = None,
    api_key_id: UUID | None = None,
    expires_in_seconds: float = 900,
    **other: Any,
) -> dict[str, Any]:
    """The claims of an access token. Without `permissions`, those that the contracts grant to the roles."""
    now = time.time()
    roles = list(roles)
    granted = sorted(permissions_of(roles) if permissions is None else permissions)
    membership = tenants or {tenant: {"roles": roles, "permissions": granted}}
    claims: dict[str, Any] = {
        "iss": "hazina",
        "aud": "hazina",
        "sub": str(user_id),
        "sid": str(session_id),
        "tid": tenant,
        "tenants": {
            name: {kind: list(values) for kind, values in member.items()}
            for name, member in membership.items()
        },
        "kyc": kyc_tier,
        "amr": ["pwd"],
        "iat": int(now),
        "nbf": int(now),
        "exp": now + expires_in_seconds,
        "jti": str(Clock().new_id()),
    }
    if second_factor_age_seconds is not None:
        claims["sft"] = int(now - second_factor_age_seconds)
        claims["amr"] = ["pwd", "otp"]
    if api_key_id is not None:
        claims["key"] = str(api_key_id)
    return {**claims, **other}


def permissions_of(roles: Iterable[str]) -> set[str]:
    """What the contracts grant to these roles."""
    wanted = set(roles)
    values = policy_pb2.Permission.DESCRIPTOR.enum_types_by_name["Name"].values
    grants = [value.GetOptions().Extensions[policy_pb2.grant] for value in values]
    return {grant.name for grant in grants if wanted & set(grant.roles)}

"""Who may call what: every RPC, through every door, as everybody.

Expected verdicts are derived here from the policies in the contracts, by the rules of the design; the reviewed table in
`gen/matrix/authorization.json` must agree.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.stack.keys import KeyState, SigningKeys
from tests.e2e.mesh import Mesh
from tests.e2e.people import People, Person
from tests.e2e.wire import Metadata, Refusal
from tests.matrix.callers import Doors
from tests.matrix.contracts import ROOT, Rpc, role_permissions, rpcs
from tests.matrix.samples import good
from tests.matrix.transcoding import http_call

IDENTITIES = ("auth", "wallet", "payments", "groups", "comms", "edge", "mesh", "ops")
_ALL = list(rpcs())
_EDGE = [rpc for rpc in _ALL if rpc.access != "SERVICE"]
_USER = [rpc for rpc in _ALL if rpc.access == "USER"]

# Refusals that say who may call. Any other refusal, and any success, means that the caller was let in.
_DOOR_REASONS = {
    "CREDENTIALS_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_ENDED", "API_KEY_INVALID", "PERMISSION_MISSING",
    "CALLER_NOT_ALLOWED", "ACCESS_DENIED", "TENANT_NOT_FOUND", "ROUTE_NOT_FOUND",
}  # fmt: skip
_IN = "let in"


def _id(rpc: Rpc) -> str:
    return rpc.label


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody who tries."""

    member: Person
    staff: Person
    admin: Person
    outsider: Person
    tokens: Mapping[str, str]


@pytest.fixture(scope="module")
def cast(mesh: Mesh, doors: Doors) -> Cast:
    people = People(mesh)
    persons = {}
    for role in ("member", "staff", "admin"):
        persons[role] = people.sign_up(role.title(), tenant=doors.tenant)
        if role != "member":
            people.give_roles(persons[role], role, tenant=doors.tenant)
    outsider = people.sign_up("Outsider")
    people.close()
    return Cast(**persons, outsider=outsider, tokens=bad_tokens(mesh, persons["admin"]))


@pytest.mark.parametrize("rpc", _ALL, ids=_id)
def test_nobody_without_credentials_passes_the_edge(doors: Doors, rpc: Rpc) -> None:
    expected = {"PUBLIC": _IN, "USER": "CREDENTIALS_MISSING", "SERVICE": "ACCESS_DENIED"}

    assert _over_grpc(doors, rpc, None) == expected[rpc.access]


@pytest.mark.parametrize("rpc", _EDGE, ids=_id)
def test_the_same_over_json(doors: Doors, rpc: Rpc) -> None:
    expected = {"PUBLIC": _IN, "USER": "CREDENTIALS_MISSING"}

    assert _over_json(doors, rpc, None) == expected[rpc.access]


@pytest.mark.parametrize("rpc", _ALL, ids=_id)
def test_a_token_that_is_not_good_opens_nothing(doors: Doors, cast: Cast, rpc: Rpc) -> None:
    wrong: list[str] = []
    for name, token in cast.tokens.items():
        expected = {
            "USER": {
                "expired": "TOKEN_EXPIRED",
                "foreign audience": "ACCESS_DENIED",
            }.get(name, "TOKEN_INVALID"),
            "SERVICE": "ACCESS_DENIED",
        }
        if rpc.access == "PUBLIC":
            continue
        verdict = _over_grpc(doors, rpc, token)
        if verdict != expected[rpc.access]:
            wrong.append(f"gRPC, {name}: {verdict}")
        if rpc.http is not None:
            verdict = _over_json(doors, rpc, token)
            if verdict != expected[rpc.access]:
                wrong.append(f"JSON, {name}: {verdict}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", _ALL, ids=_id)
@pytest.mark.parametrize("role", ["member", "staff", "admin"])
def test_a_role_may_do_what_its_permissions_say(
    doors: Doors, cast: Cast, rpc: Rpc, role: str
) -> None:
    person: Person = getattr(cast, role)
    held = role_permissions()["member"] | role_permissions()[role]
    if rpc.access == "SERVICE":
        expected = "ACCESS_DENIED"
    elif rpc.access == "USER" and not set(rpc.policy.permissions) <= held:
        expected = "PERMISSION_MISSING"
    else:
        expected = _IN

    assert _over_grpc(doors, rpc, person.access_token) == expected
    if rpc.http is not None:
        assert _over_json(doors, rpc, person.access_token) == expected


@pytest.mark.parametrize("rpc", _USER, ids=_id)
def test_a_person_of_another_tenant_finds_no_tenant(doors: Doors, cast: Cast, rpc: Rpc) -> None:
    assert _over_grpc(doors, rpc, cast.outsider.access_token) == "TENANT_NOT_FOUND"
    assert _over_json(doors, rpc, cast.outsider.access_token) == "TENANT_NOT_FOUND"


@pytest.mark.parametrize("rpc", _ALL, ids=_id)
def test_on_the_mesh_only_named_callers_are_let_in(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    for identity in IDENTITIES:
        allowed = identity in rpc.policy.callers
        verdict = _verdict(doors.grpc(rpc, good(rpc.request), door=f"mesh:{identity}", metadata=()))
        if (verdict == _IN) != allowed or (not allowed and verdict != "ACCESS_DENIED"):
            wrong.append(f"{identity} through Envoy: {verdict}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("rpc", _ALL, ids=_id)
def test_past_envoy_the_service_decides_the_same(doors: Doors, rpc: Rpc) -> None:
    wrong: list[str] = []
    forged = (
        (("x-hazina-caller", "spiffe://hazina/ops"),) if "ops" not in rpc.policy.callers else ()
    )
    for identity in IDENTITIES:
        door = f"{rpc.service}:{identity}"
        verdict = _verdict(doors.grpc(rpc, good(rpc.request), door=door, metadata=forged))
        if identity == "edge":
            expected = {"PUBLIC": _IN, "USER": "CREDENTIALS_MISSING", "SERVICE": "ACCESS_DENIED"}[
                rpc.access
            ]
        else:
            expected = _IN if identity in rpc.policy.callers else "CALLER_NOT_ALLOWED"
        if verdict != expected:
            wrong.append(f"{identity}: {verdict}, not {expected}")

    assert not wrong, "\n".join(wrong)


def test_the_reviewed_table_names_every_rpc() -> None:
    path = ROOT / "gen" / "matrix" / "authorization.json"
    text = path.read_text()

    missing = [rpc.label for rpc in _ALL if rpc.path.removeprefix("/") not in text]

    assert not missing, f"run `make gen`: {path.relative_to(ROOT)} lacks {missing}"


def bad_tokens(mesh: Mesh, person: Person) -> Mapping[str, str]:
    """Tokens that look right and are not, by what is wrong with them."""
    claims: dict[str, Any] = jwt.decode(
        person.access_token, options={"verify_signature": False, "verify_aud": False}
    )
    keys = SigningKeys(mesh.home.keys)
    active = next(key for key in keys.all() if key.state is KeyState.ACTIVE)
    ours: Any = serialization.load_pem_private_key(
        (mesh.home.keys / "signing" / f"{active.kid}.pem").read_bytes(), None
    )
    now = int(time.time())
    head, payload, signature = person.access_token.split(".")
    promoted = {**claims, "sub": person.id, "kyc": 2}

    def signed(changed: Mapping[str, Any], key: Any = ours, kid: str = active.kid) -> str:
        return jwt.encode(dict(changed), key, algorithm="EdDSA", headers={"kid": kid})

    return {
        "expired": signed({**claims, "iat": now - 1900, "nbf": now - 1900, "exp": now - 1000}),
        "foreign audience": signed({**claims, "aud": "somebody-else"}),
        "foreign issuer": signed({**claims, "iss": "somebody-else"}),
        "forged with another key": signed(claims, Ed25519PrivateKey.generate()),
        "of an unknown key": signed(claims, Ed25519PrivateKey.generate(), "unknown"),
        "changed": ".".join([head, _encode(promoted), signature]),
        "unsigned": ".".join([_encode({"alg": "none", "typ": "JWT"}), payload, ""]),
        "not a token": "not-a-token",
    }


def _encode(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _over_grpc(doors: Doors, rpc: Rpc, token: str | None) -> str:
    return _verdict(doors.grpc(rpc, _request(rpc), door="edge", metadata=_headers(doors, token)))


def _over_json(doors: Doors, rpc: Rpc, token: str | None) -> str:
    call = http_call(rpc, good(rpc.request))
    assert call is not None, f"{rpc.label}: the sample has an empty path field"
    return _verdict(doors.json(rpc, call, headers={k: str(v) for k, v in _headers(doors, token)}))


def _request(rpc: Rpc) -> Any:
    return good(rpc.request)


def _headers(doors: Doors, token: str | None) -> Metadata:
    headers: Metadata = (("x-tenant-id", doors.tenant),)
    return headers if token is None else (*headers, ("authorization", f"Bearer {token}"))


def _verdict(refusal: Refusal | None) -> str:
    if refusal is None or refusal.reason not in _DOOR_REASONS:
        return _IN
    return refusal.reason

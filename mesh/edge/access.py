"""Who may reach which RPC: default deny at both listeners, by the name of the RPC."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mesh.contract.model import OPERATOR, Access, Binding, Contract, Rpc
from mesh.edge.parts import JWT_FILTER, JWT_METADATA, TRUST_DOMAIN, Json, http_filter
from mesh.edge.settings import EdgeSettings

REFLECTION = "/grpc.reflection."
HEALTH = "/grpc.health."
HEALTH_PATH = "/health"

_KIND = "envoy.extensions.filters.http.rbac.v3.RBAC"


def reachable(contract: Contract, settings: EdgeSettings) -> list[Rpc]:
    """RPCs that the edge routes."""
    return [
        rpc
        for rpc in contract.rpcs
        if rpc.rules.access in (Access.PUBLIC, Access.USER)
        and (settings.is_development or not rpc.rules.development_only)
    ]


def streams(rpcs: Iterable[Rpc]) -> list[tuple[Rpc, Binding]]:
    """HTTP routes that answer with a stream of events."""
    return [(rpc, binding) for rpc in rpcs if rpc.server_streaming for binding in rpc.bindings]


def path_regex(binding: Binding) -> str:
    """The path of a binding as a regular expression over a whole path."""
    pieces = re.split(r"(\{[^}]*\})", binding.path)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if not piece.startswith("{"):
        return re.escape(piece).replace("/", "/")
    _, _, pattern = piece.strip("{}").partition("=")
    if not pattern:
        return "[^/]+"
    return re.escape(pattern).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")


def edge_rules(contract: Contract, settings: EdgeSettings) -> Json:
    """Signed in or not, reachable or not. Permissions depend on the tenant and are the service's to judge."""
    rpcs = reachable(contract, settings)
    files = [HEALTH_PATH, *(file.path for file in settings.static_files)]
    return _rules(
        {
            "files": {
                "permissions": [
                    {
                        "and_rules": {
                            "rules": [
                                _any([_method("GET"), _method("HEAD")]),
                                _any([_exact(path) for path in files]),
                            ]
                        }
                    }
                ],
                "principals": [{"any": True}],
            },
            "public": {
                "permissions": _paths(rpcs, Access.PUBLIC),
                "principals": [{"any": True}],
            },
            "signed_in": {
                "permissions": _paths(rpcs, Access.USER),
                "principals": [
                    {
                        "sourced_metadata": {
                            "metadata_matcher": {
                                "filter": JWT_FILTER,
                                "path": [{"key": JWT_METADATA}, {"key": "sub"}],
                                "value": {"present_match": True},
                            },
                            "metadata_source": "DYNAMIC",
                        }
                    }
                ],
            },
        }
    )


def mesh_rules(contract: Contract) -> Json:
    """One rule for each RPC that names callers, and the operator's own."""
    policies: Json = {
        "reflection": {
            "permissions": [_prefix(REFLECTION)],
            "principals": [_identity(OPERATOR)],
        },
        # The service that answers for the readiness of the whole mesh asks each of the others.
        "health": {
            "permissions": [_prefix(HEALTH)],
            "principals": [_identity(name) for name in (*contract.owners, OPERATOR)],
        },
    }
    for rpc in contract.rpcs:
        if rpc.rules.callers:
            policies[rpc.path.removeprefix("/")] = {
                "permissions": [_exact(rpc.path)],
                "principals": [_identity(name) for name in rpc.rules.callers],
            }
    return _rules(policies)


def _rules(policies: Json) -> Json:
    kept = {name: policy for name, policy in policies.items() if policy["permissions"]}
    return http_filter(
        "envoy.filters.http.rbac", _KIND, rules={"action": "ALLOW", "policies": kept}
    )


def _paths(rpcs: Iterable[Rpc], access: Access) -> list[Json]:
    chosen = [rpc for rpc in rpcs if rpc.rules.access is access]
    return [
        *(_exact(rpc.path) for rpc in chosen),
        *(
            {"url_path": {"path": {"safe_regex": {"regex": path_regex(binding)}}}}
            for _, binding in streams(chosen)
        ),
    ]


def _any(rules: list[Json]) -> Json:
    return {"or_rules": {"rules": rules}}


def _method(name: str) -> Json:
    return {"header": {"name": ":method", "string_match": {"exact": name}}}


def _exact(path: str) -> Json:
    return {"url_path": {"path": {"exact": path}}}


def _prefix(path: str) -> Json:
    return {"url_path": {"path": {"prefix": path}}}


def _identity(name: str) -> Json:
    return {"authenticated": {"principal_name": {"exact": TRUST_DOMAIN + name}}}

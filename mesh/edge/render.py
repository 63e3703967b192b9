"""The whole of Envoy's configuration as readable files."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mesh.contract.model import Contract
from mesh.edge import routes, tokens
from mesh.edge.bootstrap import bootstrap
from mesh.edge.clusters import clusters
from mesh.edge.listeners import listeners
from mesh.edge.parts import Json, Shared
from mesh.edge.settings import EdgeSettings

_ROUTES = "envoy.config.route.v3.RouteConfiguration"
BOOTSTRAP = "envoy.yaml"
_HEAD = (
    "# Rendered from the contracts by `make gen`. Change those, or mesh/edge, and render again.\n"
)


def render(contract: Contract, settings: EdgeSettings) -> dict[str, str]:
    """Every file by its path below the configuration folder. Envoy starts with `envoy.yaml`."""
    return {
        BOOTSTRAP: _text(bootstrap(settings)),
        "listeners.yaml": _resources(
            "envoy.config.listener.v3.Listener", listeners(contract, settings)
        ),
        "clusters.yaml": _resources(
            "envoy.config.cluster.v3.Cluster", clusters(contract, settings)
        ),
        routes.FILES[routes.EDGE]: _resources(_ROUTES, [routes.edge_routes(contract, settings)]),
        routes.FILES[routes.MESH]: _resources(_ROUTES, [routes.mesh_routes(contract)]),
        tokens.FILE: render_tokens(settings),
    }


def render_tokens(settings: EdgeSettings) -> str:
    """The one file that changes when signing keys do: `tokens.yaml`. Put it in place by a rename."""
    return _text({"resources": [tokens.resource(settings)]})


def _resources(kind: str, resources: list[Json]) -> str:
    return _text({"resources": [{"@type": f"type.googleapis.com/{kind}", **r} for r in resources]})


class _Plain(yaml.CSafeDumper):
    """Writes no anchors but for what is meant to be shared: Envoy's files are for people first."""

    def ignore_aliases(self, data: Any) -> bool:
        return not isinstance(data, Shared)


_Plain.add_representer(Shared, yaml.CSafeDumper.represent_dict)

_ANCHOR = re.compile(r"(?:(?P<key>\w+): |- )&(?P<id>id\d+)\n(?: +name: (?P<name>\S+))?")


def _text(content: Json) -> str:
    text = yaml.dump(
        content, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True, indent=2
    )
    return _HEAD + _with_names(text)


def _with_names(text: str) -> str:
    """Anchors called after what they stand for, where the library only counts them."""
    names = {}
    for found in _ANCHOR.finditer(text):
        name = found["key"] or found["name"].removeprefix("envoy.filters.http.")
        names[found["id"]] = name.replace(".", "_")
    return re.sub(r"([&*])(id\d+)$", lambda m: m[1] + names[m[2]], text, flags=re.MULTILINE)

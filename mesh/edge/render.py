"""The whole of Envoy's configuration as readable files."""

from __future__ import annotations

from typing import Any

import yaml

from mesh.contract.model import Contract
from mesh.edge import routes, tokens
from mesh.edge.bootstrap import bootstrap
from mesh.edge.clusters import clusters
from mesh.edge.listeners import listeners
from mesh.edge.parts import Json
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
    """Writes no anchors: Envoy's files are for people first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(content: Json) -> str:
    return _HEAD + yaml.dump(
        content, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True, indent=2
    )

"""What Envoy is started with: who it is, where its files are, and when it protects itself."""

from __future__ import annotations

from mesh.edge.parts import Json, file_source, typed
from mesh.edge.settings import EdgeSettings

LISTENERS = ("edge", "edge_tls", "mesh", "metrics")
CONNECTIONS_MAX = 4000
LISTENER_CONNECTIONS_MAX = 2000


def bootstrap(settings: EdgeSettings) -> Json:
    """The bootstrap file."""
    return {
        "node": {"id": "hazina", "cluster": "hazina"},
        # Never an open port: whoever reaches it can stop Envoy. The metrics listener shows what may be seen.
        "admin": {"address": {"pipe": {"path": settings.admin_socket, "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": file_source(
                settings.file("listeners.yaml"), settings.configuration_directory
            ),
            "cds_config": file_source(
                settings.file("clusters.yaml"), settings.configuration_directory
            ),
        },
        "layered_runtime": {
            "layers": [
                {
                    "name": "limits",
                    "static_layer": {
                        f"envoy.resource_limits.listener.{name}.connection_limit": LISTENER_CONNECTIONS_MAX
                        for name in LISTENERS
                    },
                }
            ]
        },
        "overload_manager": _overload(settings),
    }


def _overload(settings: EdgeSettings) -> Json:
    heap = "envoy.resource_monitors.fixed_heap"

    def at(share: float) -> list[Json]:
        return [{"name": heap, "threshold": {"value": share}}]

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    max_heap_size_bytes=settings.heap_bytes_max,
                ),
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.downstream_connections.v3"
                    ".DownstreamConnectionsConfig",
                    max_active_downstream_connections=CONNECTIONS_MAX,
                ),
            },
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": at(0.90)},
            {"name": "envoy.overload_actions.disable_http_keepalive", "triggers": at(0.92)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": at(0.95)},
        ],
        "loadshed_points": [
            {"name": "envoy.load_shed_points.tcp_listener_accept", "triggers": at(0.95)},
        ],
    }

"""Clusters: every service twice, because Envoy has two identities and the service judges by them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from mesh.contract.model import Contract
from mesh.edge.parts import TLS_INSIDE, TRUST_DOMAIN, Json, seconds, secret, socket, typed
from mesh.edge.settings import EdgeSettings, Endpoint

ADMIN = "admin"
NOWHERE = "nowhere"
REFLECTION = "reflection"
TRACES = "traces"
OWNER_OF_API_KEYS = "auth"

_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def edge_cluster(service: str) -> str:
    """The cluster that the edge listener calls."""
    return f"{service}_edge"


def mesh_cluster(service: str) -> str:
    """The cluster that the mesh listener calls."""
    return f"{service}_mesh"


def clusters(contract: Contract, settings: EdgeSettings) -> list[Json]:
    """All clusters, those of the services first."""
    found: list[Json] = []
    for service in contract.owners:
        endpoints = settings.endpoints.get(service, ())
        for name, identity in ((edge_cluster(service), "edge"), (mesh_cluster(service), "mesh")):
            found.append(_service(settings, name, identity, (service,), endpoints))
    everything = [e for s in contract.owners for e in settings.endpoints.get(s, ())]
    found.append(_service(settings, REFLECTION, "mesh", contract.owners, everything))
    found.append({"name": NOWHERE, "type": "STATIC"})
    found.append(_admin(settings))
    if settings.otlp is not None:
        found.append(_traces(settings.otlp))
    return found


def _service(
    settings: EdgeSettings,
    name: str,
    identity: str,
    services: Iterable[str],
    endpoints: Sequence[Endpoint],
) -> Json:
    return {
        "name": name,
        "type": _discovery(endpoints),
        "connect_timeout": "1s",
        "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": _endpoints(name, endpoints),
        "typed_extension_protocol_options": {
            _HTTP: typed(
                _HTTP,
                common_http_protocol_options={
                    "idle_timeout": "300s",
                    # Envoy keeps old connections when a certificate is renewed: let them end before it does.
                    "max_connection_duration": seconds(settings.connection_seconds_max),
                },
                explicit_http_config={
                    "http2_protocol_options": {
                        "initial_stream_window_size": 65536,
                        "initial_connection_window_size": 1048576,
                    }
                },
            )
        },
        "transport_socket": _mutual_tls(settings, identity, services),
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 64,
                    "max_pending_requests": 512,
                    "max_requests": 512,
                    "retry_budget": {
                        "budget_percent": {"value": 20},
                        "min_retry_concurrency": 3,
                    },
                }
            ]
        },
        # A service with one process is never put aside: 50 % of one is none.
        "outlier_detection": {
            "consecutive_5xx": 5,
            "consecutive_gateway_failure": 5,
            "interval": "5s",
            "base_ejection_time": "10s",
            "max_ejection_time": "60s",
            "max_ejection_percent": 50,
            "enforcing_success_rate": 0,
        },
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "5s",
                "unhealthy_interval": "1s",
                "unhealthy_edge_interval": "1s",
                "no_traffic_interval": "1s",
                "no_traffic_healthy_interval": "5s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
    }


def _mutual_tls(settings: EdgeSettings, identity: str, services: Iterable[str]) -> Json:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            common_tls_context={
                "tls_params": TLS_INSIDE,
                "alpn_protocols": ["h2"],
                "tls_certificate_sds_secret_configs": [secret(settings, identity)],
                "combined_validation_context": {
                    "default_validation_context": {
                        "match_typed_subject_alt_names": [
                            {"san_type": "URI", "matcher": {"exact": TRUST_DOMAIN + service}}
                            for service in services
                        ]
                    },
                    "validation_context_sds_secret_config": secret(settings, "authorities"),
                },
            },
        ),
    }


def _admin(settings: EdgeSettings) -> Json:
    return {
        "name": ADMIN,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": ADMIN,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"pipe": {"path": settings.admin_socket}}}}
                    ]
                }
            ],
        },
    }


def _traces(collector: Endpoint) -> Json:
    return {
        "name": TRACES,
        "type": _discovery([collector]),
        "connect_timeout": "1s",
        "load_assignment": _endpoints(TRACES, [collector]),
        "typed_extension_protocol_options": {
            _HTTP: typed(_HTTP, explicit_http_config={"http2_protocol_options": {}})
        },
    }


def _endpoints(name: str, endpoints: Sequence[Endpoint]) -> Json:
    return {
        "cluster_name": name,
        "endpoints": [
            {
                "lb_endpoints": [
                    {"endpoint": {"address": socket(endpoint)}} for endpoint in endpoints
                ]
            }
        ],
    }


def _discovery(endpoints: Sequence[Endpoint]) -> str:
    for endpoint in endpoints:
        try:
            ipaddress.ip_address(endpoint.address)
        except ValueError:
            return "STRICT_DNS"
    return "STATIC"

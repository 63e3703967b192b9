"""Listeners: the edge (plain and TLS), the mesh, and Envoy's own numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mesh.contract.model import BODY_BYTES_DEFAULT, Access, Contract
from mesh.edge import access, limits, routes, tokens
from mesh.edge.clusters import ADMIN, OWNER_OF_API_KEYS, TRACES, edge_cluster
from mesh.edge.parts import (
    TLS_INSIDE,
    TLS_OUTSIDE,
    Json,
    Shared,
    header,
    http_filter,
    seconds,
    secret,
    socket,
    typed,
)
from mesh.edge.replies import local_replies
from mesh.edge.routes import (
    BODY_LIMIT,
    COMPRESSOR,
    CORS,
    TRANSCODER,
    body_limit,
    transcoder,
)
from mesh.edge.settings import EdgeSettings, Endpoint

CONNECTION_BUFFER_BYTES = 32768
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def listeners(contract: Contract, settings: EdgeSettings) -> list[Json]:
    """All listeners."""
    replies = Shared(local_replies(contract, with_json=True))
    filters = [Shared(found) for found in edge_filters(contract, settings)]
    return [
        _edge(contract, settings, filters, replies, is_tls=False),
        _edge(contract, settings, filters, replies, is_tls=True),
        _mesh(contract, settings),
        _metrics(settings),
    ]


def _edge(
    contract: Contract,
    settings: EdgeSettings,
    filters: Sequence[Json],
    replies: Json,
    *,
    is_tls: bool,
) -> Json:
    name, port = ("edge_tls", settings.edge_tls_port) if is_tls else ("edge", settings.edge_port)
    return _listener(
        name,
        Endpoint(settings.edge_address, port),
        _manager(
            name,
            settings,
            request_timeout="30s",
            # What a caller says about its own certificate is dropped.
            forward_client_cert_details="SANITIZE",
            always_set_request_id_in_response=True,
            local_reply_config=replies,
            access_log=_access_log(contract, name),
            rds=routes.by_discovery(settings, routes.EDGE),
            http_filters=_with_secure_answers(filters, settings, is_tls=is_tls),
        ),
        _tls(settings, "edge", ("h2", "http/1.1")) if is_tls else None,
    )


def _mesh(contract: Contract, settings: EdgeSettings) -> Json:
    return _listener(
        "mesh",
        Endpoint(settings.mesh_address, settings.mesh_port),
        _manager(
            "mesh",
            settings,
            # Streams between services live as long as their deadline.
            request_timeout="0s",
            forward_client_cert_details="SANITIZE_SET",
            set_current_client_cert_details={"uri": True},
            # The caller's own id follows the call through the mesh.
            preserve_external_request_id=True,
            local_reply_config=local_replies(contract, with_json=False),
            access_log=_access_log(contract, "mesh"),
            rds=routes.by_discovery(settings, routes.MESH),
            http_filters=[
                access.mesh_rules(contract),
                _router(),
            ],
        ),
        _mutual_tls(settings),
    )


def _metrics(settings: EdgeSettings) -> Json:
    return _listener(
        "metrics",
        Endpoint(settings.mesh_address, settings.metrics_port),
        typed(
            _MANAGER,
            stat_prefix="metrics",
            route_config={
                "name": "metrics",
                "virtual_hosts": [
                    {
                        "name": "metrics",
                        "domains": ["*"],
                        "routes": [
                            {
                                "match": {
                                    "path": path,
                                    "headers": [
                                        {"name": ":method", "string_match": {"exact": "GET"}}
                                    ],
                                },
                                "route": {"cluster": ADMIN},
                            }
                            for path in ("/ready", "/stats/prometheus")
                        ],
                    }
                ],
            },
            http_filters=[_router()],
        ),
        None,
    )


def edge_filters(contract: Contract, settings: EdgeSettings) -> list[Json]:
    """The chain of the edge. Its order is the design: see ARCHITECTURE.md before moving a link."""
    services = sorted({rpc.service for rpc in access.reachable(contract, settings)})
    filters = [
        http_filter(CORS, "envoy.extensions.filters.http.cors.v3.Cors"),
        _compressor(),
        http_filter(
            "envoy.filters.http.grpc_web", "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"
        ),
        limits.by_address(settings),
        {"name": BODY_LIMIT, "typed_config": body_limit(BODY_BYTES_DEFAULT)},
        _hygiene(settings),
    ]
    if OWNER_OF_API_KEYS in contract.owners:
        filters.append(_api_key())
    filters += [
        {"name": TRANSCODER, "typed_config": transcoder(services, settings)},
        tokens.by_discovery(settings),
        limits.by_class(settings),
        access.edge_rules(contract, settings),
        _router(suppress_envoy_headers=True),
    ]
    return filters


def _with_secure_answers(
    filters: Sequence[Json], settings: EdgeSettings, *, is_tls: bool
) -> list[Json]:
    """Over TLS, tell browsers to stay with it. Not in development, whose certificates nobody knows."""
    if not is_tls or settings.is_development:
        return list(filters)
    secure = http_filter(
        "hazina.secure_answers",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={
            "response_mutations": [
                {"append": header("strict-transport-security", "max-age=31536000")}
            ]
        },
    )
    return [secure, *filters]


def _compressor() -> Json:
    return http_filter(
        COMPRESSOR,
        "envoy.extensions.filters.http.compressor.v3.Compressor",
        response_direction_config={"common_config": {"min_content_length": 512}},
        compressor_library={
            "name": "gzip",
            "typed_config": typed("envoy.extensions.compression.gzip.compressor.v3.Gzip"),
        },
    )


def _hygiene(settings: EdgeSettings) -> Json:
    """Drop what only we may set; then name the tenant, the weakest source first."""
    domain = settings.tenant_domain.replace(".", "[.]")
    host = f"^[a-z][a-z0-9-]*[.]{domain}(:[0-9]+)?$"
    subdomain = f"request.host.matches('{host}') ? request.host.split('.')[0] : ''"
    sources = ("%QUERY_PARAM(tenant_id)%", f"%CEL({subdomain})%", "%REQ(x-tenant-id)%")
    return http_filter(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        mutations={
            "request_mutations": [
                {"remove_on_match": {"key_matcher": {"prefix": "x-hazina-"}}},
                *({"append": header("x-hazina-tenant", source)} for source in sources),
            ],
            "formatters": [
                {
                    "name": "envoy.formatter.cel",
                    "typed_config": typed(
                        "envoy.extensions.formatter.cel.v3.Cel",
                        cel_config={"enable_string_functions": True},
                    ),
                }
            ],
        },
    )


def _api_key() -> Json:
    """Ask auth to exchange the key for a short token, only when a key is there."""
    asks = http_filter(
        "envoy.filters.http.ext_authz",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        grpc_service={
            "envoy_grpc": {"cluster_name": edge_cluster(OWNER_OF_API_KEYS)},
            "timeout": "2s",
        },
        failure_mode_allow=False,
        status_on_error={"code": "ServiceUnavailable"},
        validate_mutations=True,
        allowed_headers={"patterns": [{"exact": "x-api-key"}]},
    )
    has_key = {
        "single_predicate": {
            "input": {
                "name": "x-api-key",
                "typed_config": typed(
                    "envoy.type.matcher.v3.HttpRequestHeaderMatchInput", header_name="x-api-key"
                ),
            },
            "value_match": {"safe_regex": {"google_re2": {}, "regex": ".*"}},
        }
    }
    return http_filter(
        asks["name"],
        "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        extension_config=asks,
        xds_matcher={
            "matcher_list": {
                "matchers": [
                    {
                        "predicate": {"not_matcher": has_key},
                        "on_match": {
                            "action": {
                                "name": "skip",
                                "typed_config": typed(
                                    "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
                                ),
                            }
                        },
                    }
                ]
            }
        },
    )


def _router(**fields: object) -> Json:
    return http_filter("envoy.filters.http.router", _ROUTER, **fields)


def _manager(name: str, settings: EdgeSettings, **fields: object) -> Json:
    tracing: Json = {}
    if settings.otlp is not None:
        tracing = {"tracing": _tracing(settings)}
    return typed(
        _MANAGER,
        stat_prefix=name,
        server_name="hazina",
        use_remote_address=True,
        # Nobody is trusted for being near: headers of Envoy's own are stripped from every caller.
        internal_address_config={"unix_sockets": False},
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        max_request_headers_kb=16,
        request_headers_timeout="5s",
        stream_idle_timeout="60s",
        common_http_protocol_options={
            "idle_timeout": "300s",
            "max_connection_duration": seconds(settings.connection_seconds_max),
            "max_headers_count": 64,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        http2_protocol_options={
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        **tracing,
        **fields,
    )


def _tracing(settings: EdgeSettings) -> Json:
    return {
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": typed(
                "envoy.config.trace.v3.OpenTelemetryConfig",
                service_name="envoy",
                grpc_service={"envoy_grpc": {"cluster_name": TRACES}, "timeout": "1s"},
            ),
        },
        "random_sampling": {"value": settings.trace_ratio * 100},
        "spawn_upstream_span": True,
    }


def _access_log(contract: Contract, listener: str) -> list[Json]:
    """One line of JSON for each call, without query strings, and without paths that carry a secret."""
    secrets = sorted(
        {
            binding.path.partition("{")[0]
            for rpc in contract.rpcs
            if rpc.policy is not None and rpc.rules.access is Access.PUBLIC
            for binding in rpc.bindings
            if "secret" in binding.path_fields
        }
    )
    logs = [_log(listener, "%PATH(NQ:PATH)%", [_starts_with(s, is_wanted=False) for s in secrets])]
    logs += [_log(listener, s, [_starts_with(s, is_wanted=True)]) for s in secrets]
    return logs


def _log(listener: str, path: str, filters: Sequence[Json]) -> Json:
    log: Json = {
        "name": "envoy.access_loggers.stdout",
        "typed_config": typed(
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={
                "json_format": {
                    "time": "%START_TIME(%Y-%m-%dT%H:%M:%E3SZ)%",
                    "event": "call",
                    "listener": listener,
                    "request_id": "%REQ(X-REQUEST-ID)%",
                    "method": "%REQ(:METHOD)%",
                    # The RPC's name for every call that the transcoder knew.
                    "path": path,
                    "route": "%ROUTE_NAME%",
                    "http_status": "%RESPONSE_CODE%",
                    "grpc_status": "%GRPC_STATUS%",
                    "details": "%RESPONSE_CODE_DETAILS%",
                    "flags": "%RESPONSE_FLAGS%",
                    "duration_ms": "%DURATION%",
                    "bytes_received": "%BYTES_RECEIVED%",
                    "bytes_sent": "%BYTES_SENT%",
                    "caller": "%DOWNSTREAM_PEER_URI_SAN%",
                    "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                    "protocol": "%PROTOCOL%",
                    "upstream": "%UPSTREAM_CLUSTER%",
                }
            },
        ),
    }
    if len(filters) == 1:
        log["filter"] = filters[0]
    elif filters:
        log["filter"] = {"and_filter": {"filters": list(filters)}}
    return log


def _starts_with(prefix: str, *, is_wanted: bool) -> Json:
    return {
        "header_filter": {
            "header": {
                "name": ":path",
                "string_match": {"prefix": prefix},
                "invert_match": not is_wanted,
            }
        }
    }


def _listener(name: str, place: Endpoint, manager: Json, transport: Json | None) -> Json:
    chain: Json = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    if transport is not None:
        chain["transport_socket"] = transport
    return {
        "name": name,
        "address": socket(place),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "filter_chains": [chain],
    }


def _tls(settings: EdgeSettings, identity: str, protocols: Sequence[str]) -> Json:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context={
                "tls_params": TLS_OUTSIDE,
                "alpn_protocols": list(protocols),
                "tls_certificate_sds_secret_configs": [secret(settings, identity)],
            },
        ),
    }


def _mutual_tls(settings: EdgeSettings) -> Json:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            require_client_certificate=True,
            common_tls_context={
                "tls_params": TLS_INSIDE,
                "alpn_protocols": ["h2"],
                "tls_certificate_sds_secret_configs": [secret(settings, "mesh")],
                "validation_context_sds_secret_config": secret(settings, "authorities"),
            },
        ),
    }

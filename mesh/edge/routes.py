"""Routes. By the name of the RPC, for JSON and gRPC alike: the transcoder has turned paths into names before."""

from __future__ import annotations

from mesh.contract.model import (
    BODY_BYTES_DEFAULT,
    Access,
    Binding,
    Contract,
    Idempotency,
    Rate,
    Rpc,
)
from mesh.edge import access
from mesh.edge.clusters import NOWHERE, REFLECTION, edge_cluster, mesh_cluster
from mesh.edge.limits import ROUTE_METADATA
from mesh.edge.parts import JWT_FILTER, Json, file_source, header, milliseconds, seconds, typed
from mesh.edge.settings import EdgeSettings, StaticFile
from mesh.edge.tokens import SIGNED_IN

EDGE = "edge"
MESH = "mesh"
FILES = {EDGE: "routes_edge.yaml", MESH: "routes_mesh.yaml"}

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
BODY_LIMIT = "envoy.filters.http.body_size_limit"
COMPRESSOR = "envoy.filters.http.compressor"
CORS = "envoy.filters.http.cors"
STREAM_IDLE_SECONDS = 60
STREAM_SECONDS_MAX = 3600
FILE_BYTES_MAX = 8 << 20

_ALLOWED_HEADERS = (
    "authorization",
    "content-type",
    "grpc-timeout",
    "idempotency-key",
    "last-event-id",
    "traceparent",
    "x-api-key",
    "x-grpc-web",
    "x-tenant-id",
    "x-user-agent",
)
_EXPOSED_HEADERS = (
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "idempotent-replayed",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
)


def by_discovery(settings: EdgeSettings, name: str) -> Json:
    """A reference to a file of routes, which the plain and the TLS listener share."""
    return {
        "route_config_name": name,
        "config_source": file_source(settings.file(FILES[name]), settings.configuration_directory),
    }


def edge_routes(contract: Contract, settings: EdgeSettings) -> Json:
    """The routes of the edge."""
    rpcs = access.reachable(contract, settings)
    routes = [_health(), *(_file(file) for file in settings.static_files)]
    routes += [_event_stream(rpc, binding, settings) for rpc, binding in access.streams(rpcs)]
    routes += [_edge_rpc(rpc) for rpc in rpcs]
    routes += [
        _body_limit(rpc, binding)
        for rpc in rpcs
        if rpc.rules.body_bytes_max != BODY_BYTES_DEFAULT
        for binding in rpc.bindings
    ]
    # Everything else is refused before it gets here; a preflight needs a route that names a cluster.
    routes.append({"name": "unknown", "match": {"prefix": "/"}, "route": {"cluster": NOWHERE}})
    security = [
        header("x-content-type-options", "nosniff", "ADD_IF_ABSENT"),
        header("x-frame-options", "DENY", "ADD_IF_ABSENT"),
        header("referrer-policy", "no-referrer", "ADD_IF_ABSENT"),
        header(
            "content-security-policy", "default-src 'none'; frame-ancestors 'none'", "ADD_IF_ABSENT"
        ),
        header("cache-control", "no-store", "ADD_IF_ABSENT"),
    ]
    return {
        "name": EDGE,
        "max_direct_response_body_size_bytes": FILE_BYTES_MAX,
        "validate_clusters": False,
        "virtual_hosts": [
            {
                "name": "edge",
                "domains": ["*"],
                "typed_per_filter_config": {CORS: _cors(settings)},
                "response_headers_to_add": security,
                "routes": routes,
            }
        ],
    }


def mesh_routes(contract: Contract) -> Json:
    """The routes of the mesh: RPCs that name callers, reflection and health."""
    routes = [_mesh_rpc(rpc) for rpc in contract.rpcs if rpc.rules.callers]
    routes.append(
        {
            "name": "reflection",
            "match": {"prefix": access.REFLECTION},
            "route": {"cluster": REFLECTION, "timeout": "0s"},
        }
    )
    for service in contract.owners:
        for name, match in (
            ("x-hazina-service", {"exact": service}),
            (":authority", {"safe_regex": {"regex": f"{service}(:[0-9]+)?"}}),
        ):
            routes.append(
                {
                    "name": f"health of {service} by {name.removeprefix(':')}",
                    "match": {
                        "prefix": access.HEALTH,
                        "headers": [{"name": name, "string_match": match}],
                    },
                    "route": {"cluster": mesh_cluster(service), "timeout": "5s"},
                }
            )
    return {
        "name": MESH,
        "validate_clusters": False,
        "virtual_hosts": [
            {
                "name": "mesh",
                "domains": ["*"],
                # Whoever calls is named by the certificate; what the caller wrote there itself is overwritten.
                "request_headers_to_add": [header("x-hazina-caller", "%DOWNSTREAM_PEER_URI_SAN%")],
                "routes": routes,
            }
        ],
    }


def _health() -> Json:
    return {
        "name": "health",
        "match": {"path": access.HEALTH_PATH},
        "direct_response": {"status": 200, "body": {"inline_string": '{"status":"SERVING"}\n'}},
        "typed_per_filter_config": {TRANSCODER: _switched_off()},
        "response_headers_to_add": [header("content-type", "application/json")],
    }


def _file(file: StaticFile) -> Json:
    return {
        "name": f"file {file.path}",
        "match": {"path": file.path},
        "direct_response": {"status": 200, "body": {"filename": file.file}},
        # The transcoder would answer 404 for a path that is no RPC's.
        "typed_per_filter_config": {TRANSCODER: _switched_off()},
        "response_headers_to_add": [
            header("content-type", file.content_type),
            header("content-security-policy", file.content_security_policy),
            header("cache-control", "no-cache"),
        ],
    }


def _edge_rpc(rpc: Rpc) -> Json:
    return {
        "name": f"{rpc.service}.{rpc.name}",
        "match": {"path": rpc.path},
        **_call(rpc, edge_cluster(rpc.owner), retries=2),
        **_person(rpc),
        "typed_per_filter_config": {**_filters(rpc)},
    }


def _mesh_rpc(rpc: Rpc) -> Json:
    return {
        "name": f"{rpc.service}.{rpc.name}",
        "match": {"path": rpc.path},
        # One at each hop: retries of a chain multiply.
        **_call(rpc, mesh_cluster(rpc.owner), retries=1),
    }


def _event_stream(rpc: Rpc, binding: Binding, settings: EdgeSettings) -> Json:
    return {
        "name": f"{rpc.service}.{rpc.name} as events",
        "match": {
            "safe_regex": {"regex": access.path_regex(binding)},
            "headers": [{"name": ":method", "string_match": {"exact": binding.method}}],
        },
        **_call(rpc, edge_cluster(rpc.owner), retries=0),
        **_person(rpc),
        "typed_per_filter_config": {
            **_filters(rpc),
            COMPRESSOR: typed(
                "envoy.extensions.filters.http.compressor.v3.CompressorPerRoute", disabled=True
            ),
            TRANSCODER: transcoder([rpc.service], settings, as_events=True),
        },
    }


def _body_limit(rpc: Rpc, binding: Binding) -> Json:
    # The limit is asked before the transcoder, when the path is still the caller's.
    return {
        "name": f"body of {binding.method} {binding.path}",
        "match": {"safe_regex": {"regex": access.path_regex(binding)}},
        "route": {"cluster": NOWHERE},
        "typed_per_filter_config": {BODY_LIMIT: body_limit(rpc.rules.body_bytes_max)},
    }


def _call(rpc: Rpc, cluster: str, *, retries: int) -> Json:
    """How long a call may take, and whether it is tried again."""
    policy = rpc.rules
    if rpc.server_streaming:
        longest = policy.timeout_seconds or STREAM_SECONDS_MAX
        return {
            "route": {
                "cluster": cluster,
                "timeout": "0s",
                "idle_timeout": seconds(STREAM_IDLE_SECONDS),
                "max_stream_duration": {"max_stream_duration": seconds(longest)},
            }
        }
    assert policy.timeout_seconds is not None, "the checks refuse a call without a deadline"
    limit = seconds(policy.timeout_seconds)
    route: Json = {
        "cluster": cluster,
        "timeout": limit,
        "max_stream_duration": {"grpc_timeout_header_max": limit, "max_stream_duration": limit},
    }
    if policy.idempotency is Idempotency.SAFE and retries:
        route["retry_policy"] = {
            "retry_on": "connect-failure,refused-stream,reset-before-request,unavailable",
            "num_retries": retries,
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": typed(
                        "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                    ),
                }
            ],
            "host_selection_retry_max_attempts": 3,
        }
    return {
        "route": route,
        "request_headers_to_add": [
            header("grpc-timeout", milliseconds(policy.timeout_seconds), "ADD_IF_ABSENT")
        ],
    }


def _person(rpc: Rpc) -> Json:
    if rpc.rules.rate in (Rate.UNSPECIFIED, Rate.STREAM):
        return {}
    return {"metadata": {"filter_metadata": {ROUTE_METADATA: {"class": rpc.rules.rate.name}}}}


def _filters(rpc: Rpc) -> Json:
    found: Json = {}
    if rpc.rules.access is Access.USER:
        found[JWT_FILTER] = typed(
            "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
            requirement_name=SIGNED_IN,
        )
    if rpc.rules.body_bytes_max != BODY_BYTES_DEFAULT:
        found[BODY_LIMIT] = body_limit(rpc.rules.body_bytes_max)
    if rpc.rules.rate is Rate.AUTH:
        # Tokens beside what the caller wrote: compressed sizes would tell about the tokens.
        found[COMPRESSOR] = typed(
            "envoy.extensions.filters.http.compressor.v3.CompressorPerRoute", disabled=True
        )
    return found


def body_limit(bytes_max: int) -> Json:
    """The largest request body, by length and as it comes."""
    return typed(
        "envoy.extensions.filters.http.body_size_limit.v3.BodySizeLimit",
        max_request_bytes=bytes_max,
    )


def transcoder(services: list[str], settings: EdgeSettings, *, as_events: bool = False) -> Json:
    """JSON to gRPC and back."""
    return typed(
        "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=settings.descriptor_file,
        services=services,
        match_incoming_request_route=as_events,
        # The tenant was read from it already.
        ignored_query_parameters=["tenant_id"],
        convert_grpc_status=True,
        query_param_unescape_plus=True,
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        print_options={
            "always_print_primitive_fields": True,
            "stream_sse_style_delimited": as_events,
        },
        # The filter's own buffers; what callers may send is the body limit's.
        max_request_body_size=8 << 20,
        max_response_body_size=4 << 20,
    )


def _switched_off() -> Json:
    return typed("envoy.config.route.v3.FilterConfig", disabled=True)


def _cors(settings: EdgeSettings) -> Json:
    return typed(
        "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        allow_origin_string_match=[{"exact": origin} for origin in settings.allowed_origins],
        allow_methods="GET, POST, PUT, PATCH, DELETE",
        allow_headers=", ".join(_ALLOWED_HEADERS),
        expose_headers=", ".join(_EXPOSED_HEADERS),
        max_age="600",
    )

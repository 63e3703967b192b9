"""Small pieces of Envoy configuration that several files need."""

from __future__ import annotations

import math
from typing import Any

from mesh.edge.settings import EdgeSettings, Endpoint

Json = dict[str, Any]

TRUST_DOMAIN = "spiffe://hazina/"
JWT_FILTER = "envoy.filters.http.jwt_authn"
JWT_METADATA = "payload"


class Shared(dict[str, Any]):
    """A piece that stands in one file twice: written once, and referred to by name the second time."""


def typed(kind: str, **fields: Any) -> Json:
    """A configuration with its type, which Envoy writes as an Any."""
    return {"@type": f"type.googleapis.com/{kind}", **fields}


def http_filter(name: str, kind: str, **fields: Any) -> Json:
    """One HTTP filter."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def seconds(value: float) -> str:
    """A duration as JSON writes it."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def milliseconds(value: float) -> str:
    """A deadline as the header `grpc-timeout` writes it."""
    return f"{math.ceil(value * 1000)}m"


def socket(endpoint: Endpoint) -> Json:
    """An address with a port."""
    return {"socket_address": {"address": endpoint.address, "port_value": endpoint.port}}


def file_source(path: str, directory: str) -> Json:
    """A configuration that Envoy reads again when a file is renamed into the folder."""
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": path, "watched_directory": {"path": directory}},
    }


def secret(settings: EdgeSettings, name: str) -> Json:
    """A reference to a certificate, or to the trusted authorities, that is renewed while Envoy runs."""
    return {
        "name": name,
        "sds_config": file_source(settings.certificate(name), settings.certificate_directory),
    }


def header(key: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Json:
    """A header to set."""
    return {"header": {"key": key, "value": value}, "append_action": action}


# TLS 1.3 for everything inside. Both ends of the range: with the minimum alone, upstream connections fail.
TLS_INSIDE = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
TLS_OUTSIDE = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}

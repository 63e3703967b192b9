"""Where things are and how wide the limits stand: all that differs between the committed and a running Envoy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEVELOPMENT = "development"
PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one process listens."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file that Envoy answers by itself. `file` is as Envoy sees it: absolute, or relative to its folder."""

    path: str
    file: str
    content_type: str
    content_security_policy: str = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """One rendering. Paths are as Envoy sees them; relative ones start at the folder that Envoy is started in."""

    # Addresses of the processes of each service; a service that is not named gets a refusing cluster.
    endpoints: Mapping[str, Sequence[Endpoint]]
    port_base: int = 8080
    # Who can reach the edge. The mesh listener and the metrics stay on `mesh_address`.
    edge_address: str = "127.0.0.1"
    mesh_address: str = "127.0.0.1"
    profile: str = PRODUCTION
    # Multiplies every rate limit.
    rate_scale: float = 1.0
    # Folder that the rendered files are written to.
    configuration_directory: str = "."
    # Folder of the SDS files edge.yaml, mesh.yaml and authorities.yaml.
    certificate_directory: str = "certificates"
    # Folder of edge.binpb and edge_development.binpb.
    descriptor_directory: str = "../gen/descriptors"
    # The key set that tokens are verified with. None: Envoy reads `keys/jwks.json` when it starts.
    jwks: str | None = None
    admin_socket: str = "admin.sock"
    static_files: Sequence[StaticFile] = ()
    # Web origins that may call from a browser, such as `https://app.example.org`.
    allowed_origins: Sequence[str] = ()
    # `<tenant>.<tenant_domain>` names the tenant.
    tenant_domain: str = "localhost"
    # Collector of traces (OTLP over gRPC, without TLS), and the part of the calls that is traced.
    otlp: Endpoint | None = None
    trace_ratio: float = 1.0
    # More than this and Envoy first gives memory back, then refuses.
    heap_bytes_max: int = 1 << 30
    # Life of connections; shorter than that of certificates.
    connection_seconds_max: int = 3600

    @property
    def edge_port(self) -> int:
        """HTTP, gRPC and gRPC-Web without TLS."""
        return self.port_base

    @property
    def edge_tls_port(self) -> int:
        """The same with TLS."""
        return self.port_base + 1

    @property
    def mesh_port(self) -> int:
        """Calls between services, with mTLS."""
        return self.port_base + 2

    @property
    def metrics_port(self) -> int:
        """Envoy's readiness and numbers."""
        return self.port_base + 3

    @property
    def is_development(self) -> bool:
        """Whether RPCs for development only are routed."""
        return self.profile == DEVELOPMENT

    @property
    def descriptor_file(self) -> str:
        """The descriptor set that JSON is transcoded by."""
        name = "edge_development.binpb" if self.is_development else "edge.binpb"
        return f"{self.descriptor_directory}/{name}"

    def file(self, name: str) -> str:
        """A rendered file as Envoy sees it."""
        return f"{self.configuration_directory}/{name}"

    def certificate(self, name: str) -> str:
        """An SDS file as Envoy sees it."""
        return f"{self.certificate_directory}/{name}.yaml"


# Pages bring scripts and styles as files; nothing inline runs, and nothing is fetched from elsewhere.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def static_files(root: Path, seen_from: str | None = None) -> tuple[StaticFile, ...]:
    """The pages of a clone at `root`: `/`, `/docs` with its assets, and `/openapi.json`.

    `seen_from` replaces the path of the clone in what Envoy reads, such as `..` for the committed files.
    """
    place = seen_from if seen_from is not None else str(root)
    html = _TYPES[".html"]
    found = [
        StaticFile("/", f"{place}/web/landing/index.html", html, PAGE_POLICY),
        StaticFile("/docs", f"{place}/web/docs/index.html", html, PAGE_POLICY),
        StaticFile("/openapi.json", f"{place}/gen/openapi/openapi.json", "application/json"),
    ]
    for page, prefix in (("landing", "/assets"), ("docs", "/docs")):
        found += [
            StaticFile(
                f"{prefix}/{path.name}",
                f"{place}/web/{page}/{path.name}",
                _TYPES[path.suffix],
                PAGE_POLICY,
            )
            for path in sorted((root / "web" / page).iterdir())
            if path.is_file() and path.name != "index.html" and path.suffix in _TYPES
        ]
    return tuple(found)


_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html; charset=utf-8",
}

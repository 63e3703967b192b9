"""The running Envoy's files: rendered from the contracts into HAZINA_HOME with this mesh's ports and keys."""

from __future__ import annotations

from urllib.parse import urlsplit

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.contract.read import read
from mesh.edge.render import render, render_tokens
from mesh.edge.settings import EdgeSettings, Endpoint, static_files
from mesh.edge.tokens import FILE as TOKENS
from mesh.stack.environment import Stack
from mesh.stack.home import ROOT, write_atomically
from mesh.stack.ports import SERVICES

DESCRIPTORS = ROOT / "gen" / "descriptors"


def settings(stack: Stack) -> EdgeSettings:
    """What this mesh's Envoy differs in from the committed files."""
    otlp = urlsplit(stack.settings.otlp_endpoint)
    return EdgeSettings(
        endpoints={
            service: [Endpoint("127.0.0.1", stack.ports.service(service))] for service in SERVICES
        },
        port_base=stack.ports.base,
        profile=stack.settings.profile,
        rate_scale=float(stack.settings.rate_scale),
        configuration_directory=str(stack.home.envoy),
        certificate_directory=str(stack.home.certificates / "envoy"),
        descriptor_directory=str(DESCRIPTORS),
        jwks=(stack.home.keys / "jwks.json").read_text(),
        static_files=static_files(ROOT),
        allowed_origins=stack.settings.web_origins,
        otlp=Endpoint(otlp.hostname, otlp.port or 4317) if otlp.hostname else None,
        trace_ratio=float(stack.settings.trace_ratio),
    )


def render_all(stack: Stack) -> None:
    """Write all of Envoy's files. Blocking; about a second."""
    compiled = FileDescriptorSet.FromString((DESCRIPTORS / "hazina.binpb").read_bytes())
    files = render(read(compiled), settings(stack))
    for name, text in files.items():
        path = stack.home.envoy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text, mode=0o600)


def render_keys(stack: Stack) -> None:
    """Write the file with the token filter and its key set again; a running Envoy takes it within two seconds."""
    write_atomically(stack.home.envoy / TOKENS, render_tokens(settings(stack)), mode=0o600)

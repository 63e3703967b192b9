"""Every port of a mesh is an offset from one setting, so that two meshes can run side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_BASE = 8080
OFFSET_MAX = 29

# A service's slot gives its gRPC port (10 + slot) and its metrics port (20 + slot). `hazina new-service`
# appends here; slots are never reused while a mesh with the old service may still run.
SLOTS: Mapping[str, int] = {
    "auth": 0,
    "wallet": 1,
    "payments": 2,
    "groups": 3,
    "comms": 4,
}

SERVICES: tuple[str, ...] = tuple(SLOTS)

# Who may hold a certificate beside the services: Envoy's two client identities and the operator.
PLATFORM_IDENTITIES: tuple[str, ...] = ("edge", "mesh", "ops")
IDENTITIES: tuple[str, ...] = SERVICES + PLATFORM_IDENTITIES


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the mesh whose first port is `base`."""

    base: int = DEFAULT_BASE

    def __post_init__(self) -> None:
        if not 1024 <= self.base <= 65535 - OFFSET_MAX:
            raise ValueError(
                f"HAZINA_PORT_BASE must lie between 1024 and {65535 - OFFSET_MAX}, not {self.base}."
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Ports:
        """Read `HAZINA_PORT_BASE`; 8080 when it is not set."""
        text = environ.get("HAZINA_PORT_BASE", "").strip() or str(DEFAULT_BASE)
        if not text.isdigit():
            raise ValueError(f"HAZINA_PORT_BASE must be a number, not {text!r}.")
        return cls(int(text))

    @property
    def edge(self) -> int:
        """HTTP, gRPC and gRPC-Web without TLS, on loopback."""
        return self.base

    @property
    def edge_tls(self) -> int:
        """The same with TLS."""
        return self.base + 1

    @property
    def mesh(self) -> int:
        """The mesh listener: services and operators call services here, with mTLS."""
        return self.base + 2

    @property
    def envoy_metrics(self) -> int:
        """Envoy's Prometheus page and readiness, on loopback."""
        return self.base + 3

    @property
    def postgres(self) -> int:
        """The embedded Postgres."""
        return self.base + 4

    @property
    def valkey(self) -> int:
        """The embedded Valkey."""
        return self.base + 5

    @property
    def smtp(self) -> int:
        """The development mail server, SMTP."""
        return self.base + 6

    @property
    def mail_viewer(self) -> int:
        """What the development mail server received, HTTP."""
        return self.base + 7

    @property
    def sms(self) -> int:
        """The SMS simulator, HTTP."""
        return self.base + 8

    @property
    def mobile_money(self) -> int:
        """The mobile money simulator, HTTP."""
        return self.base + 9

    def service(self, name: str) -> int:
        """gRPC port of the service `name` (mTLS)."""
        return self.base + 10 + SLOTS[name]

    def metrics(self, name: str) -> int:
        """Prometheus port of the service `name`."""
        return self.base + 20 + SLOTS[name]

"""How Envoy is started: the arguments that belong to these files."""

from __future__ import annotations

from mesh.edge.settings import EdgeSettings


def arguments(settings: EdgeSettings, *, threads: int = 2) -> list[str]:
    """Arguments after the name of the program."""
    return [
        "--config-path",
        settings.file("envoy.yaml"),
        "--concurrency",
        str(threads),
        # Two meshes on one host would share the memory that a hot restart hands over.
        "--disable-hot-restart",
        "--log-level",
        "warning",
        # At `error` this component writes the path of each body that is too large, secrets included.
        "--component-log-level",
        "http:critical",
        "--drain-time-s",
        "5",
    ]

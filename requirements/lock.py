"""Writes run.txt and dev.txt from what the virtual environment holds: the closure of run.in, and of dev.in beyond it.

Upgrade on purpose (`.venv/bin/pip install --upgrade name`), run the tests, then `make lock`.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).resolve().parent


def closure(wanted: list[str]) -> dict[str, str]:
    """Name and version of everything that `wanted` brings along in this environment."""
    installed = {
        canonicalize_name(each.metadata["Name"]): each for each in metadata.distributions()
    }
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [Requirement(line) for line in wanted]
    while queue:
        requirement = queue.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name not in installed:
            raise SystemExit(f"{name} is not installed. Run `.venv/bin/pip install {name}` first.")
        versions[name] = installed[name].version
        for line in installed[name].requires or []:
            inner = Requirement(line)
            if inner.marker is None or any(
                inner.marker.evaluate({"extra": extra}) for extra in extras | {""}
            ):
                queue.append(inner)
    return versions


def wanted(name: str) -> list[str]:
    """The packages that a `.in` file names."""
    lines = (FOLDER / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def write(name: str, heading: str, versions: dict[str, str]) -> None:
    """Write a lock file."""
    pins = "".join(f"{package}=={version}\n" for package, version in sorted(versions.items()))
    (FOLDER / name).write_text(heading + pins)


def main() -> None:
    """Write both."""
    run, dev = closure(wanted("run.in")), closure(wanted("dev.in"))
    write("run.txt", "# run.in and all it needs, pinned. `make lock` writes this file.\n", run)
    write(
        "dev.txt",
        "# dev.in and all it needs beyond run.txt, pinned. `make lock` writes this file.\n-r run.txt\n",
        {package: version for package, version in dev.items() if package not in run},
    )


if __name__ == "__main__":
    main()

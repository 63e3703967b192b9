"""`hazina new-service`: a service that works, to begin from: contract, rooms, first migration, tests, its place in the mesh."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mesh.cli.screen import console, succeed
from mesh.stack.home import ROOT, StackError
from mesh.stack.ports import IDENTITIES

_TEMPLATES = Path(__file__).parent / "skeleton"
_NAME = re.compile(r"^[a-z][a-z0-9]{1,19}$")
_TAKEN = {*IDENTITIES, "kit", "hazina", "policy", "type", "event", "skeleton", "api", "dev", "docs"}
_SLOTS_MAX = 10


def make(name: str, *, root: Path | None = None) -> None:
    """Write all files and register the service. Changes nothing when anything is in the way."""
    root = root or ROOT
    if not _NAME.match(name):
        raise StackError(
            f"{name!r} is no name for a service: one lower-case word of letters and digits, e.g. loans."
        )
    if name in _TAKEN:
        raise StackError(f"{name} is taken. Choose another name.")
    files = {root / _renamed(path, name): _filled(path.read_text(), name) for path in _templates()}
    there = [path for path in files if path.exists()]
    if there:
        raise StackError(f"{there[0]} exists already. Choose another name, or remove it.")
    ports = root / "mesh" / "stack" / "ports.py"
    registered = _with_slot(ports.read_text(), name)
    settings = root / "pyproject.toml"
    with_rules = _with_import_rules(settings.read_text(), name)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _tidy([path for path in files if path.suffix == ".py"], root)
    ports.write_text(registered)
    settings.write_text(with_rules)
    succeed(f"The service {name} is written: {len(files)} files.")
    console.print(
        f"  1. read  [bold]proto/hazina/{name}/v1/{name}_service.proto[/] and [bold]services/{name}/[/]\n"
        "  2. run   [bold]make gen[/]                    code, Envoy and documents from the contract\n"
        "  3. run   [bold]hazina down && hazina up[/]    it starts with the mesh; `hazina status` shows it\n"
        f"  4. test  [bold].venv/bin/python -m pytest -q tests/*/{name}[/]"
    )


def _tidy(paths: list[Path], root: Path) -> None:
    """The order of imports and the breaks of lines depend on the name; without the tools of `make setup-dev`, later."""
    for arguments in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, *paths], cwd=root, capture_output=True
        )


def _templates() -> list[Path]:
    return sorted(_TEMPLATES.rglob("*.tmpl"))


def _renamed(template: Path, name: str) -> Path:
    relative = template.relative_to(_TEMPLATES).as_posix().removesuffix(".tmpl")
    return Path(relative.replace("skeleton", name))


def _filled(text: str, name: str) -> str:
    return text.replace("skeleton", name).replace("Skeleton", name.capitalize())


def _with_slot(source: str, name: str) -> str:
    """`ports.py` with one more slot, after the last."""
    entries = re.findall(r'^    "(\w+)": (\d+),$', source, flags=re.MULTILINE)
    slot = max(int(number) for _, number in entries) + 1
    if slot >= _SLOTS_MAX:
        raise StackError(f"All {_SLOTS_MAX} ports for services are in use (mesh/stack/ports.py).")
    last = f'    "{entries[-1][0]}": {entries[-1][1]},\n'
    return source.replace(last, f'{last}    "{name}": {slot},\n')


def _with_import_rules(source: str, name: str) -> str:
    """`pyproject.toml` with the service wherever the import rules list services one by one."""
    return re.sub(
        r'^(\s*)"services\.comms",( *#.*)?$',
        lambda found: f'{found.group()}\n{found.group(1)}"services.{name}",',
        source,
        flags=re.MULTILINE,
    )

"""What `hazina new-service` writes, without running it; that it is healthy in a mesh is shown by `tests/integration/stack`."""

from __future__ import annotations

import ast
import shutil
import tomllib
from pathlib import Path

import pytest

from mesh.cli import new_service
from mesh.stack.home import ROOT, StackError
from mesh.stack.ports import SLOTS


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "mesh" / "stack").mkdir(parents=True)
    for name in ("mesh/stack/ports.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_room_is_written(clone: Path) -> None:
    new_service.make("orchards", root=clone)
    rooms = {path.name for path in (clone / "services" / "orchards").glob("*.py")}
    assert {
        "__main__.py",
        "app.py",
        "handlers.py",
        "operations.py",
        "domain.py",
        "store.py",
    } <= rooms
    assert (clone / "proto/hazina/orchards/v1/orchards_service.proto").exists()
    assert (clone / "tests/contract/orchards/test_create_note.py").exists()


def test_the_service_gets_the_next_free_port(clone: Path) -> None:
    free = max(SLOTS.values()) + 1
    new_service.make("orchards", root=clone)
    new_service.make("beehives", root=clone)
    tree = ast.parse((clone / "mesh/stack/ports.py").read_text())
    (slots,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "SLOTS" and node.value
    ]
    assert (slots["orchards"], slots["beehives"]) == (free, free + 1)


def test_nothing_of_the_template_is_left_in_the_words(clone: Path) -> None:
    new_service.make("orchards", root=clone)
    for path in clone.rglob("*"):
        if path.is_file() and "orchards" in str(path):
            assert "skeleton" not in path.read_text().lower(), path


def test_the_settings_stay_readable(clone: Path) -> None:
    new_service.make("orchards", root=clone)
    tomllib.loads((clone / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", ["Orchards", "or-chards", "1orchards", "", "kit", "auth", "ops"])
def test_a_name_that_cannot_be_is_refused(clone: Path, name: str) -> None:
    with pytest.raises(StackError):
        new_service.make(name, root=clone)
    assert not (clone / "services").exists()


def test_a_second_service_of_the_same_name_is_refused_before_anything_is_written(
    clone: Path,
) -> None:
    new_service.make("orchards", root=clone)
    before = (clone / "mesh/stack/ports.py").read_text()
    with pytest.raises(StackError, match="exists already"):
        new_service.make("orchards", root=clone)
    assert (clone / "mesh/stack/ports.py").read_text() == before

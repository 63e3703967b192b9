"""Everything that follows from the contracts, written below one root, and the check that nothing has drifted."""

from __future__ import annotations

from pathlib import Path

from mesh.contract import descriptors


def generate(root: Path, target: Path) -> None:
    """Read the contracts of `root` and write `gen/` below `target`. Refuses contracts that break a rule."""
    compiled = descriptors.compile_set(root)
    descriptors.write_python(root, target / "gen/python")
    _write(target / "gen/descriptors/hazina.binpb", compiled.SerializeToString(deterministic=True))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def drift(root: Path, fresh: Path, folders: tuple[str, ...] = ("gen", "envoy")) -> list[str]:
    """Paths below `folders` that differ between the committed tree at `root` and the one just made at `fresh`."""
    differing = []
    for folder in folders:
        names = {p.relative_to(t) for t in (root, fresh) for p in _files(t / folder)}
        for name in sorted(names):
            committed, made = root / name, fresh / name
            if not committed.is_file():
                differing.append(f"{name} is missing")
            elif not made.is_file():
                differing.append(f"{name} is left over")
            elif committed.read_bytes() != made.read_bytes():
                differing.append(f"{name} differs")
    return differing


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]

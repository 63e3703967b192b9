"""Everything that follows from the contracts, written below one root, and the check that nothing has drifted."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.contract import checks, descriptors
from mesh.contract.edge_set import edge_set
from mesh.contract.model import Contract
from mesh.contract.read import read


def generate(root: Path, target: Path) -> None:
    """Read the contracts of `root` and write `gen/` below `target`. Refuses contracts that break a rule."""
    compiled, contract = load(root)
    descriptors.write_python(root, target / "gen/python")
    for name, content in (
        ("hazina", compiled),
        ("edge", edge_set(compiled, contract, is_development=False)),
        ("edge_development", edge_set(compiled, contract, is_development=True)),
    ):
        _write(
            target / f"gen/descriptors/{name}.binpb", content.SerializeToString(deterministic=True)
        )


def load(root: Path) -> tuple[FileDescriptorSet, Contract]:
    """The contracts of `root`, compiled and read. Raises ContractsBroken with every rule they break."""
    compiled = descriptors.compile_set(root)
    contract = read(compiled)
    complaints = checks.complaints(contract)
    if complaints:
        raise descriptors.ContractsBroken("\n".join(complaints))
    return compiled, contract


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

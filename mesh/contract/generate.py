"""Everything that follows from the contracts, written below one root, and the check that nothing has drifted."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.contract import checks, descriptors
from mesh.contract.edge_set import edge_set
from mesh.contract.matrix import matrix
from mesh.contract.model import Contract
from mesh.contract.read import read
from mesh.contract.tables import tables
from mesh.edge.guide import guide
from mesh.edge.render import render
from mesh.edge.settings import EdgeSettings, Endpoint, static_files
from mesh.openapi.document import document, to_text
from mesh.stack.ports import Ports


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
    for path, text in texts(root, contract).items():
        _write(target / path, text.encode())


def texts(root: Path, contract: Contract) -> dict[str, str]:
    """Every generated file that is text, by its path."""
    found = {
        "gen/openapi/openapi.json": to_text(document(contract)),
        "gen/docs/rpcs.md": tables(contract),
        "gen/matrix/authorization.json": matrix(contract),
    }
    settings = committed_settings(root, contract)
    for name, text in render(contract, settings).items():
        found[f"envoy/{name}"] = text
    found["envoy/README.md"] = guide(contract, settings)
    return found


def committed_settings(root: Path, contract: Contract) -> EdgeSettings:
    """What `envoy/` is rendered with: the ports of a plain clone, rate scale 1, production, paths from that folder."""
    ports = Ports()
    return EdgeSettings(
        endpoints={
            service: (Endpoint("127.0.0.1", ports.service(service)),) for service in contract.owners
        },
        static_files=static_files(root, ".."),
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

"""From contract files to one descriptor set, and from there to Python code: every run of `protoc` is here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.contract import dependencies


class ContractsBroken(Exception):
    """The contracts do not compile, or break a rule; the message says where."""


def proto_files(root: Path) -> list[str]:
    """Paths of all own contracts, relative to `proto/`, sorted."""
    folder = root / "proto"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.proto"))


def compile_set(root: Path) -> FileDescriptorSet:
    """The descriptor set of all contracts with their imports and source information, in order of dependency."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "set.binpb"
        _protoc(
            root,
            ["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"],
            proto_files(root),
        )
        return FileDescriptorSet.FromString(target.read_bytes())


def write_python(root: Path, target: Path) -> None:
    """Write messages, type stubs and gRPC stubs of all contracts, and of `buf.validate`, below `target`."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    own = proto_files(root)
    _protoc(
        root,
        [f"--python_out={target}", f"--mypy_out=quiet:{target}", *_plugin("protoc-gen-mypy")],
        [*own, "buf/validate/validate.proto"],
    )
    served = [name for name in own if "\nservice " in (root / "proto" / name).read_text()]
    _protoc(
        root,
        [
            f"--grpc_python_out={target}",
            f"--mypy_grpc_out=quiet:{target}",
            *_plugin("protoc-gen-mypy_grpc"),
        ],
        served,
    )


def _plugin(name: str) -> list[str]:
    return [f"--plugin={name}={Path(sys.executable).parent / name}"]


def _protoc(root: Path, options: list[str], files: list[str]) -> None:
    deps = dependencies.fill(root)
    if not files:
        raise ContractsBroken(f"no contracts below {root / 'proto'}")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root / 'proto'}", f"-I{deps}"]
    done = subprocess.run(
        [*command, *options, *files], check=False, capture_output=True, text=True, cwd=root
    )
    if done.returncode != 0:
        raise ContractsBroken(done.stderr.strip() or f"protoc ended with {done.returncode}")

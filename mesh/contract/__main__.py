"""`python -m mesh.contract gen | check | lint`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mesh.contract.descriptors import ContractsBroken
from mesh.contract.generate import drift, generate
from mesh.contract.lint import lint

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    match arguments:
        case ["gen"]:
            return _gen()
        case ["check"]:
            return _check()
        case ["lint"]:
            return _report(lint(ROOT), "The contracts follow the rules.")
        case _:
            print("usage: python -m mesh.contract gen | check | lint", file=sys.stderr)
            return 2


def _gen() -> int:
    try:
        generate(ROOT, ROOT)
    except ContractsBroken as broken:
        return _report(str(broken).splitlines(), "")
    return 0


def _check() -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            generate(ROOT, Path(folder))
        except ContractsBroken as broken:
            return _report(str(broken).splitlines(), "")
        complaints = drift(ROOT, Path(folder))
    if complaints:
        complaints.append("Run `make gen` and commit what it writes.")
    return _report(complaints, "Generated files match the contracts.")


def _report(complaints: list[str], praise: str) -> int:
    for line in complaints:
        print(line, file=sys.stderr)
    if not complaints:
        print(praise)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

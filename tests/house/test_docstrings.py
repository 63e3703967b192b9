"""Whoever opens a file learns what it is for, and whoever calls a function learns what its signature cannot say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, python_files
from tests.matrix.contracts import rpcs

_RPC_NAMES = {rpc.name for rpc in rpcs()}
_FILES = list(python_files("services", "mesh", "simulators"))

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_and_public_name_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    missing = [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {name}"
        for name, node in _public(tree)
        if not ast.get_docstring(node)
    ]

    assert not missing, (
        "No docstring. Say in one line what a signature cannot (units, ranges, errors, source of the rule):\n  "
        + "\n  ".join(missing)
    )


def _public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    if tree.body:
        yield "the module", tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if _is_public(node) and not _is_overload(node):
                yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if not _is_protocol(node):  # what a caller needs is said once, by the class
                yield from _methods(node)


def _methods(owner: ast.ClassDef) -> Iterator[tuple[str, Documented]]:
    for node in owner.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not _is_public(node):
            continue
        # The contract documents an RPC; a setter or an overload is documented where it begins.
        if node.name in _RPC_NAMES or (node.decorator_list and _is_overload(node)):
            continue
        yield f"{owner.name}.{node.name}", node


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).split("[")[0].endswith("Protocol") for base in node.bases)


def _is_public(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not node.name.startswith("_")


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("overload", ".setter", "override")) for name in names)

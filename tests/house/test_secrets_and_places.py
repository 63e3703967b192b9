"""No secret has a default where real money moves, and no file knows the machine it was written on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, files, python_files

# The one table with values for the development profile, and the parts that make or fake things for it.
DEVELOPMENT = ("mesh/stack/", "simulators/", "tests/", "bench/")
_SECRET_NAME = re.compile(
    r"(PASSWORD|PASSKEY|SECRET(?!ARY)|PRIVATE_KEY|API_KEY|CONSUMER_KEY|CREDENTIAL|PEPPER)",
    re.IGNORECASE,
)
_KEY_BLOCK = re.compile("-----BEGIN " + r"([A-Z]+ )?PRIVATE KEY-----")
_HOME_FOLDER = re.compile(r"(?<![\w./~$}-])/(home|Users)/(?!nobody\b)[a-z][\w.-]*/")
_TEXT = {
    ".py", ".md", ".toml", ".proto", ".yaml", ".yml", ".json", ".txt", ".in", ".html", ".js", ".css", ".sh", "",
}  # fmt: skip


def test_no_secret_has_a_default() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{line} {what}"
        for path in python_files("services", "mesh")
        if not str(path.relative_to(ROOT)).startswith(DEVELOPMENT)
        for line, what in _defaults(ast.parse(path.read_text()))
    ]

    assert not offenders, (
        "A secret comes from the environment or a file and has no default. Read it without one, and put the "
        "development value into mesh/stack/environment.py:\n  " + "\n  ".join(offenders)
    )


def test_no_private_key_is_committed() -> None:
    offenders = [
        str(path.relative_to(ROOT)) for path in _text_files() if _KEY_BLOCK.search(_read(path))
    ]

    assert not offenders, f"Keys are made at first start, never committed: {', '.join(offenders)}"


def test_no_file_knows_where_it_was_written() -> None:
    places = [str(ROOT)]
    if Path.home() != Path("/"):
        places.append(f"{Path.home()}/")
    offenders = [
        str(path.relative_to(ROOT))
        for path in _text_files()
        if any(place in _read(path) for place in places) or _HOME_FOLDER.search(_read(path))
    ]

    assert not offenders, (
        "A path of one machine is in these files. Make it relative to the clone, or a setting:\n  "
        + "\n  ".join(offenders)
    )


def _defaults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Look-ups of a secret by name that bring a non-empty text along, and constants that are secrets themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _is_secret_name(node.args[0]):
            values = [
                *node.args[1:],
                *(word.value for word in node.keywords if word.arg == "default"),
            ]
            if any(_is_text(value) for value in values):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Assign) and _is_text(node.value):
            for target in node.targets:
                if isinstance(target, ast.Name) and _SECRET_NAME.search(target.id):
                    text = ast.literal_eval(node.value)
                    # The name of a setting or header is no secret.
                    if not re.fullmatch(r"HAZINA_[A-Z_]+|[a-z][a-z-]*", text):
                        yield node.lineno, ast.unparse(node)


def _is_secret_name(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.isupper()
        and bool(_SECRET_NAME.search(node.value))
        and not node.value.endswith(("_FILE", "_DIRECTORY", "_URL"))
    )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)


def _text_files() -> list[Path]:
    return [path for path in files() if path.suffix in _TEXT and path.stat().st_size < 4_000_000]


def _read(path: Path) -> str:
    return path.read_text(errors="replace")

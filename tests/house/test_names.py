"""A file is named after what it holds. Drawers attract everything and are found by nobody."""

from __future__ import annotations

from pathlib import Path

from tests.house.tree import ROOT, python_files

BANNED = {"utils", "util", "helpers", "helper", "common", "base", "manager", "models", "service"}


def test_no_file_or_folder_has_the_name_of_a_drawer() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in python_files("services", "mesh", "simulators", "bench", "tests")
        if BANNED.intersection(_names(path))
    ]

    assert not offenders, (
        "These names say nothing about what is inside. Name the file after what it does "
        "(`pages`, `masking`, `tables`):\n  " + "\n  ".join(offenders)
    )


def test_migrations_sort_by_number_and_say_when_they_run() -> None:
    offenders = []
    for path in sorted((ROOT / "services").glob("*/migrations/versions/*.py")):
        number, _, rest = path.stem.partition("_")
        phase = rest.partition("_")[0]
        if path.stem != "__init__" and not (
            number.isdigit() and len(number) == 4 and phase in {"pre", "post"}
        ):
            offenders.append(str(path.relative_to(ROOT)))

    assert not offenders, (
        "Call a migration NNNN_pre_what.py (runs under the old code) or NNNN_post_what.py:\n  "
        + "\n  ".join(offenders)
    )


def _names(path: Path) -> set[str]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return {*parts[1:], parts[-1].removeprefix("test_")}

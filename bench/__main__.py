"""`make bench`: the published performance table, measured in one run on this machine.

    python -m bench            every row
    python -m bench wrapper    only rows whose name contains the word

The table goes to the screen, and everything behind it to `bench/results/<time>.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import uvloop
from rich.console import Console
from rich.table import Table

from bench import edge, wrapper

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `rounds` are calls per second, in the order they were measured."""

    name: str
    calls_per_second: float
    rounds: list[float]
    # Against the row that `compared_with` names.
    ratio: float | None = None
    compared_with: str = ""
    p50_milliseconds: float | None = None
    p99_milliseconds: float | None = None
    notes: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("only", nargs="?", default="", help="a word: wrapper or edge")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    began = datetime.now(UTC)
    rows: list[Row] = []
    if chosen.only in "wrapper":
        rows += _wrapper_rows(chosen.rounds, chosen.seconds)
    if chosen.only in "edge":
        rows += _edge_rows(chosen.rounds, chosen.seconds)
    _print(rows)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    document = {
        "beginTime": began.isoformat(timespec="seconds"),
        "machine": {
            "cpus": len(os.sched_getaffinity(0)),
            "architecture": platform.machine(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    Console().print(
        f"[dim]{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}[/]"
    )


def _wrapper_rows(rounds: int, seconds: float) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        results = uvloop.run(
            wrapper.measure(Path(folder), rounds=rounds, seconds=seconds, at_once=32)
        )
    rates = {kind: [rate for rate, _ in measured] for kind, measured in results.items()}
    costs = {kind: median(cost for _, cost in measured) for kind, measured in results.items()}
    bare, full = median(rates["bare"]), median(rates["wrapped"])
    return [
        Row(
            "no-op RPC, bare grpc.aio with mTLS",
            bare,
            rates["bare"],
            notes={"server_cpu_microseconds": costs["bare"]},
        ),
        Row(
            "no-op RPC behind the full wrapper",
            full,
            rates["wrapped"],
            ratio=full / bare,
            compared_with="no-op RPC, bare grpc.aio with mTLS",
            notes={
                "server_cpu_microseconds": costs["wrapped"],
                # Steadier than the ratio of rates where others use the machine too.
                "server_cpu_ratio": costs["bare"] / costs["wrapped"],
            },
        ),
    ]


def _edge_rows(rounds: int, seconds: float) -> list[Row]:
    return [
        Row(
            name,
            median(part.calls_per_second for part in measured),
            [part.calls_per_second for part in measured],
            p50_milliseconds=median(part.p50_milliseconds for part in measured),
            p99_milliseconds=median(part.p99_milliseconds for part in measured),
        )
        for name, measured in edge.measure(rounds=rounds, seconds=seconds).items()
    ]


def _print(rows: list[Row]) -> None:
    table = Table("", "calls/s", "ratio", "p50 ms", "p99 ms", "server CPU", "rounds")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.calls_per_second:,.0f}",
            f"{row.ratio:.2f}" if row.ratio is not None else "",
            f"{row.p50_milliseconds:.1f}" if row.p50_milliseconds is not None else "",
            f"{row.p99_milliseconds:.1f}" if row.p99_milliseconds is not None else "",
            _cost(row),
            " · ".join(f"{rate:,.0f}" for rate in row.rounds),
        )
    Console().print(table)


def _cost(row: Row) -> str:
    cost, ratio = (row.notes.get(f"server_cpu_{name}") for name in ("microseconds", "ratio"))
    if cost is None:
        return ""
    return f"{cost:.0f} µs" + (f" ({ratio:.2f})" if ratio is not None else "")


if __name__ == "__main__":
    main()

"""How the command line looks: one console, tables without clutter, errors that end with what to do."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Where nobody looks at a terminal, lines are long enough not to break paths and addresses.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 160)


def complain(message: str) -> None:
    """Print an error."""
    errors.print(f"[bold red]✗[/] {escape(message)}")


def succeed(message: str) -> None:
    """Print what was done."""
    console.print(f"[green]✓[/] {escape(message)}")


def table(*columns: str, title: str = "") -> Table:
    """A table with a rule under its heading. A column whose name begins with `>` is aligned to the right."""
    made = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
    )
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    return made


def since(start_time: float) -> str:
    """How long ago, in one or two units."""
    seconds = max(0, int(time.time() - start_time))
    for size, unit, smaller, small in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if seconds >= size:
            return f"{seconds // size}{unit} {seconds % size // smaller}{small}"
    return f"{seconds}s"

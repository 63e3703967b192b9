"""`hazina up`, `down`, `status`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from types import FrameType

import typer
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from mesh.cli.screen import complain, console, since, succeed, table
from mesh.stack import children, logs
from mesh.stack import state as states
from mesh.stack.environment import Stack, process_environment
from mesh.stack.home import ROOT, StackError
from mesh.stack.memory import pss_bytes
from mesh.stack.state import MeshState, PartState, Phase

_MARKS = {
    Phase.WAITING: "[dim]·[/]",
    Phase.READY: "[green]✓[/]",
    Phase.STOPPED: "[dim]■[/]",
    Phase.FAILED: "[red]✗[/]",
    Phase.RESTARTING: "[yellow]↻[/]",
}
_STOP_SECONDS_MAX = 40


def up(*, foreground: bool) -> None:
    """Start the mesh, show its progress, and end with a table of addresses."""
    stack = Stack.from_environment()
    stack.home.prepare()
    running = states.supervisor_pid(stack.home)
    if running and foreground:
        raise StackError(
            f"The mesh of {stack.home.path} runs already (pid {running}). `hazina status` shows it, "
            "`hazina down` stops it."
        )
    child = None if running else _start_supervisor(stack, tied=foreground)
    try:
        state = _watch_start(stack, child)
    except KeyboardInterrupt:
        console.print("\nStopping.")
        if child is not None:
            _stop(stack, child.pid)
            _reap(child)
        raise typer.Exit(130) from None
    if state.phase is not Phase.READY:
        complain(state.message or "The mesh did not start.")
        console.print(f"[dim]Logs: {stack.home.logs}[/]")
        if child is not None:
            _reap(child)
        raise typer.Exit(1)
    _show_addresses(stack, state)
    if foreground:
        assert child is not None, "a foreground mesh is ours"
        _wait_in_foreground(stack, child)


def down() -> None:
    """Stop the mesh; returns when every process has ended."""
    stack = Stack.from_environment()
    pid = states.supervisor_pid(stack.home)
    if not pid:
        console.print(f"No mesh of {stack.home.path} is running.")
        return
    began = time.monotonic()
    _stop(stack, pid)
    succeed(f"Stopped in {time.monotonic() - began:.1f} s.")


def status(*, as_json: bool) -> None:
    """Print every part; exit status 0 only when all of it is ready."""
    stack = Stack.from_environment()
    state = states.read(stack.home)
    pid = states.supervisor_pid(stack.home)
    if state is None or not pid:
        if as_json:
            console.print_json(json.dumps({"phase": "stopped", "parts": []}))
        else:
            console.print(f"No mesh of {stack.home.path} is running. Start it with `hazina up`.")
            if state is not None and state.phase is Phase.FAILED and state.message:
                console.print(f"[dim]The last start failed:[/] {escape(state.message)}")
        raise typer.Exit(3)
    memory = {part.name: pss_bytes(part.pid) for part in state.parts if part.pid}
    own = pss_bytes(state.pid, alone=True)
    if as_json:
        document = asdict(state)
        for part in document["parts"]:
            part["pss_bytes"] = memory.get(part["name"], 0)
        document["supervisor_pss_bytes"] = own
        document["pss_bytes"] = own + sum(memory.values())
        console.print_json(json.dumps(document))
    else:
        _print_status(state, memory, own)
    if state.phase is not Phase.READY or any(p.phase is not Phase.READY for p in state.parts):
        raise typer.Exit(1)


def _print_status(state: MeshState, memory: dict[str, int], own: int) -> None:
    shown = table("", "process", "state", ">pid", ">restarts", "port", ">PSS MB", ">uptime")
    for part in state.parts:
        if part.step:
            continue
        shown.add_row(
            _MARKS.get(part.phase, "[yellow]…[/]"),
            part.name,
            part.phase.value,
            str(part.pid or ""),
            str(part.restarts),
            " ".join(str(port) for port in part.ports.values()),
            f"{memory[part.name] / 1e6:.0f}" if part.name in memory else "",
            since(part.start_time) if part.start_time else "",
        )
    shown.add_row(
        "[green]✓[/]",
        "supervisor",
        "ready",
        str(state.pid),
        "",
        "",
        f"{own / 1e6:.0f}",
        since(state.start_time),
    )
    shown.add_section()
    total = own + sum(memory.values())
    shown.add_row(
        "", "[bold]total[/]", state.phase.value, "", "", "", f"[bold]{total / 1e6:.0f}[/]", ""
    )
    console.print(shown)
    for part in state.parts:
        if part.message and part.phase is not Phase.READY:
            console.print(f"[yellow]{part.name}[/]: {escape(part.message)}")


def _start_supervisor(stack: Stack, *, tied: bool) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C reaches us alone. `tied`: it stops when this process is gone."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("HAZINA_")}
    environment = {
        **process_environment(),
        **kept,
        "HAZINA_HOME": str(stack.home.path),
        "HAZINA_PORT_BASE": str(stack.ports.base),
    }
    # The last words of an earlier mesh must not be taken for this one's.
    (stack.home.path / "state.json").unlink(missing_ok=True)
    with logs.open_log(stack.home.logs / "supervisor.log") as output:
        if tied:
            return children.start(
                [sys.executable, "-m", "mesh.stack.supervisor"],
                output=output,
                directory=ROOT,
                environment=environment,
                death_signal=signal.SIGTERM,
            )
        return subprocess.Popen(
            [sys.executable, "-m", "mesh.stack.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )


def _watch_start(stack: Stack, child: subprocess.Popen[bytes] | None) -> MeshState:
    """Show progress until the mesh is ready or has failed."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            for state in _states(stack, child):
                live.update(_progress(state))
            return state
    told: dict[str, Phase] = {}
    for state in _states(stack, child):
        for part in state.parts:
            if part.phase is not told.get(part.name) and part.phase in (
                Phase.READY,
                Phase.RESTARTING,
            ):
                told[part.name] = part.phase
                console.print(
                    f"{part.name}: {part.phase.value} {part.message}".rstrip(), markup=False
                )
    return state


def _states(stack: Stack, child: subprocess.Popen[bytes] | None) -> Iterator[MeshState]:
    """What the supervisor says, until the start has succeeded or failed; the last one yielded says which."""
    state, seen = MeshState(), 0
    file = stack.home.path / "state.json"
    while True:
        ended = child.poll() if child is not None else None
        changed = file.stat().st_mtime_ns if file.exists() else 0
        if changed != seen:
            seen, state = changed, states.read(stack.home) or state
        if ended is not None and state.phase is not Phase.FAILED:
            output = logs.tail(stack.home.logs / "supervisor.log", 6)
            state.phase = Phase.FAILED
            state.message = f"The supervisor ended with status {ended}.\n{output}"
        if child is None and not states.supervisor_pid(stack.home):
            state.phase = Phase.FAILED
        yield state
        if state.phase is Phase.READY:
            return
        if state.phase is Phase.FAILED and (ended is not None or child is None):
            return
        time.sleep(0.1)


def _progress(state: MeshState) -> Table:
    shown = Table.grid(padding=(0, 1))
    for part in state.parts:
        mark = _MARKS.get(part.phase) or Spinner("dots")
        shown.add_row(
            mark,
            part.name,
            f"[dim]{part.phase.value} {escape(_first_line(part.message))}[/]",
        )
    if not state.parts:
        shown.add_row(Spinner("dots"), "certificates, keys, Envoy's files", "")
    elif state.message:
        shown.add_row(Spinner("dots"), escape(_first_line(state.message)), "")
    return shown


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _show_addresses(stack: Stack, state: MeshState) -> None:
    ports = stack.ports
    names = {part.name for part in state.parts}
    rows: list[tuple[str, str]] = []
    if "envoy" in names:
        edge = f"http://127.0.0.1:{ports.edge}"
        rows += [
            ("HTTP, gRPC, gRPC-Web", edge),
            ("the same with TLS", f"https://localhost:{ports.edge_tls}"),
            ("API reference", f"{edge}/docs"),
            ("OpenAPI document", f"{edge}/openapi.json"),
            ("mesh listener (mTLS, reflection)", f"127.0.0.1:{ports.mesh}"),
        ]
    if "mail" in names:
        rows.append(("development mail", f"http://127.0.0.1:{ports.mail_viewer}"))
    if "sms" in names:
        rows.append(("SMS simulator", f"http://127.0.0.1:{ports.sms}"))
    if "mobile-money" in names:
        rows.append(("mobile money simulator", f"http://127.0.0.1:{ports.mobile_money}"))
    if "postgres" in names:
        rows.append(
            (
                "Postgres",
                f"127.0.0.1:{ports.postgres}, password in {stack.home.path}/secrets/postgres",
            )
        )
    if "valkey" in names:
        rows.append(
            ("Valkey", f"127.0.0.1:{ports.valkey}, password in {stack.home.path}/secrets/valkey")
        )
    rows += [
        ("operator's certificate", str(stack.home.certificates / "ops")),
        ("logs", str(stack.home.logs)),
    ]
    shown = table("", "")
    shown.show_header = False
    for name, address in rows:
        shown.add_row(f"[dim]{name}[/]", address)
    succeed(f"The mesh is ready ({state.ready_seconds:.1f} s).")
    console.print(shown)
    console.print(
        "[dim]Next: `hazina demo` plays the whole story, `hazina status` shows every process.[/]"
    )


def _wait_in_foreground(stack: Stack, child: subprocess.Popen[bytes]) -> None:
    """Stay until Ctrl-C or SIGTERM; tell of restarts meanwhile."""
    console.print("[dim]Ctrl-C stops everything.[/]")

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    told: dict[str, int] = {}
    try:
        while child.poll() is None:
            state = states.read(stack.home)
            for part in state.parts if state else []:
                _tell_restart(part, told)
            time.sleep(0.3)
    except KeyboardInterrupt:
        console.print("\nStopping.")
        began = time.monotonic()
        try:
            _stop(stack, child.pid, child)
        except KeyboardInterrupt:
            child.kill()  # its children are tied to it
        _reap(child)
        succeed(f"Stopped in {time.monotonic() - began:.1f} s.")
        return
    complain(
        f"The supervisor ended (status {child.returncode}). Its log: {stack.home.logs / 'supervisor.log'}"
    )
    raise typer.Exit(1)


def _tell_restart(part: PartState, told: dict[str, int]) -> None:
    if part.restarts > told.get(part.name, 0):
        told[part.name] = part.restarts
        console.print(
            f"{time.strftime('%H:%M:%S')} {part.name} {part.message or 'was restarted'}",
            markup=False,
        )


def _stop(stack: Stack, pid: int, child: subprocess.Popen[bytes] | None = None) -> None:
    """Ask the supervisor to stop and wait until it has."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise StackError(
            f"The mesh (pid {pid}) belongs to another user; they, or root, can stop it."
        ) from error
    until = time.monotonic() + _STOP_SECONDS_MAX
    while time.monotonic() < until:
        if child is not None and child.poll() is not None:
            return
        if not states.supervisor_pid(stack.home):
            return
        time.sleep(0.05)
    raise StackError(
        f"The supervisor (pid {pid}) did not stop within {_STOP_SECONDS_MAX} s. `kill -9 {pid}` ends it and all its processes."
    )


def _reap(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=10)

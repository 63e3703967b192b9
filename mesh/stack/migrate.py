"""`python -m mesh.stack.migrate`: database, roles, schemas, then every service's migrations. A process of its own,
so that the supervisor does not keep the migration tools in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

from mesh.stack.database import bootstrap
from mesh.stack.environment import Stack
from mesh.stack.home import ROOT
from mesh.stack.ports import SERVICES


def digest(stack: Stack) -> str:
    """Changes with anything that the result of a migration run depends on."""
    summary = hashlib.sha256()
    files = [
        *sorted((ROOT / "services").glob("*/migrations/**/*.py")),
        *sorted((ROOT / "services" / "kit").rglob("*.py")),
        ROOT / "mesh" / "stack" / "database.py",
    ]
    for path in files:
        summary.update(str(path.relative_to(ROOT)).encode())
        summary.update(path.read_bytes())
    for role, password in sorted(stack.role_passwords().items()):
        summary.update(f"{role}={password}".encode())
    return summary.hexdigest()


def main(stack: Stack) -> None:
    """Run all of it; safe to repeat."""
    from services.kit import (
        migrations,
    )  # here, because the supervisor imports this module for `is_done` alone

    asyncio.run(bootstrap(stack.admin_url, SERVICES, stack.role_passwords()))
    for service in SERVICES:
        print(f"migrating {service}", flush=True)
        migrations.upgrade(service, stack.owner_url(service))


def remember(note: Path, stack: Stack) -> None:
    """Note beside the data that this state of the migrations has been reached."""
    note.write_text(digest(stack) + "\n")


def is_done(note: Path, stack: Stack) -> bool:
    """Whether `remember` noted exactly this state."""
    return note.exists() and note.read_text().strip() == digest(stack)


if __name__ == "__main__":
    main(Stack.from_environment(os.environ))
    sys.exit(0)

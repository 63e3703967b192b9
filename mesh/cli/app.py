"""The commands and what they say about themselves. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="hazina",
    help="Run, watch and debug a mesh of Hazina services.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
events = typer.Typer(
    help="Event streams: what waits, what failed, and sending it again.",
    invoke_without_command=True,
)
keys = typer.Typer(help="The keys that sign access tokens.", invoke_without_command=True)
certs = typer.Typer(help="The certificates of the mesh.", invoke_without_command=True)
tenant = typer.Typer(help="Tenants.", invoke_without_command=True)
member = typer.Typer(help="Members of a tenant and their roles.", no_args_is_help=True)
app.add_typer(events, name="events")
app.add_typer(keys, name="keys")
app.add_typer(certs, name="certs")
app.add_typer(tenant, name="tenant")
app.add_typer(member, name="member")


@events.callback()
def events_default(context: typer.Context) -> None:
    """Event streams: what waits, what failed, and sending it again."""
    if context.invoked_subcommand is None:
        events_list()


@keys.callback()
def keys_default(context: typer.Context) -> None:
    """The keys that sign access tokens."""
    if context.invoked_subcommand is None:
        keys_list()


@certs.callback()
def certs_default(context: typer.Context) -> None:
    """The certificates of the mesh."""
    if context.invoked_subcommand is None:
        certs_list()


@tenant.callback()
def tenant_default(context: typer.Context) -> None:
    """Tenants."""
    if context.invoked_subcommand is None:
        tenant_list()


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    SMS = "sms"
    ALL = "all"


@app.command()
def up(
    foreground: Annotated[
        bool, typer.Option("--foreground", "-f", help="Stay here; Ctrl-C stops the mesh.")
    ] = False,
) -> None:
    """Start the mesh; it is ready when this returns."""
    from mesh.cli import running

    running.up(foreground=foreground)


@app.command()
def down() -> None:
    """Stop the mesh and everything that belongs to it."""
    from mesh.cli import running

    running.down()


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every process: state, pid, restarts, ports, memory (PSS) and uptime."""
    from mesh.cli import running

    running.status(as_json=as_json)


@app.command()
def demo(
    grpc: Annotated[bool, typer.Option("--grpc", help="Over gRPC instead of HTTP/JSON.")] = False,
    url: Annotated[str, typer.Option(help="Another edge, e.g. https://localhost:8081.")] = "",
) -> None:
    """Play a story: two people sign up, put in, pay, take out, and the books agree."""
    from mesh.cli import story

    story.play(grpc=grpc, url=url)


@app.command()
def inbox(
    recipient: Annotated[
        str, typer.Argument(help="E-mail address or phone; everyone if left out.")
    ] = "",
    channel: Annotated[Channel, typer.Option(help="Only these.")] = Channel.ALL,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 20,
    code: Annotated[bool, typer.Option("--code", help="Print only the newest code.")] = False,
) -> None:
    """Show what the development mail server and the SMS simulator received, newest first."""
    from mesh.cli import inbox as room

    room.show(recipient, channel=channel.value, limit=limit, code_only=code)


@events.command("list")
def events_list() -> None:
    """Show streams, consumer groups, what waits, and dead letters."""
    from mesh.cli import streams

    streams.show()


@events.command("dead")
def events_dead(
    service: Annotated[
        str, typer.Argument(help="The consumer, e.g. wallet; all if left out.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 20,
) -> None:
    """Show events that a consumer gave up on, and why."""
    from mesh.cli import streams

    streams.dead(service, limit=limit)


@events.command("redrive")
def events_redrive(
    service: Annotated[str, typer.Argument(help="The consumer whose dead letters are sent again.")],
    entry: Annotated[str, typer.Option("--id", help="Only this entry of the dead letters.")] = "",
) -> None:
    """Send dead letters to their consumer again; effects stay once."""
    from mesh.cli import streams

    streams.redrive(service, entry=entry)


@keys.command("list")
def keys_list() -> None:
    """Show every key, its state and since when."""
    from mesh.cli import secrets

    secrets.show_keys()


@keys.command("rotate")
def keys_rotate() -> None:
    """Publish a new key, wait until everyone has it, sign with it. The old one is dropped 16 minutes later."""
    from mesh.cli import secrets

    secrets.rotate_keys()


@certs.command("list")
def certs_list() -> None:
    """Show every certificate and how long it lives."""
    from mesh.cli import secrets

    secrets.show_certificates()


@certs.command("rotate")
def certs_rotate(
    authority: Annotated[
        bool,
        typer.Option("--authority", help="Also replace the authority: trust two, reissue, drop."),
    ] = False,
) -> None:
    """Issue new certificates while everything runs."""
    from mesh.cli import secrets

    secrets.rotate_certificates(authority=authority)


@tenant.command("add")
def tenant_add(
    slug: Annotated[str, typer.Argument(help="Lower-case letters, digits and dashes, e.g. umoja.")],
    name: Annotated[str, typer.Option(help="What people read.")] = "",
) -> None:
    """Make a tenant."""
    from mesh.cli import tenants

    tenants.add(slug, name=name)


@tenant.command("list")
def tenant_list() -> None:
    """Show the tenants."""
    from mesh.cli import tenants

    tenants.show()


@member.command("add")
def member_add(
    tenant_slug: Annotated[str, typer.Argument(metavar="TENANT")],
    identifier: Annotated[
        str, typer.Argument(help="E-mail address or phone of a person who signed up.")
    ],
    role: Annotated[
        list[str] | None, typer.Option(help="member, staff or admin; may be repeated.")
    ] = None,
) -> None:
    """Make a person a member of a tenant, or change their roles there."""
    from mesh.cli import tenants

    tenants.add_member(tenant_slug, identifier, roles=role or ["member"])


@member.command("list")
def member_list(
    tenant_slug: Annotated[str, typer.Argument(metavar="TENANT")],
) -> None:
    """Show the members of a tenant."""
    from mesh.cli import tenants

    tenants.show_members(tenant_slug)


@app.command()
def call(
    method: Annotated[
        str,
        typer.Argument(help="Package.Service/Method, or the end of it; a part of a name lists."),
    ] = "",
    request: Annotated[
        str, typer.Argument(help="The request as JSON; @file reads a file, - reads stdin.")
    ] = "{}",
    token: Annotated[
        str,
        typer.Option(
            help="Access token: go through the edge as this person.", envvar="HAZINA_TOKEN"
        ),
    ] = "",
    identity: Annotated[
        str, typer.Option("--as", help="Identity whose certificate is shown to the mesh.")
    ] = "ops",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="name: value; may be repeated.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Deadline in seconds.")] = 10,
    describe: Annotated[
        bool, typer.Option("--describe", help="Show the contract instead of calling.")
    ] = False,
) -> None:
    """Call any RPC: JSON in, JSON out. Without a token through the mesh listener as `ops`."""
    from mesh.cli import calling

    calling.call(
        method,
        request,
        token=token,
        identity=identity,
        headers=header or [],
        timeout_seconds=timeout,
        describe=describe,
    )


@app.command("new-service")
def new_service(
    name: Annotated[str, typer.Argument(help="One lower-case word, e.g. loans.")],
    root: Annotated[Path | None, typer.Option(help="Another clone.", hidden=True)] = None,
) -> None:
    """Make the skeleton of a service: contract, handlers, migration, tests; healthy after `make gen` and a restart."""
    from mesh.cli import new_service as room

    room.make(name, root=root)


def main() -> None:
    """Run; what goes wrong is told in words, with what to do next."""
    try:
        sys.exit(app(prog_name="hazina", standalone_mode=False) or 0)
    except typer.Exit as leaving:
        sys.exit(leaving.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        code = tell(error)
        if code is None:
            raise
        sys.exit(code)


def tell(error: Exception) -> int | None:
    """Print an error that is meant for people and answer the exit status; None for a mistake of ours."""
    from mesh.cli.screen import complain
    from mesh.stack.home import StackError

    if hasattr(error, "format_message"):  # click's own: a wrong option and such
        complain(str(error.format_message()))
        return 2
    if isinstance(error, StackError | ValueError):
        complain(str(error))
        return 1
    return None

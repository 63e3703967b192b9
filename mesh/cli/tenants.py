"""`hazina tenant` and `hazina member`: through auth's RPCs, as the operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mesh.cli.clients import GrpcClient
from mesh.cli.screen import console, succeed, table
from mesh.stack.environment import Stack

_SERVICE = "hazina.auth.v1.TenantService"


def add(slug: str, *, name: str) -> None:
    """Make a tenant."""
    _client().call(
        f"{_SERVICE}.CreateTenant",
        {"tenantId": slug, "displayName": name or slug.replace("-", " ").title()},
    )
    succeed(
        f"Tenant {slug} is there. `hazina member add {slug} someone@example.com --role admin` gives it an admin."
    )


def show() -> None:
    """List all tenants."""
    shown = table("tenant", "name", "since")
    for tenant in _pages("ListTenants", {}, "tenants"):
        shown.add_row(tenant["id"], tenant["displayName"], str(tenant.get("createTime", ""))[:19])
    console.print(shown)


def add_member(tenant: str, identifier: str, *, roles: Sequence[str]) -> None:
    """Give a person roles in a tenant."""
    answer = _client().call(
        f"{_SERVICE}.AddMember",
        {"tenantId": tenant, "identifier": identifier, "roles": list(roles)},
    )
    member = answer["member"]
    succeed(f"{member['displayName']} is {', '.join(member['roles'])} in {tenant}.")
    console.print("[dim]It counts from their next sign-in or token refresh.[/]")


def show_members(tenant: str) -> None:
    """List the members of a tenant."""
    shown = table("name", "identifier", "roles", "user id")
    for member in _pages("ListMembers", {"tenantId": tenant}, "members"):
        shown.add_row(
            member["displayName"],
            member["maskedIdentifier"],
            " ".join(member["roles"]),
            member["userId"],
        )
    console.print(shown)


def _client() -> GrpcClient:
    return GrpcClient.mesh(Stack.from_environment())


def _pages(rpc: str, request: Mapping[str, Any], field: str) -> Iterator[dict[str, Any]]:
    client, token = _client(), ""
    while True:
        answer = client.call(f"{_SERVICE}.{rpc}", {**request, "pageSize": 100, "pageToken": token})
        yield from answer[field]
        token = answer["nextPageToken"]
        if not token:
            return

"""What other services ask about people, and what operators do with tenants and members."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.auth import domain
from services.auth.domain import Identifier, Member, Person, Tenant
from services.auth.errors import RoleNotFound, TenantExists, UserNotFound
from services.auth.operations.desk import EVERYWHERE, Desk
from services.auth.store import people, sessions, tenants
from services.kit.errors import TenantNotFound
from services.kit.identity import DEFAULT_TENANT

_DEFAULT_TENANT_NAME = "Hazina"


async def resolve_user(desk: Desk, *, tenant_id: str, identifier: Identifier) -> Person:
    """The person of this tenant that an identifier belongs to. Raises UserNotFound, whoever else may have it."""
    async with desk.database.unit(tenant_id) as session:
        person = await people.find_in_tenant(session, tenant_id, identifier)
    if person is None:
        raise UserNotFound
    return person


async def batch_get_users(
    desk: Desk, *, tenant_id: str, user_ids: Sequence[UUID]
) -> Sequence[Person]:
    """Those of these people that belong to this tenant."""
    async with desk.database.unit(tenant_id) as session:
        return await people.read_in_tenant(session, tenant_id, user_ids)


async def prepare_tenants(desk: Desk, bundles: Mapping[str, Sequence[str]]) -> None:
    """At start: the first tenant exists, and the roles of all tenants hold what the contracts say."""
    async with desk.database.unit(EVERYWHERE, actor="system") as session:
        first = Tenant(DEFAULT_TENANT, _DEFAULT_TENANT_NAME, desk.clock.now())
        await tenants.add(session, first)
        await tenants.put_roles(session, bundles, tenant_id=None)


async def create_tenant(
    desk: Desk, *, tenant_id: str, display_name: str, bundles: Mapping[str, Sequence[str]]
) -> Tenant:
    """Make a tenant with its roles. Raises TenantExists."""
    tenant = Tenant(tenant_id, display_name, desk.clock.now())
    async with desk.database.unit(tenant_id) as session:
        if not await tenants.add(session, tenant):
            raise TenantExists
        await tenants.put_roles(session, bundles, tenant_id=tenant_id)
    return tenant


async def list_tenants(desk: Desk, *, after: str, count: int) -> Sequence[Tenant]:
    """Tenants by id."""
    async with desk.database.unit(None) as session:
        return await tenants.list_all(session, after=after, count=count)


async def add_member(
    desk: Desk, *, tenant_id: str, identifier: Identifier, roles: Sequence[str], actor: str
) -> Member:
    """Give a verified person roles, and a place where they had none. Raises TenantNotFound, RoleNotFound, UserNotFound."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE, actor=actor) as session:
        if not await tenants.exists(session, tenant_id):
            raise TenantNotFound
        unknown = set(roles) - await tenants.known_roles(session, tenant_id, roles)
        if unknown:
            raise RoleNotFound(role=min(unknown))
        person = await people.find_by_identifier(session, identifier, locked=True)
        if person is None:
            raise UserNotFound
        place = next((one for one in person.places if one.tenant_id == tenant_id), None)
        held = domain.added_roles(place.roles if place else (), roles)
        joined = await people.put_place(session, tenant_id, person.id, held, now)
        if place is None:
            person = replace(person, version=person.version + 1)
            await people.change_profile(session, person)
            await desk.news.member_added(session, person, tenant_id, actor, now)
    return Member(person.id, person.display_name, person.email, person.phone, held, joined)


async def list_members(
    desk: Desk, *, tenant_id: str, after: tuple[datetime, UUID] | None, count: int
) -> Sequence[Member]:
    """People of a tenant by the time they joined. Raises TenantNotFound."""
    async with desk.database.unit(tenant_id) as session:
        if not await tenants.exists(session, tenant_id):
            raise TenantNotFound
        return await tenants.list_members(session, tenant_id, after=after, count=count)


async def suspend_user(desk: Desk, *, identifier: Identifier, note: str, actor: str) -> None:
    """End all sessions of a person and give out no more tokens. Raises UserNotFound."""
    now = desk.clock.now()
    async with desk.database.unit(EVERYWHERE, actor=actor) as session:
        person = await people.find_by_identifier(session, identifier, locked=True)
        if person is None:
            raise UserNotFound
        if person.suspend_time is not None:
            return
        await people.set_suspension(
            session,
            person.id,
            suspension_id=desk.clock.new_id(),
            is_suspended=True,
            note=note,
            actor=actor,
            now=now,
        )
        await sessions.end_all(session, person.id, reason="suspension", now=now)


async def unsuspend_user(desk: Desk, *, identifier: Identifier, note: str, actor: str) -> None:
    """Let a suspended person in again. Raises UserNotFound."""
    async with desk.database.unit(EVERYWHERE, actor=actor) as session:
        person = await people.find_by_identifier(session, identifier, locked=True)
        if person is None:
            raise UserNotFound
        if person.suspend_time is None:
            return
        await people.set_suspension(
            session,
            person.id,
            suspension_id=desk.clock.new_id(),
            is_suspended=False,
            note=note,
            actor=actor,
            now=desk.clock.now(),
        )

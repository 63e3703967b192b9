"""Tenants, their roles and members."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from services.auth.domain import Member, Tenant
from services.kit.database import Session

_EXISTS = text("SELECT 1 FROM tenant WHERE id = :id")
_ADD = text(
    "INSERT INTO tenant (id, display_name, create_time) VALUES (:id, :display_name, :now)"
    " ON CONFLICT DO NOTHING RETURNING 1"
)
_LIST = text(
    "SELECT id, display_name, create_time FROM tenant WHERE id > :after ORDER BY id LIMIT :count"
)
_PUT_ROLE = text(
    "INSERT INTO role (tenant_id, name, permissions) SELECT t.id, CAST(:name AS text), CAST(:permissions AS text[])"
    " FROM tenant t"
    " WHERE CAST(:tenant_id AS text) IS NULL OR t.id = CAST(:tenant_id AS text)"
    " ON CONFLICT (tenant_id, name) DO UPDATE SET permissions = excluded.permissions"
    " WHERE role.permissions <> excluded.permissions"
)
_ROLE_NAMES = text("SELECT name FROM role WHERE tenant_id = :tenant_id AND name = ANY (:names)")
_MEMBERS = text(
    """
SELECT m.user_id, m.roles, m.create_time, u.display_name,
  coalesce((SELECT i.value FROM identifier i WHERE i.user_id = u.id AND i.kind = 'email'), '') AS email,
  coalesce((SELECT i.value FROM identifier i WHERE i.user_id = u.id AND i.kind = 'phone'), '') AS phone
FROM membership m JOIN user_account u ON u.id = m.user_id
WHERE m.tenant_id = :tenant_id
  AND (CAST(:after_id AS uuid) IS NULL OR (m.create_time, m.user_id) > (:after_time, :after_id))
ORDER BY m.create_time, m.user_id LIMIT :count
"""
)


async def exists(session: Session, tenant_id: str) -> bool:
    """Whether there is such a tenant."""
    return await session.scalar(_EXISTS, {"id": tenant_id}) is not None


async def add(session: Session, tenant: Tenant) -> bool:
    """Store a tenant; False when there is one of this id."""
    parameters = {"id": tenant.id, "display_name": tenant.display_name, "now": tenant.create_time}
    return await session.scalar(_ADD, parameters) is not None


async def put_roles(
    session: Session, bundles: Mapping[str, Sequence[str]], *, tenant_id: str | None
) -> None:
    """Store permission bundles of a tenant; None means all tenants, which need a unit of all tenants."""
    for name, permissions in bundles.items():
        parameters = {"name": name, "permissions": list(permissions), "tenant_id": tenant_id}
        await session.execute(_PUT_ROLE, parameters)


async def known_roles(session: Session, tenant_id: str, names: Sequence[str]) -> set[str]:
    """Those of these names that are roles of the tenant."""
    parameters = {"tenant_id": tenant_id, "names": list(names)}
    return {row.name for row in await session.execute(_ROLE_NAMES, parameters)}


async def list_all(session: Session, *, after: str, count: int) -> list[Tenant]:
    """Tenants by id, behind `after`."""
    rows = await session.execute(_LIST, {"after": after, "count": count})
    return [Tenant(row.id, row.display_name, row.create_time) for row in rows]


async def list_members(
    session: Session, tenant_id: str, *, after: tuple[datetime, UUID] | None, count: int
) -> list[Member]:
    """People of a tenant by the time they joined, behind `after`."""
    after_time, after_id = after or (None, None)
    parameters = {
        "tenant_id": tenant_id,
        "after_time": after_time,
        "after_id": after_id,
        "count": count,
    }
    return [
        Member(
            row.user_id, row.display_name, row.email, row.phone, tuple(row.roles), row.create_time
        )
        for row in await session.execute(_MEMBERS, parameters)
    ]

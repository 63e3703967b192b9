"""People, their identifiers, places, secrets and suspensions."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from services.auth.domain import Credential, Identifier, Person, Place, SignUp
from services.kit.database import Session

_PERSON = """
SELECT u.id, u.display_name, u.locale, u.kyc_tier, u.default_tenant_id, u.version, u.create_time, u.suspend_time,
  coalesce((SELECT i.value FROM identifier i WHERE i.user_id = u.id AND i.kind = 'email'), '') AS email,
  coalesce((SELECT i.value FROM identifier i WHERE i.user_id = u.id AND i.kind = 'phone'), '') AS phone,
  EXISTS (SELECT 1 FROM totp t WHERE t.user_id = u.id AND t.confirm_time IS NOT NULL) AS totp_enabled,
  (SELECT coalesce(json_agg(json_build_object(
      'tenant_id', m.tenant_id, 'roles', m.roles, 'permissions',
      ARRAY(SELECT DISTINCT p FROM role r, unnest(r.permissions) p
        WHERE r.tenant_id = m.tenant_id AND r.name = ANY (m.roles) ORDER BY p)
    ) ORDER BY m.tenant_id), '[]') FROM membership m WHERE m.user_id = u.id)::text AS places
FROM user_account u
"""
_BY_ID = text(_PERSON + " WHERE u.id = :user_id")
_BY_ID_SHARED = text(_PERSON + " WHERE u.id = :user_id FOR SHARE OF u")
_BY_ID_LOCKED = text(_PERSON + " WHERE u.id = :user_id FOR UPDATE OF u")
_BY_IDENTIFIER = text(
    _PERSON + " WHERE u.id = (SELECT i.user_id FROM identifier i WHERE i.value = :value)"
)
_BY_IDENTIFIER_LOCKED = text(
    _PERSON
    + " WHERE u.id = (SELECT i.user_id FROM identifier i WHERE i.value = :value) FOR UPDATE OF u"
)
# People of one tenant. The wall hides all others, and the join says so once more.
_IN_TENANT = (
    _PERSON + " JOIN membership place ON place.user_id = u.id AND place.tenant_id = :tenant_id"
)
_IN_TENANT_BY_IDENTIFIER = text(
    _IN_TENANT + " WHERE u.id = (SELECT i.user_id FROM identifier i WHERE i.value = :value)"
)
_IN_TENANT_BY_IDS = text(_IN_TENANT + " WHERE u.id = ANY (:user_ids)")
# A range and not LIKE: behind a wall, indexes serve only operators that cannot leak. U+10FFFF comes after every name.
_SEARCH = text(
    _IN_TENANT
    + """
 WHERE (u.name_key >= lower(CAST(:name AS text)) AND u.name_key < lower(CAST(:name AS text)) || U&'\\+10FFFF'
     OR u.id = (SELECT i.user_id FROM identifier i WHERE i.value = :value))
   AND (CAST(:after_id AS uuid) IS NULL
     OR (u.name_key, u.id) > (lower(CAST(:after_name AS text)) COLLATE "C", CAST(:after_id AS uuid)))
 ORDER BY u.name_key, u.id LIMIT :count"""
)


async def find(
    session: Session, user_id: UUID, *, shared: bool = False, locked: bool = False
) -> Person | None:
    """A person by id. `shared` keeps them from being suspended, `locked` from any change, until the unit ends."""
    statement = _BY_ID_LOCKED if locked else _BY_ID_SHARED if shared else _BY_ID
    row = (await session.execute(statement, {"user_id": user_id})).mappings().one_or_none()
    return None if row is None else _person(row)


async def find_by_identifier(
    session: Session, identifier: Identifier, *, locked: bool = False
) -> Person | None:
    """The person that an identifier belongs to, wherever they are."""
    statement = _BY_IDENTIFIER_LOCKED if locked else _BY_IDENTIFIER
    row = (await session.execute(statement, {"value": identifier.value})).mappings().one_or_none()
    return None if row is None else _person(row)


async def find_in_tenant(session: Session, tenant_id: str, identifier: Identifier) -> Person | None:
    """The person of this tenant that an identifier belongs to."""
    parameters = {"tenant_id": tenant_id, "value": identifier.value}
    row = (await session.execute(_IN_TENANT_BY_IDENTIFIER, parameters)).mappings().one_or_none()
    return None if row is None else _person(row)


async def read_in_tenant(
    session: Session, tenant_id: str, user_ids: Sequence[UUID]
) -> list[Person]:
    """Those of these people that belong to this tenant, in no order."""
    parameters = {"tenant_id": tenant_id, "user_ids": list(user_ids)}
    return [
        _person(row) for row in (await session.execute(_IN_TENANT_BY_IDS, parameters)).mappings()
    ]


async def search(
    session: Session,
    tenant_id: str,
    *,
    name: str,
    identifier: Identifier,
    after: tuple[str, UUID] | None,
    count: int,
) -> list[Person]:
    """People of the tenant whose name begins with `name`, or who have exactly this identifier; by name, then id.

    `after` is the name and the id that the page begins behind.
    """
    after_name, after_id = after or ("", None)
    parameters = {
        "tenant_id": tenant_id,
        "name": name,
        "value": identifier.value,
        "after_name": after_name,
        "after_id": after_id,
        "count": count,
    }
    return [_person(row) for row in (await session.execute(_SEARCH, parameters)).mappings()]


_ADD = text(
    """
WITH account AS (
  INSERT INTO user_account (id, display_name, locale, default_tenant_id, version, create_time)
  VALUES (:id, :display_name, :locale, :tenant_id, 1, :sign_up_time)),
secret AS (
  INSERT INTO credential (user_id, kind, hash, update_time) VALUES (:id, :secret_kind, :secret_hash, :now)),
place AS (
  INSERT INTO membership (tenant_id, user_id, roles, create_time) VALUES (:tenant_id, :id, :roles, :now))
INSERT INTO identifier (value, kind, user_id, verify_time) VALUES (:value, :kind, :id, :now)
ON CONFLICT DO NOTHING RETURNING 1
"""
)


async def add(
    session: Session, sign_up: SignUp, *, tenant_id: str, roles: Sequence[str], now: datetime
) -> bool:
    """Make the person of a sign-up, with a first place. False when somebody else has the identifier: then roll back."""
    added = await session.scalar(
        _ADD,
        {
            "id": sign_up.id,
            "display_name": sign_up.display_name,
            "locale": sign_up.locale,
            "tenant_id": tenant_id,
            "sign_up_time": sign_up.create_time,
            "now": now,
            "secret_kind": sign_up.secret_kind,
            "secret_hash": sign_up.secret_hash,
            "roles": list(roles),
            "value": sign_up.identifier.value,
            "kind": sign_up.identifier.kind,
        },
    )
    return added is not None


_CHANGE = text(
    "UPDATE user_account SET display_name = :display_name, locale = :locale, version = :version WHERE id = :id"
)


async def change_profile(session: Session, person: Person) -> None:
    """Store name, locale and version."""
    await session.execute(
        _CHANGE,
        {
            "display_name": person.display_name,
            "locale": person.locale,
            "version": person.version,
            "id": person.id,
        },
    )


_PUT_PLACE = text(
    "INSERT INTO membership (tenant_id, user_id, roles, create_time) VALUES (:tenant_id, :user_id, :roles, :now)"
    " ON CONFLICT (tenant_id, user_id) DO UPDATE SET roles = excluded.roles RETURNING create_time"
)


async def put_place(
    session: Session, tenant_id: str, user_id: UUID, roles: Sequence[str], now: datetime
) -> datetime:
    """Store a person's roles in a tenant; answers since when they have a place there."""
    parameters = {"tenant_id": tenant_id, "user_id": user_id, "roles": list(roles), "now": now}
    joined = await session.scalar(_PUT_PLACE, parameters)
    assert isinstance(joined, datetime)
    return joined


_SUSPEND = text("UPDATE user_account SET suspend_time = :suspend_time WHERE id = :user_id")
_NOTE = text(
    "INSERT INTO suspension (id, user_id, kind, note, actor, create_time)"
    " VALUES (:id, :user_id, :kind, :note, :actor, :now)"
)


async def set_suspension(
    session: Session,
    user_id: UUID,
    *,
    suspension_id: UUID,
    is_suspended: bool,
    note: str,
    actor: str,
    now: datetime,
) -> None:
    """Suspend a person or let them in again, with the reason."""
    parameters = {"user_id": user_id, "suspend_time": now if is_suspended else None}
    await session.execute(_SUSPEND, parameters)
    kind = "suspend" if is_suspended else "unsuspend"
    await session.execute(
        _NOTE,
        {
            "id": suspension_id,
            "user_id": user_id,
            "kind": kind,
            "note": note,
            "actor": actor,
            "now": now,
        },
    )


# A verified person comes before sign-ups that wait for their code; of those, only the newest can log in.
_CREDENTIAL = text(
    """
SELECT i.user_id, c.kind, c.hash, true AS is_verified
FROM identifier i JOIN credential c ON c.user_id = i.user_id WHERE i.value = :value
UNION ALL
(SELECT s.id, s.secret_kind, s.secret_hash, false FROM sign_up s WHERE s.identifier = :value
 ORDER BY s.create_time DESC LIMIT 1)
ORDER BY is_verified DESC LIMIT 1
"""
)
_SAME_CREDENTIAL = text(
    "SELECT 1 FROM credential WHERE user_id = :user_id AND hash = :hash FOR SHARE"
)
_SET_CREDENTIAL = text(
    "UPDATE credential SET kind = :kind, hash = :hash, update_time = :now WHERE user_id = :user_id"
)
_REHASH = text("UPDATE credential SET hash = :hash WHERE user_id = :user_id AND hash = :old_hash")


async def find_credential(session: Session, identifier: Identifier) -> Credential | None:
    """What the secret of this identifier is compared with."""
    parameters = {"value": identifier.value}
    row = (await session.execute(_CREDENTIAL, parameters)).one_or_none()
    return None if row is None else Credential(row.user_id, row.kind, row.hash, row.is_verified)


async def still_has_credential(session: Session, credential: Credential) -> bool:
    """Whether the secret was not changed meanwhile; it cannot be until the unit ends."""
    parameters = {"user_id": credential.user_id, "hash": credential.hash}
    return await session.scalar(_SAME_CREDENTIAL, parameters) is not None


async def set_credential(
    session: Session, user_id: UUID, *, kind: str, secret_hash: str, now: datetime
) -> None:
    """Replace a person's secret."""
    await session.execute(
        _SET_CREDENTIAL, {"user_id": user_id, "kind": kind, "hash": secret_hash, "now": now}
    )


async def replace_hash(session: Session, credential: Credential, new_hash: str) -> None:
    """Store the same secret hashed with newer parameters, unless the secret was changed meanwhile."""
    parameters = {"user_id": credential.user_id, "old_hash": credential.hash, "hash": new_hash}
    await session.execute(_REHASH, parameters)


def _person(row: RowMapping) -> Person:
    places: list[dict[str, Any]] = json.loads(row["places"])
    return Person(
        id=row["id"],
        display_name=row["display_name"],
        email=row["email"],
        phone=row["phone"],
        locale=row["locale"],
        kyc_tier=row["kyc_tier"],
        totp_enabled=row["totp_enabled"],
        default_tenant_id=row["default_tenant_id"],
        version=row["version"],
        create_time=row["create_time"],
        suspend_time=row["suspend_time"],
        places=tuple(
            Place(place["tenant_id"], tuple(place["roles"]), tuple(place["permissions"]))
            for place in places
        ),
    )

"""What is asked of the database, by itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.auth.domain import Identifier, Limit
from services.auth.store import codes, people, sessions, tenants
from services.kit.database import ALL_TENANTS, Database
from tests.factories.auth import Auth

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
async def database(auth: Auth) -> Any:
    """The service's own view of its database."""
    database = Database(auth.database_url, schema="auth", application_name="test")
    yield database
    await database.close()


async def test_a_window_begins_with_the_first_try_and_then_again(database: Database) -> None:
    limit = Limit(5, timedelta(seconds=60))
    seen = []
    async with database.unit(ALL_TENANTS) as session:
        for seconds in (0, 10, 59, 60, 61, 200):
            now = NOW + timedelta(seconds=seconds)
            near, far = await codes.count_try(
                session, [(b"near", limit), (b"far", Limit(9, timedelta(hours=1)))], now
            )
            seen.append((near.count, (near.start_time - NOW).total_seconds(), far.count))
    assert seen == [(1, 0, 1), (2, 0, 2), (3, 0, 3), (1, 60, 4), (2, 60, 5), (1, 200, 6)]


async def test_forgotten_tries_begin_anew(database: Database) -> None:
    limit = Limit(5, timedelta(seconds=60))
    async with database.unit(ALL_TENANTS) as session:
        await codes.count_try(session, [(b"one", limit)], NOW)
        await codes.forget_tries(session, [b"one", b"two"])
        [tries] = await codes.count_try(session, [(b"one", limit)], NOW)
    assert tries.count == 1


async def test_only_what_nobody_can_use_any_more_is_purged(auth: Auth, database: Database) -> None:
    account = await auth.account()
    await auth.sign_up("waiting@example.com")
    async with database.unit(ALL_TENANTS) as session:
        await codes.purge(session, datetime.now(UTC))
    assert await auth.stands(account)
    assert len(await auth.rows("SELECT 1 FROM sign_up")) == 1
    async with database.unit(ALL_TENANTS) as session:
        await codes.purge(session, datetime.now(UTC) + timedelta(days=40))
    for table in ("sign_up", "verification_code", "attempt", "session", "refresh_token"):
        assert await auth.rows(f"SELECT 1 FROM {table}") == []
    assert len(await auth.rows("SELECT 1 FROM user_account")) == 1


async def test_a_missing_person_is_none(database: Database) -> None:
    nobody = Identifier("email", "nobody@example.com")
    async with database.unit(ALL_TENANTS) as session:
        assert await people.find(session, uuid4()) is None
        assert await people.find_by_identifier(session, nobody) is None
        assert await people.find_in_tenant(session, "default", nobody) is None
        assert await people.find_credential(session, nobody) is None
        assert await codes.find_newest_sign_up(session, nobody) is None
        assert await sessions.lock_by_token(session, b"unknown") is None
        assert await sessions.find_holder(session, "hz_0", NOW) is None
        assert await sessions.lock_totp(session, uuid4()) is None


async def test_roles_learn_new_permissions_and_lose_old_ones(
    auth: Auth, database: Database
) -> None:
    await auth.tenant("acme")
    async with database.unit(ALL_TENANTS) as session:
        await tenants.put_roles(session, {"staff": ["a.new", "b.new"]}, tenant_id=None)
    rows = await auth.rows("SELECT tenant_id, permissions FROM role WHERE name = 'staff'")
    assert {row["tenant_id"] for row in rows} == {"default", "acme"}
    assert all(row["permissions"] == ["a.new", "b.new"] for row in rows)


async def test_questions_about_sessions_and_people_use_indexes(
    auth: Auth, database: Database
) -> None:
    await auth.rows(
        "INSERT INTO user_account (id, display_name, locale, default_tenant_id, version, create_time)"
        " SELECT gen_random_uuid(), 'Person ' || n, 'en', 'default', 1, now() FROM generate_series(1, 3000) n"
    )
    await auth.rows(
        "INSERT INTO session (id, user_id, generation, methods, user_agent, address, create_time,"
        " refresh_time, expire_time) SELECT gen_random_uuid(), id, 1, '{pwd}', '', '', now(), now(),"
        " now() + interval '7 days' FROM user_account"
    )
    await auth.rows("ANALYZE user_account, session")
    person = (await auth.rows("SELECT id FROM user_account LIMIT 1"))[0]["id"]
    everything = "EXPLAIN (FORMAT JSON) "
    live = {"user_id": person, "now": NOW, "after_id": None, "after_time": None, "count": 51}
    statements = (
        (sessions._STANDS, {"user_id": person, "id": person, "now": NOW}),
        (sessions._LIST, live),
        (sessions._LOCK, {"id": person}),
        (people._BY_ID, {"user_id": person}),
    )
    async with database.unit("default", user_id=person) as session:
        for statement, values in statements:
            plan = json.dumps(await session.scalar(text(everything + statement.text), values))
            assert '"Relation Name": "session"' in plan or '"Relation Name": "user_account"' in plan
            for table in ("session", "user_account"):
                whole = f'"Seq Scan", "Parallel Aware": false, "Async Capable": false, "Relation Name": "{table}"'
                assert whole not in plan, statement.text


async def test_the_search_by_name_has_an_index_behind_the_wall(
    auth: Auth, database: Database
) -> None:
    await auth.rows(
        "INSERT INTO user_account (id, display_name, locale, default_tenant_id, version, create_time)"
        " SELECT gen_random_uuid(), 'Person ' || n, 'en', 'default', 1, now() FROM generate_series(1, 3000) n"
    )
    await auth.rows("ANALYZE user_account")
    person = (await auth.rows("SELECT id FROM user_account LIMIT 1"))[0]["id"]
    await auth.rows(
        "INSERT INTO membership SELECT 'default', id, '{member}', now() FROM user_account"
    )
    await auth.rows("ANALYZE membership")
    values = {
        "tenant_id": "default",
        "name": "person 17",
        "value": "nobody@example.com",
        "after_name": "",
        "after_id": None,
        "count": 51,
    }
    async with database.unit("default", user_id=person) as session:
        explained = text(f"EXPLAIN (FORMAT JSON) {people._SEARCH.text}")
        plan = json.dumps(await session.scalar(explained, values))
        assert "user_account_name" in plan
        found = await people.search(
            session,
            "default",
            name="person 17",
            identifier=Identifier("unknown", "person 17"),
            after=None,
            count=200,
        )
    names = [person.display_name for person in found]
    assert names == sorted(names) and len(names) == 111

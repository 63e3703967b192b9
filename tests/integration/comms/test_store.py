"""The comms schema: migrations, walls between tenants, and leases on messages."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from services.comms import store
from services.comms.domain import LEASE, Channel, Contact, Message, Recipient, State
from services.comms.tables import metadata
from services.kit.clock import Clock
from services.kit.database import ALL_TENANTS, Database
from tests.harness import Harness

_clock = Clock()


@pytest.fixture
async def database(harness: Harness) -> AsyncIterator[Database]:
    place = await harness.database("comms")
    database = Database(place.url, schema="comms", application_name="test")
    yield database
    await database.close()


def a_message(tenant_id: str = "default") -> Message:
    return Message(
        id=uuid4(),
        tenant_id=tenant_id,
        template="WELCOME",
        locale="en",
        recipient=Recipient(Channel.EMAIL, "asha@example.com"),
        subject="Hi",
        body="Hello",
        user_id=None,
        fingerprint=b"x" * 32,
    )


async def add(database: Database, message: Message) -> bool:
    async with database.unit(message.tenant_id) as session:
        return await store.add_message(session, message, now=_clock.now())


async def begin(
    database: Database, message: Message, *, lease: timedelta = LEASE
) -> Message | None:
    now = _clock.now()
    async with database.unit(message.tenant_id) as session:
        return await store.begin_attempt(
            session, message.tenant_id, message.id, now=now, lease_time=now + lease
        )


async def end(database: Database, owned: Message, state: State) -> bool:
    async with database.unit(owned.tenant_id) as session:
        return await store.end_attempt(
            session, owned, state=state, fault="", provider_message_id="p", now=_clock.now()
        )


async def standing(database: Database, message: Message) -> Message:
    async with database.unit(message.tenant_id) as session:
        found = await store.find_message(session, message.tenant_id, message.id)
    assert found is not None
    return found


async def test_migrations_make_the_tables_that_the_code_knows(harness: Harness) -> None:
    place = await harness.database("comms")
    engine = create_engine(make_url(place.owner_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        connection.execute(text("SET search_path = comms"))
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "schema_version"}
        )
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert differences == []


async def test_a_message_id_is_stored_once(database: Database) -> None:
    message = a_message()
    assert await add(database, message)
    assert not await add(database, message)
    assert await standing(database, message) == message


async def test_tenants_may_use_the_same_message_id_and_never_see_each_other(
    database: Database,
) -> None:
    message = a_message()
    assert await add(database, message)
    async with database.unit("second") as session:
        assert await store.find_message(session, "default", message.id) is None
        rows = await session.scalar(text("SELECT count(*) FROM message"))
        assert rows == 0


async def test_a_row_of_another_tenant_cannot_be_written(database: Database) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.unit("second") as session:
            await store.add_message(session, a_message("default"), now=_clock.now())


async def test_contacts_cannot_even_be_swept_across_tenants(database: Database) -> None:
    contact = Contact(uuid4(), "Asha", "asha@example.com", "", "en", 1)
    async with database.unit("default") as session:
        await store.save_contact(session, "default", contact, now=_clock.now())
    async with database.unit(ALL_TENANTS) as session:
        assert await session.scalar(text("SELECT count(*) FROM contact")) == 0


async def test_an_older_version_of_a_person_changes_nothing(database: Database) -> None:
    user_id = uuid4()

    async def save_and_find(version: int, email: str) -> Contact | None:
        contact = Contact(user_id, "Asha", email, "", "en", version)
        async with database.unit("default") as session:
            await store.save_contact(session, "default", contact, now=_clock.now())
            return await store.find_contact(session, "default", user_id)

    assert (await save_and_find(2, "two@example.com") or a_contact()).email == "two@example.com"
    assert (await save_and_find(1, "one@example.com") or a_contact()).email == "two@example.com"
    assert (await save_and_find(3, "three@example.com") or a_contact()).email == "three@example.com"


def a_contact() -> Contact:
    return Contact(UUID(int=0), "", "", "", "", 0)


async def test_a_message_has_one_owner_at_a_time(database: Database) -> None:
    message = a_message()
    await add(database, message)
    owned = await begin(database, message)
    assert owned is not None and (owned.state, owned.attempts) == (State.SENDING, 1)
    assert await begin(database, message) is None


async def test_an_owner_who_died_is_followed_when_the_lease_is_over(database: Database) -> None:
    message = a_message()
    await add(database, message)
    await begin(database, message, lease=timedelta(0))
    second = await begin(database, message)
    assert second is not None and second.attempts == 2


async def test_a_late_owner_can_say_sent_but_not_failed(database: Database) -> None:
    message = a_message()
    await add(database, message)
    first = await begin(database, message, lease=timedelta(0))
    second = await begin(database, message)
    assert first is not None and second is not None
    assert not await end(database, first, State.FAILED)
    assert (await standing(database, message)).state is State.SENDING
    assert await end(database, first, State.SENT)
    assert not await end(database, second, State.QUEUED)
    assert (await standing(database, message)).state is State.SENT


@pytest.mark.parametrize("state", [State.SENT, State.FAILED])
async def test_what_came_to_an_end_is_not_tried_again(database: Database, state: State) -> None:
    message = a_message()
    await add(database, message)
    owned = await begin(database, message)
    assert owned is not None
    await end(database, owned, state)
    assert await begin(database, message) is None


async def test_old_messages_of_all_tenants_are_forgotten(database: Database) -> None:
    for tenant in ("default", "second"):
        await add(database, a_message(tenant))
    async with database.unit(ALL_TENANTS) as session:
        assert await store.delete_messages(session, before=_clock.now() - timedelta(days=1)) == 0
        assert await store.delete_messages(session, before=_clock.now()) == 2

"""The service's database: one transaction per unit of work, tied to one tenant.

`Session` is a SQLAlchemy Core connection inside that transaction. Row-level security sees the tenant of the unit, so a
query that forgets its tenant finds nothing. `ALL_TENANTS` opens the few tables that allow it (the kit's own and those a
migration protects with `across_tenants=True`) to sweeps; it is no possible tenant id.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.kit import telemetry
from services.kit.errors import ServiceUnavailable

__all__ = ["ALL_TENANTS", "Database", "Session", "finish", "sqlstate"]

Session = AsyncConnection
T = TypeVar("T")

ALL_TENANTS = "*"

_ENTER = text(
    "SELECT set_config('hazina.tenant_id', :tenant_id, true),"
    " set_config('hazina.user_id', :user_id, true), set_config('hazina.actor', :actor, true)"
)
_LISTEN_RETRY_SECONDS = 0.5
# Faults of the moment: connection (08), shutdown and start (57P0x), limits of the server (53), lock and statement
# timeouts, deadlock, serialization, and a primary that has just become a standby.
_PASSING_STATES = ("08", "57P", "57014", "53", "55P03", "40001", "40P01", "25006", "25P03")


class Database:
    """A pool of connections to one schema."""

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        application_name: str,
        pool_size: int = 10,
        statement_timeout_seconds: float = 5.0,
        lock_timeout_seconds: float = 4.0,
    ) -> None:
        self.schema = schema
        self._url = make_url(url).set(drivername="postgresql")
        self._server_settings = {
            "application_name": application_name,
            "search_path": f"{schema},{schema}_jobs",
            "statement_timeout": str(int(statement_timeout_seconds * 1000)),
            "lock_timeout": str(int(lock_timeout_seconds * 1000)),
            "idle_in_transaction_session_timeout": "15000",
            "timezone": "UTC",
        }
        self.engine = create_async_engine(
            self._url.set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=4.0,
            pool_recycle=1800,
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={"server_settings": self._server_settings, "timeout": 4.0},
        )
        in_use: Any = self.engine.pool
        telemetry.connections_in_use.labels(application_name).set_function(in_use.checkedout)

    @contextlib.asynccontextmanager
    async def unit(
        self, tenant_id: str | None, *, user_id: UUID | None = None, actor: str = ""
    ) -> AsyncIterator[Session]:
        """One transaction for one tenant; None is for rows that belong to no tenant.

        Commits when the block ends, rolls back when it raises. A commit under way is waited for even if the caller
        goes away. Faults of the connection become ServiceUnavailable; whether a commit happened is then answered by
        repeating the call with the same key.
        """
        try:
            session = await self.engine.connect()
        except (DBAPIError, PoolTimeout, OSError, asyncpg.PostgresError) as error:
            raise _translated(error) from error
        try:
            try:
                await session.execute(
                    _ENTER,
                    {
                        "tenant_id": tenant_id or "",
                        "user_id": "" if user_id is None else str(user_id),
                        "actor": actor,
                    },
                )
                yield session
            except BaseException:
                with contextlib.suppress(DBAPIError, OSError):
                    await finish(session.rollback())
                raise
            await finish(session.commit())
        except (DBAPIError, OSError) as error:
            raise _translated(error) from error
        finally:
            with contextlib.suppress(DBAPIError, OSError):
                await finish(session.close())

    async def check(self) -> None:
        """Raises ServiceUnavailable unless the database answers."""
        async with self.unit(None) as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call back with the payload of each notification on the channel, until cancelled.

        It also calls back with an empty payload after every connect: notifications sent in between are lost, so the
        callback must look for itself.
        """
        while True:
            lost = asyncio.Event()
            try:
                connection = await asyncpg.connect(
                    self._url.render_as_string(hide_password=False),
                    server_settings={
                        **self._server_settings,
                        "idle_in_transaction_session_timeout": "0",
                    },
                    timeout=4.0,
                )
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                telemetry.log.warning("cannot_listen", channel=channel, fault=type(error).__name__)
                await asyncio.sleep(_LISTEN_RETRY_SECONDS)
                continue
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(channel, lambda *notice: callback(notice[3]))
                callback("")
                await lost.wait()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                telemetry.log.warning(
                    "listening_ended", channel=channel, fault=type(error).__name__
                )
            finally:
                connection.terminate()
            await asyncio.sleep(_LISTEN_RETRY_SECONDS)


async def finish(work: Awaitable[T]) -> T:
    """Await something that must not be cut short: a cancellation is raised only after it is done."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            cancelled = True
        except Exception:  # noqa: BLE001 - raised below, by result()
            break
    if cancelled:
        if error := task.exception():
            raise asyncio.CancelledError from error
        raise asyncio.CancelledError
    return task.result()


def sqlstate(error: BaseException) -> str:
    """The five-letter SQLSTATE of a database error, or nothing."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    state: Any = getattr(error, "sqlstate", None)
    return str(state) if state else ""


def _translated(error: BaseException) -> BaseException:
    state = sqlstate(error)
    if state.startswith(_PASSING_STATES):
        return ServiceUnavailable()
    if isinstance(error, OSError | PoolTimeout):
        return ServiceUnavailable()
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ServiceUnavailable()
    if isinstance(error, InterfaceError | OperationalError) and not state:
        return ServiceUnavailable()
    return error

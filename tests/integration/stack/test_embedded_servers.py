"""Real Postgres and Valkey from their wheels: start, kill -9, start again, stop, nothing left."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from mesh.stack import children
from mesh.stack.database import bootstrap, login_role, owner_role, role_url
from mesh.stack.home import StackError
from mesh.stack.postgres import EmbeddedPostgres
from mesh.stack.valkey import EmbeddedValkey


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(
        tmp_path_factory.mktemp("postgres") / "server", free_port(), "secret", {"fsync": "off"}
    )
    server.start()
    yield server
    server.destroy()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey", free_port(), "secret")
    server.start()
    yield server
    server.stop()


def run_sql(url: str, *statements: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            rows: list[asyncpg.Record] = []
            for statement in statements:
                rows = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    return asyncio.run(run())


def test_postgres_lets_nobody_in_without_the_password(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        run_sql(postgres.admin_url.replace(":secret@", ":guess@"), "SELECT 1")


def test_postgres_listens_on_loopback_only(postgres: EmbeddedPostgres) -> None:
    addresses = {
        connection.laddr.ip
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.laddr.port == postgres.port
    }
    assert addresses == {"127.0.0.1"}


def test_postgres_keeps_what_was_committed_before_kill_9(postgres: EmbeddedPostgres) -> None:
    run_sql(
        postgres.admin_url, "CREATE TABLE IF NOT EXISTS kept (n int)", "INSERT INTO kept VALUES (7)"
    )
    assert postgres.process is not None
    postgres.process.kill()
    postgres.process.wait()
    postgres.start()
    assert [row["n"] for row in run_sql(postgres.admin_url, "SELECT n FROM kept")] == [7]


def test_a_lock_file_whose_pid_is_somebody_else_does_not_stop_postgres(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.stop()
    lock = postgres.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{postgres.data}\n")
    postgres.start()
    assert run_sql(postgres.admin_url, "SELECT 1 AS one")[0]["one"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand Postgres to another user")
def test_root_in_a_private_folder_places_the_data_where_nobody_can_go(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "postgres", free_port(), "secret", {"fsync": "off"})
    server.start()
    try:
        assert server.process is not None
        assert psutil.Process(server.process.pid).username() == "nobody"
        assert children.others_can_enter(server.place)
        assert server.data.stat().st_mode & 0o077 == 0
        place = server.place
    finally:
        server.destroy()
    assert not place.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand Postgres to another user")
def test_a_database_that_vanished_is_told_and_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "server", free_port(), "secret")
    server.folder.mkdir()
    (server.folder / "place").write_text(f"{tmp_path / 'gone'}\n")
    with pytest.raises(StackError, match="is gone"):
        server.prepare()


def test_a_first_start_that_was_killed_begins_again(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "server", free_port(), "secret", {"fsync": "off"})
    server.prepare()
    half_made = server.place / "data.unfinished"
    server.data.rename(half_made)
    server.start()
    try:
        assert run_sql(server.admin_url, "SELECT 1 AS one")[0]["one"] == 1
        assert not half_made.exists()
    finally:
        server.destroy()


def test_a_services_role_sees_its_own_schema_and_no_other(postgres: EmbeddedPostgres) -> None:
    services = ("auth", "wallet")
    passwords = {role(name): f"{name}-pw" for name in services for role in (login_role, owner_role)}
    for _ in range(2):  # the second run changes nothing
        asyncio.run(bootstrap(postgres.admin_url, services, passwords, database="roles"))

    def url(role: str, service: str) -> str:
        return role_url(postgres.admin_url, role, f"{service}-pw", database="roles")

    for service in services:
        run_sql(
            url(owner_role(service), service),
            "CREATE TABLE IF NOT EXISTS note (id int PRIMARY KEY, text text)",
            "INSERT INTO note VALUES (1, 'x') ON CONFLICT DO NOTHING",
        )
    auth = url(login_role("auth"), "auth")
    assert len(run_sql(auth, "SELECT * FROM note")) == 1
    for refused in (
        "SELECT * FROM wallet.note",
        "CREATE TABLE auth.mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "CREATE SCHEMA mine",
        "SET ROLE hazina_auth_owner",
        "CREATE TEMP TABLE mine (n int)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            run_sql(auth, refused)


def test_two_bootstraps_at_once_do_not_collide(postgres: EmbeddedPostgres) -> None:
    passwords = {role("groups"): "pw" for role in (login_role, owner_role)}

    async def both() -> None:
        await asyncio.gather(
            *(
                bootstrap(postgres.admin_url, ("groups",), passwords, database=f"twin_{n}")
                for n in range(2)
            )
        )

    asyncio.run(both())


def test_valkey_keeps_its_streams_over_kill_9(valkey: EmbeddedValkey) -> None:
    client = redis.Redis.from_url(valkey.url)
    for n in range(5):
        client.xadd("events", {"n": n})
    client.close()
    assert valkey.process is not None
    valkey.process.kill()
    valkey.process.wait()
    valkey.start()
    with redis.Redis.from_url(valkey.url) as again:
        assert again.xlen("events") == 5


def test_valkey_starts_on_a_file_that_was_cut_short(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.set("kept", "yes")
    valkey.stop()
    newest = max((valkey.folder / "appendonlydir").glob("*.incr.aof"))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nha")
    valkey.start()
    with redis.Redis.from_url(valkey.url) as client:
        assert client.get("kept") == b"yes"


def test_valkey_moves_a_broken_file_aside_and_says_where(
    valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        client.set("lost", "yes")
    valkey.stop()
    newest = max((valkey.folder / "appendonlydir").glob("*.incr.aof"))
    newest.write_bytes(b"garbage\r\n" * 20)
    log = tmp_path / "valkey.log"
    with pytest.raises(Exception, match="did not start"):
        valkey.start(log=log)
    aside = valkey.set_aside_broken_file(log.read_text())
    assert aside is not None and aside.is_dir()
    valkey.start()


def test_valkey_wants_its_password(valkey: EmbeddedValkey) -> None:
    with redis.Redis(port=valkey.port) as client, pytest.raises(redis.AuthenticationError):
        client.get("x")


def test_a_server_dies_with_its_parent(tmp_path: Path) -> None:
    port = free_port()
    program = (
        "import sys,time;from pathlib import Path;from mesh.stack.valkey import EmbeddedValkey;"
        f"s=EmbeddedValkey(Path({str(tmp_path / 'v')!r}),{port},'x');s.start();"
        "print(s.process.pid,flush=True);time.sleep(60)"
    )
    import subprocess
    import sys

    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    server.wait(timeout=5)
    assert not server.is_running()

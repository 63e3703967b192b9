"""Where state lives, and logs that do not grow for ever."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mesh.stack import logs
from mesh.stack.home import ROOT, Exclusive, Home, StackError, write_atomically


def test_the_home_is_in_the_clone_unless_told_otherwise(tmp_path: Path) -> None:
    assert Home.from_environment({}).path == ROOT / ".hazina"
    assert Home.from_environment({"HAZINA_HOME": str(tmp_path)}).path == tmp_path


def test_a_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first = home.secret("wallet")
    assert len(bytes.fromhex(first)) == 32
    assert home.secret("wallet") == first
    assert home.secret("auth") != first
    assert home.secret_file("wallet").stat().st_mode & 0o077 == 0


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="HAZINA_HOME"):
        Home(tmp_path / "file" / "home").prepare()


def test_folders_with_secrets_are_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    for folder in (home.certificates, home.keys, home.envoy, home.folder("secrets")):
        assert folder.stat().st_mode & 0o077 == 0


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "first", mode=0o600)
    write_atomically(path, "second", mode=0o600)
    assert path.read_text() == "second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_two_who_write_wait_for_each_other(tmp_path: Path) -> None:
    first, second = Exclusive(tmp_path / "keys"), Exclusive(tmp_path / "keys")
    order: list[str] = []

    def write() -> None:
        with second:
            order.append("second")

    with first, first:  # the same thread may take it again
        other = threading.Thread(target=write)
        other.start()
        other.join(timeout=0.3)
        order.append("first")
    other.join(timeout=5)
    assert order == ["first", "second"]


def test_a_log_beyond_the_cap_is_copied_aside_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "wallet.log"
    with logs.open_log(path) as writer:
        for round_number in range(4):
            writer.write(f"round {round_number}\n".encode() * 20)
            writer.flush()
            assert logs.cap(path, size_max=100, kept=2)
        writer.write(b"after\n")
    assert path.read_bytes() == b"after\n", "the writer goes on at the new end, without a gap"
    assert (tmp_path / "wallet.log.1").read_text().startswith("round 3")
    assert (tmp_path / "wallet.log.2").read_text().startswith("round 2")
    assert not (tmp_path / "wallet.log.3").exists()


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "wallet.log"
    path.write_text("x")
    assert not logs.cap(path, size_max=100)


def test_the_tail_shows_only_what_came_after(tmp_path: Path) -> None:
    path = tmp_path / "wallet.log"
    path.write_text("old\n")
    before = path.stat().st_size
    with path.open("a") as file:
        file.write("new 1\nnew 2\n")
    assert logs.tail(path, 5, since=before) == "new 1\nnew 2"
    assert logs.tail(tmp_path / "none.log") == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StackError, match=r"wallet\.log"):
        logs.open_log(tmp_path / "wallet.log")

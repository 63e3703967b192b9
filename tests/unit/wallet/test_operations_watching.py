"""Who is woken by which notification."""

from services.wallet import store
from services.wallet.operations.watching import Changes
from tests.factories.wallet_books import START, id_at, wallet

ASHA, BRIAN = id_at(START, 1), id_at(START, 2)


def test_a_change_wakes_those_who_watch_the_wallet() -> None:
    changes = Changes()
    with changes.watch(ASHA) as first, changes.watch(ASHA) as second, changes.watch(BRIAN) as other:
        changes.notice(f"{ASHA.hex},{id_at(START, 3).hex}")
        assert first.is_set() and second.is_set() and not other.is_set()


def test_an_empty_notification_makes_everybody_look() -> None:
    changes = Changes()
    with changes.watch(ASHA) as first, changes.watch(BRIAN) as second:
        changes.notice("-")
        assert not first.is_set()
        changes.notice("")
        assert first.is_set() and second.is_set()


def test_nobody_is_woken_after_leaving() -> None:
    changes = Changes()
    with changes.watch(ASHA) as changed:
        pass
    changes.notice(ASHA.hex)
    assert not changed.is_set()


def test_stopping_wakes_everybody_for_the_last_message() -> None:
    changes = Changes()
    with changes.watch(ASHA) as changed:
        changes.stop()
        assert changed.is_set() and changes.stopping


def test_notifications_fit_into_what_postgres_takes() -> None:
    wallets = [wallet(number) for number in range(1, 1001)]
    notices = store.notices(wallets)
    assert all(len(notice) < 8000 for notice in notices)
    assert sum(len(notice.split(",")) for notice in notices) == 1000
    assert store.notices([]) == ["-"]

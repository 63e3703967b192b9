"""The decision function, by example; histories at random are in test_domain_against_the_model.py."""

from datetime import timedelta

from services.kit.money import INT64_MAX, Money
from services.wallet import domain
from services.wallet.domain import HoldState, Refusal
from tests.factories.wallet_books import START, Memory, id_at, step, wallet

ASHA, BRIAN = wallet(1, funds=1000), wallet(2)
MPESA, FEES = "EXTERNAL:mpesa", "SYSTEM:FEES"


def _memory() -> Memory:
    memory = Memory()
    memory.open(ASHA, BRIAN)
    return memory


def test_each_verdict_has_the_running_balances() -> None:
    first, second = (
        _memory()
        .post(
            step("POST", 1, debit=ASHA.id, credit=BRIAN.id, amount=600),
            step("POST", 2, debit=BRIAN.id, credit=ASHA.id, amount=100),
        )
        .verdicts
    )
    assert first.debit_account is not None and first.debit_account.available == 400
    assert second.debit_account is not None and second.debit_account.available == 500


def test_of_two_that_compete_for_the_last_shilling_the_first_to_arrive_wins() -> None:
    told = _memory().told(
        step("POST", 1, debit=ASHA.id, credit=BRIAN.id, amount=1000),
        step("POST", 2, debit=ASHA.id, credit=MPESA, amount=1),
    )
    assert told == ["CREATED", "INSUFFICIENT_FUNDS"]


def test_an_account_changes_its_version_once_per_commit() -> None:
    memory = _memory()
    memory.post(*(step("POST", n, debit=ASHA.id, credit=BRIAN.id, amount=1) for n in range(1, 6)))
    assert memory.accounts[ASHA.id].version == memory.accounts[BRIAN.id].version == 2


def test_an_account_of_a_code_is_opened_only_by_a_step_that_is_booked() -> None:
    memory = _memory()
    refused = memory.post(
        step("POST", 1, debit=BRIAN.id, credit=FEES, amount=1),
        step("POST", 2, debit=ASHA.id, credit=FEES, amount=1, linked=True),
        step("POST", 3, debit=BRIAN.id, credit=FEES, amount=999),
    )
    assert refused.opened == () and refused.changes_nothing
    booked = memory.post(step("POST", 4, debit=ASHA.id, credit=FEES, amount=1))
    assert [one.code for one in booked.opened] == [FEES]
    assert booked.opened[0].credits_posted == 1 and booked.opened[0].version == 1


def test_a_hold_that_expires_this_moment_is_over() -> None:
    memory = _memory()
    end = START + timedelta(seconds=60)
    held = step("HOLD", 1, debit=ASHA.id, credit=MPESA, amount=1000, expire_time=end)
    memory.post(held)
    memory.pass_time(60)
    assert memory.told(step("POST_HOLD", 2, hold_id=held.id)) == ["HOLD_EXPIRED"]
    assert memory.holds[held.id].state is HoldState.EXPIRED
    assert memory.accounts[ASHA.id].available == 1000


def test_a_hold_that_nobody_named_is_released_by_a_step_on_either_of_its_accounts() -> None:
    for other in (ASHA.id, BRIAN.id):
        memory = _memory()
        end = START + timedelta(seconds=60)
        held = step("HOLD", 1, debit=ASHA.id, credit=BRIAN.id, amount=1000, expire_time=end)
        memory.post(held)
        memory.pass_time(61)
        memory.post(step("POST", 2, debit=MPESA, credit=other, amount=1))
        assert memory.accounts[ASHA.id].debits_pending == 0
        assert memory.accounts[BRIAN.id].credits_pending == 0


def test_a_refused_chain_takes_back_its_holds_and_their_ends() -> None:
    memory = _memory()
    held = step("HOLD", 1, debit=ASHA.id, credit=MPESA, amount=500)
    memory.post(held)
    told = memory.told(
        step("VOID_HOLD", 2, hold_id=held.id, linked=True),
        step("HOLD", 3, debit=ASHA.id, credit=FEES, amount=900, linked=True),
        step("POST", 4, debit=ASHA.id, credit=FEES, amount=101),
    )
    assert told == ["CHAIN_REFUSED", "CHAIN_REFUSED", "INSUFFICIENT_FUNDS"]
    assert memory.holds[held.id].state is HoldState.HELD
    assert memory.accounts[ASHA.id].available == 500


def test_what_is_held_can_always_be_posted() -> None:
    memory = Memory()
    full = wallet(3, funds=INT64_MAX)
    memory.open(full)
    held = step("HOLD", 1, debit=full.id, credit=MPESA, amount=INT64_MAX)
    told = memory.told(
        held,
        step("POST", 2, debit=FEES, credit=MPESA, amount=1),
        step("POST_HOLD", 3, hold_id=held.id),
    )
    assert told == ["CREATED", "AMOUNT_OVERFLOW", "CREATED"]


def test_the_order_of_refusals_is_that_of_the_contract() -> None:
    from hazina.wallet.v1.wallet_errors_pb2 import ErrorReason

    numbers = [ErrorReason.Value(refusal.value) for refusal in Refusal]
    assert numbers == list(range(1, len(Refusal) + 1))


def test_steps_need_all_that_they_name() -> None:
    hold_id = id_at(START, 77)
    needs = domain.needs(
        [
            step("POST", 1, debit=ASHA.id, credit=FEES, amount=1),
            step("POST_HOLD", 2, hold_id=hold_id, credit=BRIAN.id),
        ]
    )
    assert needs.account_ids == {ASHA.id, BRIAN.id} and needs.codes == {FEES}
    assert needs.hold_ids == {hold_id} and needs.transfer_ids == {id_at(START, 1), id_at(START, 2)}


def test_periods_end_in_the_past_and_never_earlier_than_the_last() -> None:
    day = timedelta(days=1)
    assert domain.period_end_is_valid(START, last=None, now=START)
    assert domain.period_end_is_valid(START, last=START, now=START + day)
    assert not domain.period_end_is_valid(START + day, last=None, now=START)
    assert not domain.period_end_is_valid(START - day, last=START, now=START + day)


def test_an_account_of_a_code_may_go_below_zero_and_a_wallet_may_not() -> None:
    code = domain.code_account(id_at(START, 5), MPESA, "KES", START)
    assert code.kind is domain.AccountKind.EXTERNAL and not code.protected
    assert domain.code_account(id_at(START, 5), FEES, "KES", START).kind == "SYSTEM"
    owned = domain.owned_account(
        id_at(START, 6), domain.AccountKind.GROUP, id_at(START, 7), "KES", "Umoja", START
    )
    assert owned.protected


def test_a_repeat_is_compared_by_what_its_accounts_and_amount_stand_for() -> None:
    memory = _memory()
    memory.post(step("POST", 1, debit=MPESA, credit=ASHA.id, amount=5))
    by_id = memory.by_code(MPESA).id
    assert memory.told(step("POST", 1, debit=by_id, credit=ASHA.id, amount=5)) == ["EXISTS"]
    dollars = Money("USD", 5)
    told = memory.told(step("POST", 1, debit=by_id, credit=ASHA.id, amount=dollars))
    assert told == ["EXISTS_WITH_DIFFERENT_CONTENT amount"]

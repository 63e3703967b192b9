"""Many callers at once: exactly what fits is booked, and an id has one effect."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.factories.wallet import (
    OUTSIDE,
    Bank,
    hold,
    post,
    post_hold,
    told,
    void_hold,
    wallet_service,
)
from tests.harness import Harness


async def test_of_fifty_debits_that_exceed_the_balance_exactly_those_that_fit_are_booked(
    bank: Bank,
) -> None:
    payer, payee = await bank.funded(1000), await bank.wallet()
    answers = await asyncio.gather(*(bank.transfers(post(payer, payee, 60)) for _ in range(50)))
    results = Counter(told(one) for [one] in answers)
    assert results == {"CREATED": 16, "INSUFFICIENT_FUNDS": 34}
    assert await bank.available(payer) == 40 and await bank.available(payee) == 960


async def test_two_processes_share_one_balance(harness: Harness) -> None:
    async with (
        harness.peers({}),
        wallet_service(harness, background=False) as first,
        wallet_service(harness, background=False) as second,
    ):
        banks = [Bank(first), Bank(second)]
        payer, payee = await banks[0].funded(1000), await banks[0].wallet()
        answers = await asyncio.gather(
            *(banks[n % 2].transfers(post(payer, payee, 60)) for n in range(50))
        )
        results = Counter(told(one) for [one] in answers)
        assert results == {"CREATED": 16, "INSUFFICIENT_FUNDS": 34}
        assert await banks[1].available(payer) == 40


async def test_one_id_sent_twenty_times_at_once_has_one_effect(bank: Bank) -> None:
    payer, payee = await bank.funded(1000), await bank.wallet()
    payment = post(payer, payee, 60)
    answers = await asyncio.gather(*(bank.transfers(payment) for _ in range(20)))
    assert Counter(told(one) for [one] in answers) == {"CREATED": 1, "EXISTS": 19}
    assert await bank.available(payee) == 60


async def test_a_code_that_many_use_first_is_opened_once(bank: Bank) -> None:
    answers = await asyncio.gather(
        *(bank.transfers(post(OUTSIDE, "SYSTEM:SUSPENSE", 1)) for _ in range(20))
    )
    assert len({one.credit_account.id for [one] in answers}) == 1


async def test_a_hold_is_posted_or_voided_by_one_of_many(bank: Bank) -> None:
    payer = await bank.funded(1000)
    held = hold(payer, OUTSIDE, 400)
    await bank.book(held)
    ends = [post_hold(held.id) if n % 2 else void_hold(held.id) for n in range(20)]
    answers = await asyncio.gather(*(bank.transfers(end) for end in ends))
    results = Counter(told(one) for [one] in answers)
    assert results["CREATED"] == 1
    assert results["HOLD_ALREADY_POSTED"] + results["HOLD_ALREADY_VOIDED"] == 19


async def test_a_hold_that_expires_while_it_is_posted_ends_once(bank: Bank) -> None:
    payer = await bank.funded(1000)
    soon = datetime.now(UTC) + timedelta(seconds=1.2)
    holds = [hold(payer, OUTSIDE, 100, expire_time=soon) for _ in range(10)]
    await bank.book(*holds)

    async def end(number: int) -> str:
        await asyncio.sleep(0.9 + number * 0.06)
        [verdict] = await bank.transfers(post_hold(holds[number].id))
        return told(verdict)

    results = Counter(await asyncio.gather(*(end(number) for number in range(10))))
    assert results["CREATED"] + results["HOLD_EXPIRED"] == 10
    assert results["HOLD_EXPIRED"] >= 1, "the last one came after the expiry"
    await bank.book(post(OUTSIDE, payer, 1))  # touches the account: the rest is released
    account = await bank.account(payer)
    assert account.debits_pending == 0
    assert account.debits_posted == 100 * results["CREATED"]


async def test_an_expired_hold_is_released_before_the_next_debit_is_judged(bank: Bank) -> None:
    payer = await bank.funded(1000)
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    held = hold(payer, OUTSIDE, 1000, expire_time=soon)
    await bank.book(held)
    [verdict] = await bank.transfers(post(payer, OUTSIDE, 1))
    assert told(verdict) == "INSUFFICIENT_FUNDS"
    await asyncio.sleep(0.5)
    verdicts = await bank.transfers(
        post(payer, OUTSIDE, 1000), post_hold(held.id), void_hold(held.id)
    )
    assert [told(one) for one in verdicts] == ["CREATED", "HOLD_EXPIRED", "HOLD_EXPIRED"]


async def test_the_books_balance_after_a_random_crowd(bank: Bank) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    wallets = [await bank.funded(500) for _ in range(5)]
    holds: list[str] = []

    async def act() -> None:
        for _ in range(12):
            payer, payee = chance.sample([*wallets, OUTSIDE, "SYSTEM:FEES"], 2)
            amount = chance.randint(1, 200)
            choice = chance.random()
            if choice < 0.4:
                steps = [post(payer, payee, amount)]
            elif choice < 0.6 or not holds:
                expires = chance.random() < 0.3
                soon = datetime.now(UTC) + timedelta(seconds=0.2)
                steps = [hold(payer, payee, amount, expire_time=soon if expires else None)]
                holds.append(steps[0].id)
            elif choice < 0.8:
                steps = [post_hold(chance.choice(holds), credit=chance.choice(wallets))]
            elif choice < 0.9:
                steps = [void_hold(chance.choice(holds))]
            else:
                steps = [post(payer, payee, amount, linked=True), post(payee, payer, amount * 2)]
            await bank.transfers(*steps)

    await asyncio.gather(*(act() for _ in range(8)))
    [shillings] = (await bank.trial_balance()).currencies
    assert shillings.consistent, f"seed {seed}"
    assert shillings.net == 0 and shillings.debits_posted == shillings.credits_posted
    for wallet in wallets:
        assert await bank.available(wallet) >= 0

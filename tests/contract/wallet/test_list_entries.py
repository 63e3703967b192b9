"""ListEntries."""

from datetime import UTC, datetime, timedelta

from hazina.wallet.v1 import wallet_service_pb2
from hazina.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from tests.factories.wallet import OUTSIDE, Bank, hold, new_id, post, post_hold
from tests.harness import Harness, Running, assert_refused

Request = wallet_service_pb2.ListEntriesRequest


async def test_a_statement_is_newest_first_with_a_running_balance(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    mine, other = await bank.funded(500, amina), await bank.wallet()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    held = hold(mine, OUTSIDE, 50)
    last = post_hold(held.id, amount=20, code="WITHDRAWAL", transaction_id=new_id())
    await bank.book(
        post(mine, other, 120, effective_time=yesterday), post(other, mine, 20), held, last
    )
    stub = wallet.stub(WalletServiceStub, user=amina)
    entries = (await stub.ListEntries(Request(wallet_id=mine))).entries
    told = [(one.code, one.amount.minor_units, one.balance.minor_units) for one in entries]
    assert told == [
        ("WITHDRAWAL", -20, 380),
        ("TRANSFER", 20, 400),
        ("TRANSFER", -120, 380),
        ("DEPOSIT", 500, 500),
    ]
    assert entries[0].id == last.id and entries[0].transaction_id == last.transaction_id
    assert entries[2].effective_time.seconds == int(yesterday.timestamp())
    assert entries[2].create_time.seconds > entries[2].effective_time.seconds


async def test_a_walk_over_the_pages_meets_each_line_once_while_new_ones_come(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    mine = await bank.wallet(amina)
    payments = [post(OUTSIDE, mine, number + 1) for number in range(25)]
    await bank.book(*payments)
    stub = wallet.stub(WalletServiceStub, user=amina)
    seen, token = [], ""
    while True:
        answer = await stub.ListEntries(Request(wallet_id=mine, page_size=10, page_token=token))
        seen += [one.id for one in answer.entries]
        token = answer.next_page_token
        if not token:
            break
        await bank.book(post(OUTSIDE, mine, 1))
    assert seen == [one.id for one in reversed(payments)]


async def test_pages_hold_50_lines_by_default_and_100_at_most(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    mine = await bank.wallet(amina)
    await bank.book(*(post(OUTSIDE, mine, 1) for _ in range(120)))
    stub = wallet.stub(WalletServiceStub, user=amina)
    for size, expected in ((0, 50), (1000, 100), (120, 100)):
        answer = await stub.ListEntries(Request(wallet_id=mine, page_size=size))
        assert len(answer.entries) == expected and answer.next_page_token


async def test_a_token_belongs_to_its_wallet(wallet: Running, bank: Bank, harness: Harness) -> None:
    amina = harness.person()
    mine, coins = await bank.wallet(amina), await bank.wallet(amina, currency="BTC")
    await bank.book(post(OUTSIDE, mine, 1), post(OUTSIDE, mine, 1))
    stub = wallet.stub(WalletServiceStub, user=amina)
    token = (await stub.ListEntries(Request(wallet_id=mine, page_size=1))).next_page_token
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await stub.ListEntries(Request(wallet_id=coins, page_token=token))


async def test_wallets_of_others_are_not_found(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    stub = wallet.stub(WalletServiceStub, user=harness.person())
    for wallet_id in (new_id(), await bank.funded(5)):
        with assert_refused("NOT_FOUND", "NOT_FOUND"):
            await stub.ListEntries(Request(wallet_id=wallet_id))


async def test_bad_fields_are_named(wallet: Running, harness: Harness) -> None:
    stub = wallet.stub(WalletServiceStub, user=harness.person())
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "walletId"):
        await stub.ListEntries(Request(wallet_id="x"))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "pageSize"):
        await stub.ListEntries(Request(wallet_id=new_id(), page_size=-1))

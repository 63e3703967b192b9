"""ListWallets."""

import asyncio

from hazina.wallet.v1 import wallet_pb2, wallet_service_pb2
from hazina.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from tests.factories.wallet import OUTSIDE, Bank, hold
from tests.harness import Harness, Running, assert_refused

Request = wallet_service_pb2.ListWalletsRequest


async def test_people_see_their_own_wallets_oldest_first(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    shillings = await bank.funded(500, amina)
    coins = await bank.wallet(amina, currency="BTC")
    await bank.book(hold(shillings, OUTSIDE, 120))
    await bank.wallet()
    answer = await wallet.stub(WalletServiceStub, user=amina).ListWallets(Request())
    first, second = answer.wallets
    assert (first.id, second.id) == (shillings, coins)
    assert (first.kind, first.currency, first.name) == (wallet_pb2.Wallet.USER, "KES", "Savings")
    amounts = (first.balance, first.available, first.pending)
    assert [one.minor_units for one in amounts] == [500, 380, 120]
    assert {one.currency for one in amounts} == {"KES"}
    assert answer.next_page_token == ""


async def test_a_walk_over_the_pages_meets_each_wallet_once(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    made = [await bank.wallet(amina, currency=currency) for currency in ("KES", "USD", "BTC")]
    stub = wallet.stub(WalletServiceStub, user=amina)
    seen, token = [], ""
    for _ in range(5):
        answer = await stub.ListWallets(Request(page_size=1, page_token=token))
        seen += [one.id for one in answer.wallets]
        token = answer.next_page_token
        if not token:
            break
    assert seen == made


async def test_group_wallets_and_other_tenants_are_not_listed(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    await bank.wallet(amina, kind="GROUP")
    await bank.of("umoja").wallet(amina)
    answer = await wallet.stub(WalletServiceStub, user=amina).ListWallets(Request())
    assert {one.kind for one in answer.wallets} == {wallet_pb2.Wallet.USER}


async def test_who_asks_before_their_event_arrived_has_wallets_and_the_event_adds_none(
    wallet: Running, harness: Harness
) -> None:
    stub = wallet.stub(WalletServiceStub, user=harness.person())
    first, again = await asyncio.gather(stub.ListWallets(Request()), stub.ListWallets(Request()))
    assert [one.currency for one in first.wallets] == ["KES", "BTC"]
    assert [one.id for one in again.wallets] == [one.id for one in first.wallets]


async def test_a_token_of_somebody_else_or_a_changed_one_is_refused(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina, brian = harness.person(), harness.person()
    for currency in ("KES", "BTC"):
        await bank.wallet(amina, currency=currency)
    mine = wallet.stub(WalletServiceStub, user=amina)
    token = (await mine.ListWallets(Request(page_size=1))).next_page_token
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await wallet.stub(WalletServiceStub, user=brian).ListWallets(Request(page_token=token))
    with assert_refused("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"):
        await mine.ListWallets(Request(page_token=token[:-2] + "AA"))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "pageSize"):
        await mine.ListWallets(Request(page_size=-1))


async def test_it_needs_a_token_with_the_permission(wallet: Running, harness: Harness) -> None:
    with assert_refused("UNAUTHENTICATED", "CREDENTIALS_MISSING"):
        await wallet.stub(WalletServiceStub).ListWallets(Request())
    nobody = harness.person(permissions=[])
    with assert_refused("PERMISSION_DENIED", "PERMISSION_MISSING"):
        await wallet.stub(WalletServiceStub, user=nobody).ListWallets(Request())
    elsewhere = wallet.stub(WalletServiceStub, user=harness.person(), tenant="umoja")
    with assert_refused("NOT_FOUND", "TENANT_NOT_FOUND"):
        await elsewhere.ListWallets(Request())

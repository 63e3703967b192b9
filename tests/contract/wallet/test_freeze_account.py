"""FreezeAccount."""

import asyncpg

from hazina.wallet.v1 import ledger_service_pb2
from tests.factories.wallet import OUTSIDE, Bank, new_id, post, told
from tests.harness import Harness, assert_refused


def _request(
    account_id: str, *, tenant: str = "default", note: str = "a court order"
) -> ledger_service_pb2.FreezeAccountRequest:
    return ledger_service_pb2.FreezeAccountRequest(
        tenant_id=tenant, account_id=account_id, note=note
    )


async def test_a_frozen_account_gives_nothing_and_still_gets(bank: Bank) -> None:
    wallet = await bank.funded(100)
    assert (await bank.ops.FreezeAccount(_request(wallet))).account.frozen
    verdicts = await bank.transfers(post(wallet, OUTSIDE, 1), post(OUTSIDE, wallet, 1))
    assert [told(one) for one in verdicts] == ["ACCOUNT_FROZEN", "CREATED"]


async def test_who_froze_and_freed_it_and_why_is_kept(bank: Bank, harness: Harness) -> None:
    wallet = await bank.wallet()
    for _ in range(2):
        await bank.ops.FreezeAccount(_request(wallet, note="lost phone"))
    await bank.ops.UnfreezeAccount(
        ledger_service_pb2.UnfreezeAccountRequest(
            tenant_id="default", account_id=wallet, note="found it"
        )
    )
    admin = await asyncpg.connect((await harness.database("wallet")).admin_url)
    try:
        rows = await admin.fetch(
            "SELECT frozen, note, actor FROM wallet.freeze_note ORDER BY position"
        )
    finally:
        await admin.close()
    assert [tuple(row) for row in rows] == [
        (True, "lost phone", "service:ops"),
        (False, "found it", "service:ops"),
    ]


async def test_repeating_it_changes_nothing(bank: Bank) -> None:
    wallet = await bank.funded(100)
    first = await bank.ops.FreezeAccount(_request(wallet))
    assert await bank.ops.FreezeAccount(_request(wallet)) == first


async def test_an_unknown_account_and_one_of_another_tenant_are_not_found(bank: Bank) -> None:
    elsewhere = await bank.of("umoja").wallet()
    texts = set()
    for account_id in (new_id(), elsewhere):
        with assert_refused("NOT_FOUND", "NOT_FOUND") as refusal:
            await bank.ops.FreezeAccount(_request(account_id))
        texts.add(refusal.message)
    assert len(texts) == 1


async def test_it_needs_a_note_and_an_id(bank: Bank) -> None:
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "note"):
        await bank.ops.FreezeAccount(_request(new_id(), note=""))
    with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "accountId"):
        await bank.ops.FreezeAccount(_request("x"))


async def test_only_operators_may(bank: Bank) -> None:
    with assert_refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        await bank.payments.FreezeAccount(_request(new_id()))

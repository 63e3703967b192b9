"""GetWallet."""

from hazina.wallet.v1 import wallet_service_pb2
from hazina.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from tests.factories.wallet import Bank, new_id, post
from tests.harness import Harness, Running, assert_refused


def _request(wallet_id: str) -> wallet_service_pb2.GetWalletRequest:
    return wallet_service_pb2.GetWalletRequest(wallet_id=wallet_id)


async def test_people_read_their_own_wallet(wallet: Running, bank: Bank, harness: Harness) -> None:
    amina = harness.person()
    wallet_id = await bank.funded(500, amina)
    await bank.book(post(wallet_id, "SYSTEM:FEES", 20))
    answer = await wallet.stub(WalletServiceStub, user=amina).GetWallet(_request(wallet_id))
    assert answer.id == wallet_id and answer.balance.minor_units == 480
    assert answer.available == answer.balance and not answer.frozen


async def test_absent_foreign_and_group_wallets_are_not_found_with_one_text(
    wallet: Running, bank: Bank, harness: Harness
) -> None:
    amina = harness.person()
    fees = (await bank.book(post("EXTERNAL:mpesa", "SYSTEM:FEES", 1)))[0].credit_account.id
    hidden = [
        new_id(),
        await bank.wallet(),
        await bank.wallet(amina, kind="GROUP"),
        await bank.of("umoja").wallet(amina),
        fees,
    ]
    stub = wallet.stub(WalletServiceStub, user=amina)
    texts = set()
    for wallet_id in hidden:
        with assert_refused("NOT_FOUND", "NOT_FOUND") as refusal:
            await stub.GetWallet(_request(wallet_id))
        texts.add((refusal.message, str(refusal.metadata)))
    assert len(texts) == 1


async def test_a_bad_id_is_named(wallet: Running, harness: Harness) -> None:
    stub = wallet.stub(WalletServiceStub, user=harness.person())
    for wallet_id in ("", "x", "a\0b"):
        with assert_refused("INVALID_ARGUMENT", "VALIDATION_FAILED", "walletId"):
            await stub.GetWallet(_request(wallet_id))

"""The contract-test harness: a service in-process, as it runs in production, with real parts around it.

    async def test_a_transfer_moves_money(harness: Harness) -> None:
        ledger = FakeLedger()
        async with harness.peers({"hazina.wallet.v1.LedgerService": ledger}):
            async with harness.service("payments", app.build, config.load) as payments:
                amina = harness.person()
                transfers = payments.stub(TransferServiceStub, user=amina)
                answer = await transfers.CreateTransfer(request, key="k-1")
                with assert_refused("ABORTED", "IDEMPOTENCY_KEY_REUSED"):
                    await transfers.CreateTransfer(other_request, key="k-1")

What is real: Postgres (a database of the test's own, migrated, used by the service's restricted role), Valkey, mTLS with
the certificates of the local authority, signed tokens, validation, policies. What is not: other services. They are
`peers`: objects with one `async def <Rpc>(self, request, call)` per RPC that is needed, served behind the same wrapper,
so requests that break their contract or come from an identity that may not call are refused as in production.
`stub` connects as peer `edge` by default; `identity="ops"` (or any other) connects with that certificate, and
`through_mesh_as="payments"` connects as Envoy's mesh listener does.
"""

from tests.harness.core import Harness, Running, free_port
from tests.harness.people import Person
from tests.harness.refusals import assert_refused

__all__ = ["Harness", "Person", "Running", "assert_refused", "free_port"]

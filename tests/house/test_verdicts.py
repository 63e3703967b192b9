"""The reviewed table of verdicts says what the policies say, read a second time."""

from __future__ import annotations

import pytest

from tests.matrix.contracts import Rpc, rpcs
from tests.matrix.verdicts import PATH, derive, table


@pytest.mark.parametrize("rpc", rpcs(), ids=lambda rpc: rpc.label)
def test_the_table_says_what_the_policy_says(rpc: Rpc) -> None:
    assert rpc.path in table(), f"{PATH.name} lacks {rpc.path}; run `make gen`"
    verdicts = table()[rpc.path]

    wrong = {
        caller: (verdict, derive(rpc, caller))
        for caller, verdict in verdicts.items()
        if verdict != derive(rpc, caller)
    }

    assert not wrong, f"{rpc.label}: the table and the policy differ (table, policy): {wrong}"
    assert len(verdicts) >= 12, "every caller has a verdict"


def test_no_verdict_is_about_an_rpc_that_is_gone() -> None:
    assert set(table()) == {rpc.path for rpc in rpcs()}

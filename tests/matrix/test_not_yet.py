"""What is in the contract and not built yet says so, to whoever may call it."""

from __future__ import annotations

from tests.e2e.wire import Refusal
from tests.house.tree import implemented
from tests.matrix.callers import Doors
from tests.matrix.contracts import rpcs
from tests.matrix.samples import good
from tests.matrix.transcoding import http_call

_LATER = [rpc for rpc in rpcs() if not implemented(rpc)]


def test_an_rpc_without_a_handler_is_not_yet_available(doors: Doors) -> None:
    wrong: dict[str, Refusal | None] = {}
    for rpc in _LATER:
        answers = [doors.grpc(rpc, good(rpc.request))]
        call = http_call(rpc, good(rpc.request)) if rpc.http else None
        if call is not None:
            answers.append(doors.json(rpc, call))
        for refusal in answers:
            if refusal is None or (refusal.code, refusal.reason) != (
                "UNIMPLEMENTED",
                "NOT_YET_AVAILABLE",
            ):
                wrong[rpc.label] = refusal

    assert not wrong

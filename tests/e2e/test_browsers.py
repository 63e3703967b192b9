"""What a browser needs of the edge: gRPC-Web, and answers to its questions before it calls."""

from __future__ import annotations

import base64

from hazina.wallet.v1 import wallet_service_pb2
from tests.e2e.client import Client
from tests.e2e.mesh import Mesh
from tests.e2e.people import Person

_LIST = "/hazina.wallet.v1.WalletService/ListWallets"


def test_grpc_web_answers_as_grpc_does(mesh: Mesh, asha: Person) -> None:
    with Client(mesh.edge, token=asha.access_token) as client:
        answer = client.request(
            "POST",
            _LIST,
            content=base64.b64encode(b"\0\0\0\0\0"),
            headers={
                "content-type": "application/grpc-web-text",
                "accept": "application/grpc-web-text",
                "x-grpc-web": "1",
            },
        )

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/grpc-web-text")
    raw = base64.b64decode(answer.content)
    size = int.from_bytes(raw[1:5], "big")
    wallets = wallet_service_pb2.ListWalletsResponse.FromString(raw[5 : 5 + size]).wallets
    assert asha.wallet()["id"] in {wallet.id for wallet in wallets}


def test_a_refusal_of_grpc_web_says_why(mesh: Mesh) -> None:
    with Client(mesh.edge) as client:
        answer = client.request(
            "POST",
            _LIST,
            content=b"\0\0\0\0\0",
            headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
        )

    assert answer.headers["grpc-status"] == "16"
    assert answer.headers.get("grpc-status-details-bin")

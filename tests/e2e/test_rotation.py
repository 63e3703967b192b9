"""Certificates and signing keys are replaced while people work, and nobody notices."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest

from hazina.wallet.v1 import ledger_service_pb2, ledger_service_pb2_grpc
from mesh.stack.certificates import Certificates
from mesh.stack.environment import process_environment
from mesh.stack.home import ROOT
from mesh.stack.keys import KeyState, SigningKeys
from tests.e2e.client import Client, kes, new_key
from tests.e2e.mesh import Mesh
from tests.e2e.people import People
from tests.e2e.scene import Scene, set_scene

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


@pytest.fixture(scope="module")
def crowd(fragile_mesh: Mesh) -> Iterator[People]:
    people = People(fragile_mesh)
    yield people
    people.close()


@pytest.fixture(scope="module")
def cast(fragile_mesh: Mesh, crowd: People) -> Scene:
    return set_scene(fragile_mesh, crowd, money="20000")


@pytest.fixture
def scene(cast: Scene) -> Scene:
    """The same two people for every test, with what they have when it begins."""
    return cast.again()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "what",
    [("certs", "rotate"), ("certs", "rotate", "--authority"), ("keys", "rotate")],
    ids=" ".join,
)
def test_no_valid_call_is_refused_while_it_is_rotated(scene: Scene, what: tuple[str, ...]) -> None:
    mesh = scene.mesh
    certificates = Certificates(mesh.home.certificates)
    keys = SigningKeys(mesh.home.keys)
    shown = certificates.certificate("wallet")
    signed = [key.kid for key in keys.all() if key.state is KeyState.ACTIVE]
    load = _Load(scene)

    with load:
        load.await_calls(40)
        _hazina(mesh, *what)
        load.await_calls(load.count + 60)

    assert load.failures == Counter()
    if what[0] == "certs":
        assert certificates.certificate("wallet") != shown
    else:
        assert [key.kid for key in keys.all() if key.state is KeyState.ACTIVE] != signed
    scene.check_books()


class _Load:
    """People who read, pay and renew their tokens, and an operator who reads the books, until told to stop."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._stop = threading.Event()
        self._counted = threading.Condition()
        self.count = 0
        self.failures: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), daemon=True)
            for work in (self._read, self._pay, self._refresh, self._operate)
        ]

    def __enter__(self) -> _Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in self._threads)

    def await_calls(self, count: int) -> None:
        """Wait until so many calls have been made."""
        with self._counted:
            assert self._counted.wait_for(lambda: self.count >= count, timeout=120)

    def _run(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except (AssertionError, httpx.HTTPError, grpc.RpcError) as error:
                self.failures[f"{error!r}"[:400]] += 1
            with self._counted:
                self.count += 1
                self._counted.notify_all()

    def _read(self) -> None:
        with Client(self._scene.mesh.edge, token=self._scene.payer.access_token) as client:
            client.get("/api/v1/wallets").ok()

    def _pay(self) -> None:
        path, body = self._scene.transfer("1.00")
        body["amount"] = kes("1.00")
        with Client(self._scene.mesh.edge, token=self._scene.payer.access_token) as client:
            assert (
                client.post(path, body, key=new_key()).ok()["transaction"]["state"] == "COMPLETED"
            )

    def _refresh(self) -> None:
        self._scene.payee.refresh()
        with Client(self._scene.mesh.edge, token=self._scene.payee.access_token) as client:
            client.get("/api/v1/users/me").ok()

    def _operate(self) -> None:
        with self._scene.mesh.mesh_channel("ops") as channel:
            ledger_service_pb2_grpc.LedgerServiceStub(channel).GetTrialBalance(
                ledger_service_pb2.GetTrialBalanceRequest(tenant_id="default"), timeout=10
            )


def _hazina(mesh: Mesh, *arguments: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "mesh.cli", *arguments],
        cwd=ROOT,
        env={
            **process_environment(),
            "HAZINA_HOME": str(mesh.home.path),
            "HAZINA_PORT_BASE": str(mesh.ports.base),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr

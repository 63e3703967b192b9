"""Generation refuses broken contracts, is the same each time, and finds what has drifted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from mesh.contract import dependencies, descriptors
from mesh.contract.edge_set import edge_set
from mesh.contract.generate import drift, load, texts
from mesh.contract.model import Contract
from mesh.contract.read import read
from tests.unit.mesh.shop import ROOT, compile_shop


def test_a_contract_that_breaks_a_rule_is_not_generated(tmp_path: Path) -> None:
    compile_shop(tmp_path, ("idempotency: KEYED", ""))
    with pytest.raises(descriptors.ContractsBroken, match="BuyThing"):
        load(tmp_path)


def test_a_contract_that_does_not_compile_says_where(tmp_path: Path) -> None:
    with pytest.raises(descriptors.ContractsBroken, match=r"shop\.proto:\d+"):
        compile_shop(tmp_path, ("string text = 1;", "strin text = 1;"))


def test_generated_python_works_and_is_the_same_each_time(tmp_path: Path) -> None:
    compile_shop(tmp_path / "root")
    for name in ("one", "two"):
        descriptors.write_python(tmp_path / "root", tmp_path / name / "gen")
    assert drift(tmp_path / "one", tmp_path / "two", ("gen",)) == []
    program = (
        "from hazina.shop.v1 import shop_pb2, shop_pb2_grpc\n"
        "assert shop_pb2.Hours(text='a').SerializeToString()\n"
        "assert shop_pb2_grpc.ShopServiceStub\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "one/gen")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_drift_names_what_differs_is_missing_and_is_left_over(tmp_path: Path) -> None:
    for tree, files in (
        ("committed", {"gen/a": "1", "gen/b": "1", "gen/__pycache__/x": "1"}),
        ("fresh", {"gen/a": "2", "gen/c": "1"}),
    ):
        for name, text in files.items():
            (tmp_path / tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / tree / name).write_text(text)
    assert drift(tmp_path / "committed", tmp_path / "fresh") == [
        "gen/a differs",
        "gen/b is left over",
        "gen/c is missing",
    ]


def test_the_committed_texts_are_those_of_the_contracts() -> None:
    _, contract = load(ROOT)
    stale = [
        name
        for name, text in texts(ROOT, contract).items()
        if not (ROOT / name).is_file() or (ROOT / name).read_text() != text
    ]
    assert stale == [], "run `make gen`"


def test_dependencies_are_filled_again_when_a_wheel_changes(tmp_path: Path) -> None:
    folder = dependencies.fill(tmp_path)
    (folder / "versions.txt").write_text("older")
    (folder / "left-over.proto").write_text("")
    dependencies.fill(tmp_path)
    assert not (folder / "left-over.proto").exists()
    assert (folder / "buf/validate/validate.proto").is_file()


def test_the_edge_set_holds_only_what_the_edge_routes(tmp_path: Path) -> None:
    compiled = compile_shop(tmp_path)
    contract = read(compiled)

    def methods(*, is_development: bool) -> set[str]:
        made = edge_set(compiled, contract, is_development=is_development)
        return {m.name for file in made.file for service in file.service for m in service.method}

    assert "CountSales" not in methods(is_development=True)
    assert "BuyThing" in methods(is_development=False)
    assert methods(is_development=True) - methods(is_development=False) == {"TryThings"}


def test_the_edge_set_prints_errors_flat(tmp_path: Path) -> None:
    from google.protobuf import descriptor_pool

    compiled = compile_shop(tmp_path)
    made: FileDescriptorSet = edge_set(compiled, read(compiled), is_development=False)
    pool = descriptor_pool.DescriptorPool()
    for file in made.file:
        pool.Add(file)
    names = [field.name for field in pool.FindMessageTypeByName("google.rpc.Status").fields]
    assert names == [
        "code",
        "message",
        "status",
        "reason",
        "domain",
        "metadata",
        "field_violations",
        "request_id",
        "timestamp",
        "path",
    ]


def test_a_services_error_is_read_by_grpc_clients_as_a_plain_status(shop: Contract) -> None:
    from google.rpc import status_pb2 as plain

    from hazina.type.v1 import status_pb2 as ours

    sent = ours.Status(code=9, message="m", reason="R", request_id="r")
    sent.details.add(type_url="t")
    read_back = plain.Status.FromString(sent.SerializeToString())
    assert (read_back.code, read_back.message, len(read_back.details)) == (9, "m", 1)

"""The committed files start as they are, with the pages of the clone, in the production profile."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mesh.stack.certificates import Certificates
from tests.integration.edge.harness import (
    ROOT,
    WAIT_SECONDS,
    Keys,
    complaints,
    free_base,
    key_set,
    start_envoy,
    wait_until_ready,
)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A copy of `envoy/` beside links to what it names, on ports that are free."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("gen", "web"):
        (clone / name).symlink_to(ROOT / name)
    folder = clone / "envoy"
    shutil.copytree(ROOT / "envoy", folder)
    base = free_base()
    for path in folder.glob("*.yaml"):
        ports = re.sub(
            r"port_value: (80\d\d)",
            lambda m: f"port_value: {int(m[1]) - 8080 + base}",
            path.read_text(),
        )
        path.write_text(ports)
    Certificates(clone / "made").prepare()
    (folder / "certificates").symlink_to(clone / "made/envoy")
    (folder / "keys").mkdir()
    (folder / "keys/jwks.json").write_text(key_set(Keys("k")))
    process = start_envoy(folder, clone / "envoy.log")
    try:
        wait_until_ready(process, base + 3, clone / "envoy.log")
        yield clone, base
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


@pytest.fixture
def edge(committed: tuple[Path, int]) -> Iterator[httpx.Client]:
    """The edge of the committed files."""
    with httpx.Client(base_url=f"http://127.0.0.1:{committed[1]}") as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    """There are no services here."""


def test_they_start_without_a_warning(committed: tuple[Path, int]) -> None:
    assert complaints(committed[0] / "envoy.log") == []


@pytest.mark.parametrize(
    ("path", "kind", "holds"),
    [
        ("/", "text/html; charset=utf-8", "Hazina"),
        ("/docs", "text/html; charset=utf-8", "/docs/docs.js"),
        ("/docs/docs.js", "text/javascript; charset=utf-8", "/openapi.json"),
        ("/docs/docs.css", "text/css; charset=utf-8", "--ink"),
        ("/assets/landing.css", "text/css; charset=utf-8", "--ink"),
        ("/openapi.json", "application/json", '"openapi": "3.1.1"'),
    ],
)
def test_pages_are_served(edge: httpx.Client, path: str, kind: str, holds: str) -> None:
    found = edge.get(path)
    assert (found.status_code, found.headers["content-type"]) == (200, kind)
    assert holds in found.text
    assert found.headers["x-frame-options"] == "DENY"
    assert (
        "script-src 'self'" in found.headers["content-security-policy"] or path == "/openapi.json"
    )
    assert edge.head(path).status_code == 200


def test_pages_fetch_nothing_from_elsewhere_and_run_nothing_inline() -> None:
    for page in (ROOT / "web").rglob("*.*"):
        text = page.read_text()
        assert not re.search(r"(src|href)=\"https?:", text)
        assert not re.search(r"\burl\(|@import|<script>|\sstyle=|\son[a-z]+=", text)


def test_what_is_for_development_does_not_exist(edge: httpx.Client) -> None:
    found = edge.get("/dev/v1/messages")
    assert found.status_code == 404
    assert found.json()["reason"] == "ROUTE_NOT_FOUND"


def test_browsers_are_told_to_stay_with_tls(committed: tuple[Path, int]) -> None:
    with httpx.Client(verify=False) as client:
        found = client.get(f"https://127.0.0.1:{committed[1] + 1}/health")
    assert found.headers["strict-transport-security"] == "max-age=31536000"
    with httpx.Client() as client:
        plain = client.get(f"http://127.0.0.1:{committed[1]}/health")
    assert "strict-transport-security" not in plain.headers


def test_numbers_and_readiness_are_all_that_the_metrics_listener_shows(
    committed: tuple[Path, int],
) -> None:
    url = f"http://127.0.0.1:{committed[1] + 3}"
    assert "envoy_server_live" in httpx.get(f"{url}/stats/prometheus").text
    assert httpx.get(f"{url}/ready").text.strip() == "LIVE"
    for path in ("/quitquitquit", "/config_dump", "/certs", "/"):
        assert httpx.get(url + path).status_code == 404
        assert httpx.post(url + path).status_code == 404

"""The simulators as processes: they start, end cleanly, and say when a port is taken."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.harness import free_port

_ROOT = Path(__file__).resolve().parents[3]


def start(name: str, port: int) -> subprocess.Popen[str]:
    environ = {
        **os.environ,
        "PYTHONPATH": f"{_ROOT}:{_ROOT / 'gen/python'}",
        "HAZINA_MAIL_VIEWER_ADDRESS": f"127.0.0.1:{port}",
        "HAZINA_MAIL_SMTP_ADDRESS": f"127.0.0.1:{free_port()}",
        "HAZINA_SMS_ADDRESS": f"127.0.0.1:{port}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", f"simulators.{name}"],
        env=environ,
        cwd=_ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", ["mail", "sms"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(name: str, number: int) -> None:
    port = free_port()
    process = start(name, port)
    try:
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, complaints = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, complaints) == (0, "")


@pytest.mark.parametrize("name", ["mail", "sms"])
def test_a_taken_port_is_named(name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(name, port)
        try:
            _, complaints = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 1
    assert f"127.0.0.1:{port} cannot be opened" in complaints

"""The running program and a service manager: sockets passed by systemd-socket-activate, words at a NOTIFY_SOCKET.

What only a systemd that is process 1 can show is in deploy/README.md, with what was seen there.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.against.client import RawClient
from tests.against.deadline import free_port, wait_until
from tests.against.programs import program
from tests.against.scripted import ScriptedStandIn
from tests.deploy.artefacts import ROOT
from tests.service.manager import Manager

WATCHDOG = 0.5
"""Seconds of WatchdogSec=."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """The service manager."""
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def variables(manager: Manager) -> dict[str, str]:
    """Return what the manager puts into our environment."""
    return {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": str(round(WATCHDOG * 1_000_000)),
        "PYTHONPATH": str(ROOT),
    }


def command(port: int, upstream: int) -> list[str]:
    """Return how the guard is started."""
    return [
        sys.executable, "-m", "smtpguard", "run",
        "--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{upstream}", "--set", "log.target=journal",
    ]  # fmt: skip


@contextmanager
def process(folder: Path, words: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in `folder/out`; kill it at the end if it still runs."""
    with (folder / "out").open("wb") as out:
        running = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=os.environ | environment
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.wait(10)


def test_words(tmp_path: Path, mx: ScriptedStandIn, manager: Manager) -> None:
    """READY=1 when clients are served, pings, STOPPING=1 at SIGTERM, pings until the last session has ended."""
    port = free_port()
    with process(tmp_path, command(port, mx.port), variables(manager)) as guard:
        ready = manager.heard()
        assert ready[0] == "READY=1"
        assert ready[1].startswith("STATUS=")
        with RawClient(port) as client:
            assert client.reply().startswith(b"220")
            assert client.say(b"EHLO client.example").startswith(b"250")
            assert client.say(b"MAIL FROM:<a@client.example>").startswith(b"250")
            manager.wait_for("WATCHDOG=1")
            manager.wait_for("WATCHDOG=1")
            guard.send_signal(signal.SIGTERM)
            manager.wait_for("STOPPING=1")
            # The session is in a transaction and has its grace.
            manager.wait_for("WATCHDOG=1")
            client.say(b"RSET")
        assert guard.wait(20) == 0


def test_socket_activation(tmp_path: Path, mx: ScriptedStandIn, manager: Manager) -> None:
    """The socket is opened by systemd's own program; the client that waits in its queue is served when we are up."""
    port = free_port()
    passed = [f"--setenv={name}={value}" for name, value in variables(manager).items()]
    activate = [program("systemd-socket-activate"), f"--listen=127.0.0.1:{port}", "--fdname=smtp", *passed]
    with process(tmp_path, [*activate, *command(port, mx.port)], {}) as guard:
        wait_until(lambda: b"Listening on" in (tmp_path / "out").read_bytes(), "systemd-socket-activate")
        with RawClient(port) as client:
            assert manager.heard()[0] == "READY=1"
            assert client.reply().startswith(b"220")
            assert client.say(b"RCPT TO:<a@b>").startswith(b"503 5.5.1")
            manager.wait_for("WATCHDOG=1")
            guard.send_signal(signal.SIGTERM)
            manager.wait_for("STOPPING=1")
            assert client.reply().startswith(b"421")
        assert guard.wait(20) == 0
    assert b"rule=SG102" in (tmp_path / "out").read_bytes()


def test_a_socket_that_is_not_configured(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """Exit code 78, and both sides are named: the unit's socket and the configured listener."""
    port, other = free_port(), free_port()
    activate = [
        program("systemd-socket-activate"), f"--listen=127.0.0.1:{port}", "--fdname=smtp", f"--setenv=PYTHONPATH={ROOT}"
    ]  # fmt: skip
    with process(tmp_path, [*activate, *command(other, mx.port)], {}) as guard:
        wait_until(lambda: b"Listening on" in (tmp_path / "out").read_bytes(), "systemd-socket-activate")
        with RawClient(port):
            assert guard.wait(20) == 78
    said = (tmp_path / "out").read_text()
    assert f"127.0.0.1:{port} (smtp)" in said
    assert f"127.0.0.1:{other}" in said
    assert "ListenStream=" in said
    assert "Traceback" not in said

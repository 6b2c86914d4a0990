"""What the service manager hears: real datagrams at a NOTIFY_SOCKET of the test's own."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpguard.service.notify import Notifier
from tests.service.manager import Manager

ADDRESSES = ("path", "abstract")


@pytest.fixture(params=ADDRESSES)
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """A service manager at a path, and one at an abstract name."""
    address = f"@smtpguard-test-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    manager = Manager(address)
    yield manager
    manager.close()


@pytest.fixture
def notifier(manager: Manager) -> Iterator[Notifier]:
    """A notifier made from an environment."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address})
    yield notifier
    notifier.close()


def test_words(manager: Manager, notifier: Notifier) -> None:
    """Each method sends one datagram with the words of sd_notify(3)."""
    assert notifier.ready("listening on 0.0.0.0:25")
    assert manager.heard() == ["READY=1", "STATUS=listening on 0.0.0.0:25"]
    assert notifier.status("3 sessions")
    assert manager.heard() == ["STATUS=3 sessions"]
    assert notifier.alive()
    assert manager.heard() == ["WATCHDOG=1"]
    assert notifier.stopping("2 sessions open")
    assert manager.heard() == ["STOPPING=1", "STATUS=2 sessions open"]


def test_reloading_has_the_time(manager: Manager, notifier: Notifier) -> None:
    """RELOADING=1 comes with the microseconds of CLOCK_MONOTONIC, which the manager needs for notify-reload."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert notifier.reloading()
    word, stamp = manager.heard()
    assert word == "RELOADING=1"
    key, _, microseconds = stamp.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_is_one_line(manager: Manager, notifier: Notifier) -> None:
    """A line end in a text does not become a word to the manager; odd characters do no harm."""
    assert notifier.status("upstream:\r\nSTOPPING=1 \udcff é")
    assert manager.heard() == ["STATUS=upstream: STOPPING=1 ? é"]


def test_the_variables_are_taken_out() -> None:
    """Children do not inherit what is meant for us, whatever became of it; the rest of the environment stays."""
    environ = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/"}
    Notifier.from_environment(environ).close()
    assert environ == {"HOME": "/"}


def test_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument it is the environment of the process."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    notifier = Notifier.from_environment()
    notifier.close()
    assert notifier.watchdog == 5.0
    assert "NOTIFY_SOCKET" not in os.environ


@pytest.mark.parametrize(
    ("limit", "whom", "seconds"),
    [
        ("30000000", "", 15.0),
        ("30000000", str(os.getpid()), 15.0),
        ("30000000", "1", None),
        ("500000", "", 0.25),
        ("0", "", None),
        ("", "", None),
        ("-5", "", None),
        ("soon", "", None),
        ("²", "", None),
    ],
)
def test_the_watchdog(limit: str, whom: str, seconds: float | None) -> None:
    """Half of the manager's limit; none where it is meant for another process or is no number."""
    notifier = Notifier.from_environment({"WATCHDOG_USEC": limit, "WATCHDOG_PID": whom})
    assert notifier.watchdog == seconds


@pytest.mark.parametrize(
    "address", ["", "notify", "vsock:2:1234", "/no/such/directory/notify", "/" + "x" * 200, "/a\0b"]
)
def test_nobody_listens(address: str) -> None:
    """Without a manager, or with one that cannot be reached, every word is False and nothing is raised."""
    notifier = Notifier(address)
    assert not notifier.ready("")
    assert not notifier.status("")
    assert not notifier.reloading()
    assert not notifier.alive()
    assert not notifier.stopping("")
    notifier.close()


def test_a_manager_that_left(manager: Manager, notifier: Notifier) -> None:
    """A socket that was closed is told by False."""
    assert notifier.alive()
    manager.close()
    assert not notifier.alive()


def test_a_full_queue_keeps_nobody(manager: Manager, notifier: Notifier) -> None:
    """A manager that does not read: the word is dropped at once; when it reads again the next one arrives."""
    sent = 0
    while notifier.status(f"number {sent}"):
        sent += 1
        assert sent < 100_000
    assert manager.heard() == ["STATUS=number 0"]
    assert notifier.alive()


def test_no_descriptor_free(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings need no new descriptor; where there was none to begin with, every word is False."""
    notifier = Notifier(manager.address)

    def none_free(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_free)
    late = Notifier(manager.address)
    assert notifier.alive()
    assert not late.alive()
    notifier.close()


def test_the_socket_is_ours_alone(notifier: Notifier) -> None:
    """No child inherits the socket, and it never blocks; closed twice is closed once."""
    assert notifier._socket is not None
    assert fcntl.fcntl(notifier._socket, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    assert notifier._socket.getblocking() is False
    notifier.close()
    notifier.close()
    assert not notifier.alive()

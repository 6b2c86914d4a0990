"""The local syslog daemon: facility mail, one datagram a line, and its absence stops nobody."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpguard.record.append import NO_LOSS
from smtpguard.record.syslog import Syslog


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[socket.socket]:
    """Stand for /dev/log."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "log"))
        bound.settimeout(10)
        yield bound


def test_datagrams(daemon: socket.socket) -> None:
    """Each line is a datagram with its severity and our tag; a per cent sign is no format."""
    syslog = Syslog("smtpguard/smtpd", daemon.getsockname())
    assert syslog.write([(0, b"<6>one %s\n<4>warning: two\n"), (0, b"<3>three\n<7>four\n")]) == NO_LOSS
    tag = f"smtpguard/smtpd[{os.getpid()}]: "
    mail = 2 << 3
    texts = [(mail + 6, "one %s"), (mail + 4, "warning: two"), (mail + 3, "three"), (mail + 7, "four")]
    for priority, text in texts:
        assert daemon.recv(4096) == f"<{priority}>{tag}{text}\0".encode()
    syslog.close()


def test_daemon_restarts(daemon: socket.socket, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Lines without a daemon are counted, silently; the new daemon gets the next."""
    syslog = Syslog("smtpguard/smtpd", daemon.getsockname())
    daemon.close()
    (tmp_path / "log").unlink()
    assert syslog.write([(0, b"<6>one\n<6>two\n")]).lines == 2
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(tmp_path / "log"))
        again.settimeout(10)
        assert syslog.write([(0, b"<6>three\n")]) == NO_LOSS
        assert again.recv(4096).endswith(b": three\0")
    syslog.close()
    assert capfd.readouterr().err == ""


def test_no_daemon_at_start(tmp_path: Path) -> None:
    """A machine may start its syslog daemon after us: until then lines are counted as lost."""
    syslog = Syslog("smtpguard/smtpd", str(tmp_path / "log"))
    assert syslog.write([(0, b"<6>one\n")]).lines == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as late:
        late.bind(str(tmp_path / "log"))
        late.settimeout(10)
        assert syslog.write([(0, b"<6>two\n")]) == NO_LOSS
        assert late.recv(4096).endswith(b": two\0")
    syslog.close()

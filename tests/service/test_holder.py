"""Who listens on a port: told of this process, and of a /proc that is made up."""

import os
import socket
from pathlib import Path

import pytest

from smtpguard.service.holder import Holder, holder

ROW = "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1"


def made_up(folder: Path, command: str, *, state: str = "0A", port: int = 25, table: str = "tcp") -> Path:
    """Write a /proc with one program, pid 7, that has the socket of one row."""
    (folder / "net").mkdir()
    (folder / "net" / table).write_text("header\n" + ROW.format(port=port, state=state, inode=4711) + "\n")
    (folder / "7" / "fd").mkdir(parents=True)
    (folder / "7" / "fd" / "3").symlink_to("socket:[4711]")
    (folder / "7" / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
    (folder / "7" / "comm").write_text(Path(command.split(maxsplit=1)[0]).name[:15] + "\n")
    (folder / "self").mkdir()
    return folder


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_this_process(host: str) -> None:
    """A listener of ours is found by its port, while it is open and no longer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        found = holder(port)
        assert found is not None
        assert found.pid == os.getpid()
    assert holder(port) is None


@pytest.mark.parametrize("table", ["tcp", "tcp6"])
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("/usr/lib/postfix/sbin/master -w", Holder(7, "master", ours=False)),
        ("/opt/venv/bin/python /opt/venv/bin/smtpguard run", Holder(7, "smtpguard", ours=True)),
        ("/usr/bin/smtpguard run", Holder(7, "smtpguard", ours=True)),
        ("python -m /srv/smtpguard/__main__.py", Holder(7, "smtpguard", ours=True)),
        ("less /etc/x/smtpguard.toml", Holder(7, "less", ours=False)),
    ],
)
def test_its_name(tmp_path: Path, table: str, command: str, expected: Holder) -> None:
    """A program is called by its name, a smtpguard by ours whatever runs it."""
    assert holder(25, made_up(tmp_path, command, table=table)) == expected
    assert str(expected) == f"{expected.name}, pid 7"


def test_connections_are_no_listeners(tmp_path: Path) -> None:
    """Only a socket that listens holds a port."""
    assert holder(25, made_up(tmp_path, "master", state="01")) is None


def test_another_port(tmp_path: Path) -> None:
    """Nobody listens there."""
    assert holder(26, made_up(tmp_path, "master")) is None


def test_what_cannot_be_seen(tmp_path: Path) -> None:
    """A program that went away, or is another account's, is nobody."""
    proc = made_up(tmp_path, "master")
    (proc / "7" / "cmdline").unlink()
    assert holder(25, proc) is None
    (proc / "7" / "fd" / "3").unlink()
    (proc / "7" / "fd").rmdir()
    assert holder(25, proc) is None

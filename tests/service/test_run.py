"""The process: `python -m smtpguard run`, its exit codes, and SIGTERM."""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from smtpguard.config import Address
from tests.against.deadline import answers, free_port, wait_until
from tests.against.scripted import REPLIES, ScriptedStandIn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mx() -> Iterator[ScriptedStandIn]:
    """An upstream in a thread; it accepts every recipient, so it is an open relay."""
    assert REPLIES[b"RCPT"].startswith(b"250")
    stand_in = ScriptedStandIn()
    yield stand_in
    stand_in.close()


@contextmanager
def _process(folder: Path, listen: Address, upstream: int, *settings: str) -> Iterator[subprocess.Popen[bytes]]:
    pairs = (f"audit.directory={folder / 'audit'}", f"log.target={folder / 'log'}", *settings)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "smtpguard", "run", "--listen", str(listen), "--upstream", f"127.0.0.1:{upstream}",
            *(word for pair in pairs for word in ("--set", pair)),
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def _connected(port: int, process: subprocess.Popen[bytes]) -> socket.socket:
    wait_until(lambda: process.poll() is not None or answers(port), "the guard's port")
    assert process.poll() is None, process.communicate()[1].decode()
    return socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, mx: ScriptedStandIn, number: signal.Signals) -> None:
    """The idle client hears 421 and FIN, the exit code is 0, the log has its last line and the audit its session."""
    listen = Address("127.0.0.1", free_port())
    with _process(tmp_path, listen, mx.port) as process:
        with _connected(listen.port, process) as client, client.makefile("rb") as lines:
            assert lines.readline().startswith(b"220")
            client.sendall(b"RCPT TO:<a@b>\r\n")
            assert lines.readline().startswith(b"503 5.5.1")
            process.send_signal(number)
            assert lines.readline().startswith(b"421 4.3.2")
            assert lines.readline() == b""
        assert process.wait(20) == 0
    log = (tmp_path / "log").read_text()
    assert log.splitlines()[-1].endswith("stopped")
    assert "rule=SG102" in log
    (segment,) = (tmp_path / "audit").rglob("*.jsonl")
    assert len(segment.read_text().splitlines()) == 2


def test_an_open_relay_exits_with_the_cure(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """Exit code 78, the cure on standard error, and nobody was served."""
    listen = Address("0.0.0.0", free_port())
    with _process(tmp_path, listen, mx.port) as process:
        said = process.communicate(timeout=20)[1].decode()
        assert process.returncode == 78
    assert "relays mail of strangers" in said
    assert "mynetworks" in said
    assert "Traceback" not in said


def test_a_port_in_use_exits_with_the_cure(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """The address, the reason and the cure on standard error, no stack, and not exit code 0."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = Address("127.0.0.1", other.getsockname()[1])
        with _process(tmp_path, listen, mx.port) as process:
            said = process.communicate(timeout=20)[1].decode()
            assert process.returncode > 0
    assert f"listen = {listen}: Address already in use; another program has this port" in said
    assert "Traceback" not in said


def test_a_signal_while_upstream_is_being_asked(tmp_path: Path) -> None:
    """The probe of an upstream that says nothing is no reason not to go: exit code 0, the log is written."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listen = Address("0.0.0.0", free_port())
        with _process(tmp_path, listen, silent.getsockname()[1]) as process:
            silent.settimeout(20)
            asking, _ = silent.accept()
            with asking:
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
    assert (tmp_path / "log").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root can become another account")
def test_root_becomes_the_user(mx: ScriptedStandIn) -> None:
    """With `user` the port is opened as root, all the rest happens as that user, without a way back."""
    listen, nobody = Address("127.0.0.1", free_port()), pwd.getpwnam("nobody")
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with _process(folder, listen, mx.port, "user=nobody") as process:
            _connected(listen.port, process).close()
            # The port answers before anybody is served; a signal in between ends it before it has said anything.
            log = folder / "log"
            wait_until(lambda: log.exists() and "started:" in log.read_text(), "the first line of the log")
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            found = {line.split(":")[0]: line.split()[1:] for line in status}
            process.terminate()
            assert process.wait(20) == 0
        assert found["Uid"] == [str(nobody.pw_uid)] * 4
        assert found["Gid"] == [str(nobody.pw_gid)] * 4
        assert found["Groups"] == [str(nobody.pw_gid)]
        assert {int(found[name][0], 16) for name in ("CapPrm", "CapEff", "CapAmb")} == {0}
        assert f"uid={nobody.pw_uid}" in (folder / "log").read_text()
        assert (folder / "log").stat().st_uid == nobody.pw_uid


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("audit.directory=/proc/none", "audit.directory = /proc/none: "),
        ("log.target=none/log", "log.target = none/log: no such directory; name a file in one that exists, or stdout"),
        ("user=no-such-user", "user = no-such-user: no such user; `adduser --system --group no-such-user` makes it"),
    ],
)
def test_places_and_accounts_are_examined(tmp_path: Path, mx: ScriptedStandIn, setting: str, said: str) -> None:
    """What cannot be written, or become, is said at the start; exit code 78, no stack."""
    with _process(tmp_path, Address("127.0.0.1", free_port()), mx.port, setting) as process:
        heard = process.communicate(timeout=20)[1].decode()
        assert process.returncode == 78
    assert said in heard
    assert "Traceback" not in heard


def test_two_listeners_with_their_own_policy(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """One enforces, the other only observes; log and audit call each by its name."""
    listen = Address("127.0.0.1", free_port())
    watched = f"listener.audit={{address = '127.0.0.1:{free_port()}', policy.mode = 'observe'}}"
    with _process(tmp_path, listen, mx.port, watched) as process:
        for port, heard in ((listen.port, b"503 5.5.1"), (int(watched.split("'")[1].split(":")[1]), b"250")):
            with _connected(port, process) as client, client.makefile("rb") as lines:
                assert lines.readline().startswith(b"220")
                client.sendall(b"RCPT TO:<a@b>\r\n")
                assert lines.readline().startswith(heard)
        process.terminate()
        assert process.wait(20) == 0
    found = [line for line in (tmp_path / "log").read_text().splitlines() if "rule=SG102" in line]
    assert [line.partition(" listener=")[2].split()[0] for line in found] == [str(listen), "audit"]
    assert ["reject_warning" in line for line in found] == [False, True]


def _say(listen: Address, process: subprocess.Popen[bytes], *lines: bytes) -> bytes:
    """Play a session of these commands, and return what is heard last."""
    with _connected(listen.port, process) as client, client.makefile("rb") as replies:
        heard = replies.readline()
        for line in lines if heard.startswith(b"220") else ():
            client.sendall(line + b"\r\n")
            heard = replies.readline()
    return heard


def test_sigusr1_opens_log_and_audit_afresh(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """What was renamed is left at once and gets nothing more; what comes is in new files; no line is lost."""
    listen = Address("127.0.0.1", free_port())
    log = tmp_path / "log"
    with _process(tmp_path, listen, mx.port) as process:
        assert _say(listen, process, b"RCPT TO:<before@b>").startswith(b"503")
        wait_until(lambda: "before@b" in log.read_text(), "the line in the log")
        wait_until(lambda: _events(tmp_path) == 2, "the events of the first session")
        log.rename(tmp_path / "log.1")
        for segment in (tmp_path / "audit").rglob("*.jsonl"):
            segment.rename(tmp_path / "segment.1")
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: not _open_below(process.pid, (tmp_path / "log.1", tmp_path / "segment.1")), "the old files")
        assert _say(listen, process, b"RCPT TO:<after@b>").startswith(b"503")
        process.terminate()
        assert process.wait(20) == 0
    assert "SIGUSR1" in log.read_text() + (tmp_path / "log.1").read_text()
    assert "after@b" in log.read_text()
    assert "before@b" not in log.read_text()
    assert len((tmp_path / "segment.1").read_text().splitlines()) == _events(tmp_path) == 2


def _events(folder: Path) -> int:
    return sum(len(segment.read_text().splitlines()) for segment in (folder / "audit").rglob("*.jsonl"))


def _open_below(pid: int, paths: Sequence[Path]) -> bool:
    """Tell whether a process has one of the files open."""
    opened = [each.stat() for each in Path(f"/proc/{pid}/fd").iterdir() if each.exists()]
    return any(os.path.samestat(path.stat(), status) for path in paths for status in opened)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_turns_clients_away(tmp_path: Path, small_disk: Path, mx: ScriptedStandIn) -> None:
    """On a real disk without room: 421 4.3.0 for new clients, the session under way goes on, and when there is room
    again everybody is let in, within seconds and without a restart."""
    listen = Address("127.0.0.1", free_port())
    settings = (f"audit.directory={small_disk / 'audit'}", "audit.on-failure=refuse")
    filler = small_disk / "filler"
    with _process(tmp_path, listen, mx.port, *settings) as process:
        with _connected(listen.port, process) as client, client.makefile("rb") as replies:
            assert replies.readline().startswith(b"220")
            _fill(filler)
            assert _say(listen, process, b"RCPT TO:<a@b>" * 300).startswith(b"503")
            wait_until(lambda: _say(listen, process, b"NOOP").startswith(b"421 4.3.0 Service not available"), "421")
            client.sendall(b"NOOP\r\n")
            assert replies.readline().startswith(b"250")
        filler.unlink()
        wait_until(lambda: _say(listen, process, b"NOOP").startswith(b"250"), "a service that is back")
        process.terminate()
        assert process.wait(20) == 0
    log = (tmp_path / "log").read_text()
    assert "warning: audit: No space left on device; new clients hear 421 until it can be written" in log
    assert "audit lines dropped: No space left on device" in log
    assert "audit: it can be written again, new clients are let in" in log


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(path).f_bavail == 0


def test_addresses_are_hashed_with_one_key(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """Two runs make the same token of an address; the audit holds no local part and no whole client address, the
    operator's log does."""
    found = []
    for _ in range(2):
        listen = Address("127.0.0.1", free_port())
        with _process(tmp_path, listen, mx.port, "privacy.addresses=hash", "privacy.client-ip=truncate") as process:
            assert _say(listen, process, b"RCPT TO:<secret@example.net>").startswith(b"503")
            process.terminate()
            assert process.wait(20) == 0
    for segment in (tmp_path / "audit").rglob("*.jsonl"):
        text = segment.read_text()
        assert "secret" not in text
        assert '"source":{"ip":"127.0.0.0","port":0}' in text
        assert "127.0.0.1" not in [json.loads(line)["source"]["ip"] for line in text.splitlines()]
        found += [json.loads(line)["smtp"].get("line", "") for line in text.splitlines()]
    tokens = [line for line in found if line]
    assert len(tokens) == 2
    assert re.fullmatch(r"RCPT TO:<h:[0-9a-f]{12}@example\.net>", tokens[0])
    assert tokens[0] == tokens[1]
    assert "secret@example.net" in (tmp_path / "log").read_text()
    assert (tmp_path / "audit" / "privacy.key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_is_none(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """Exit code 78, with the file and the cure; it is not written over."""
    key = tmp_path / "audit" / "privacy.key"
    key.parent.mkdir()
    key.write_text("secret")
    with _process(tmp_path, Address("127.0.0.1", free_port()), mx.port, "privacy.addresses=hash") as process:
        said = process.communicate(timeout=20)[1].decode()
        assert process.returncode == 78
    assert f"privacy.addresses = hash: {key} holds no key of 32 octets in hexadecimal; restore it, or remove it" in said
    assert "Traceback" not in said
    assert key.read_text() == "secret"

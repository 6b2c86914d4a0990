"""Whole lines into a descriptor: what did not fit is counted, and the next batch begins on a fresh line."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from smtpguard.record.append import NO_LOSS, Appender, Loss, NamedFile


class FullDisk:
    """Stands for `os.write` on a disk with `room` octets left: a write that does not fit is short, as on Linux."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self.calls = 0
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, fd: int, octets: memoryview) -> int:
        self.calls += 1
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, octets[: self.room])
        self.room -= written
        return written


def test_one_write_for_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is one system call."""
    disk = FullDisk(monkeypatch, 1000)
    appender = Appender.open(tmp_path / "log")
    assert appender.write(b"one\ntwo\nthree\n") == NO_LOSS
    appender.close()
    assert disk.calls == 1


def test_mode_whatever_the_umask(tmp_path: Path) -> None:
    """Files are 0640 even where the umask would take the group's right, or give the world one."""
    for umask in (0o077, 0o000):
        before = os.umask(umask)
        path = tmp_path / f"log{umask}"
        Appender.open(path).close()
        os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_mode_of_an_old_file_is_left_alone(tmp_path: Path) -> None:
    """An administrator's chmod holds."""
    path = tmp_path / "log"
    path.write_bytes(b"old\n")
    path.chmod(0o600)
    Appender.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("room", "lost", "left"),
    [
        (0, 3, b"next\n"),
        (2, 3, b"on\nnext\n"),
        (4, 2, b"one\nnext\n"),
        (6, 2, b"one\ntw\nnext\n"),
        (8, 1, b"one\ntwo\nnext\n"),
    ],
)
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, lost: int, left: bytes) -> None:
    """What was not written whole is counted; at worst one line is cut, and the next batch is not glued to it."""
    path = tmp_path / "log"
    appender = Appender.open(path)
    disk = FullDisk(monkeypatch, room)
    assert appender.write(b"one\ntwo\nthree\n") == Loss(lost, "No space left on device")
    disk.room = 100
    assert appender.write(b"next\n") == NO_LOSS
    appender.close()
    assert path.read_bytes() == left


def test_full_again_behind_a_cut_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line end that mends a cut line is not taken for a line that was saved."""
    path = tmp_path / "log"
    appender = Appender.open(path)
    disk = FullDisk(monkeypatch, 2)
    appender.write(b"one\n")
    for room, loss in ((0, Loss(1, "No space left on device")), (1, Loss(1, "No space left on device"))):
        disk.room = room
        assert appender.write(b"two\n") == loss
    disk.room = 100
    assert appender.write(b"three\n") == NO_LOSS
    appender.close()
    assert path.read_bytes() == b"on\nthree\n"


def test_a_real_full_device() -> None:
    """/dev/full is what it says."""
    appender = Appender.open(Path("/dev/full"))
    assert appender.write(b"one\ntwo\n") == Loss(2, "No space left on device")
    appender.close()


def test_file_that_a_crash_left_cut(tmp_path: Path) -> None:
    """A last line without its end, of an earlier run, is closed before ours begins."""
    path = tmp_path / "log"
    path.write_bytes(b"whole\ncut")
    appender = Appender.open(path)
    appender.write(b"ours\n")
    appender.close()
    assert path.read_bytes() == b"whole\ncut\nours\n"


def test_file_that_vanished(tmp_path: Path) -> None:
    """A file without a name is known to be gone."""
    path = tmp_path / "log"
    appender = Appender.open(path)
    assert not appender.gone
    path.unlink()
    assert appender.gone
    appender.close()


def test_reader_gone() -> None:
    """A pipe that nobody reads loses the lines, and raises nothing."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    appender = Appender(write_end)
    assert appender.write(b"one\n") == Loss(1, "Broken pipe")
    appender.close()


def test_pipe_that_somebody_made_non_blocking() -> None:
    """A full pipe is waited for, not lost, also where its descriptor does not block."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    lines = b"x" * 99 + b"\n"
    batch = lines * 2000
    received: list[bytes] = []

    def read_all() -> None:
        while octets := os.read(read_end, 65536):
            received.append(octets)

    reader = threading.Thread(target=read_all)
    appender = Appender(write_end)
    reader.start()
    assert appender.write(batch) == NO_LOSS
    appender.close()
    reader.join()
    os.close(read_end)
    assert b"".join(received) == batch


def test_a_renamed_file_is_left(tmp_path: Path) -> None:
    """What rotation renamed keeps its lines; the next go into a new file of the name."""
    path = tmp_path / "log"
    file = NamedFile(path)
    file.write(b"one\n")
    path.rename(tmp_path / "log.1")
    file.write(b"two\n")
    path.rename(tmp_path / "log.2")
    path.write_bytes(b"made by rotation\n")
    file.write(b"three\n")
    path.unlink()
    file.write(b"four\n")
    file.close()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "log.1": b"one\n", "log.2": b"two\n", "log": b"four\n",
    }  # fmt: skip


def test_no_new_file_to_be_had(tmp_path: Path) -> None:
    """Where no new file can be made the old one goes on, and no line is lost."""
    path = tmp_path / "log"
    file = NamedFile(path)
    path.rename(tmp_path / "log.1")
    path.mkdir()
    assert file.write(b"one\n") == NO_LOSS
    file.close()
    assert (tmp_path / "log.1").read_bytes() == b"one\n"


def test_reopened(tmp_path: Path) -> None:
    """Asked to, it leaves its file for the one of the name: a new one, also where the old one was only copied."""
    path = tmp_path / "log"
    file = NamedFile(path)
    file.write(b"one\n")
    file.reopen()
    file.write(b"two\n")
    path.rename(tmp_path / "log.1")
    file.reopen()
    # At once, not at the next line.
    assert path.read_bytes() == b""
    file.write(b"three\n")
    file.close()
    assert ((tmp_path / "log.1").read_bytes(), path.read_bytes()) == (b"one\ntwo\n", b"three\n")


def test_no_file_at_all(tmp_path: Path) -> None:
    """At the start it is an error."""
    with pytest.raises(IsADirectoryError):
        NamedFile(tmp_path)

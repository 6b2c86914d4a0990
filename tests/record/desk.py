"""A recorder on a desk of its own: sinks in a directory, a clock that stands, and a disk that can be full."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from smtpguard.record import LogSettings, Recorder, Retention
from smtpguard.record.archive import RETENTION
from tests.record.samples import NOW


class Desk:
    """A recorder with its sinks in a directory, and a clock that stands until it is set."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "smtpguard.log"
        self.audit = directory / "audit"
        self.now = NOW
        self.recorders: list[Recorder] = []

    def recorder(self, *, audited: bool = True, retention: Retention = RETENTION, **settings: Any) -> Recorder:
        """Return a recorder that writes to the two paths."""
        log = LogSettings(**{"target": str(self.log), **settings})
        directory = self.audit if audited else None
        recorder = Recorder(log, audit_directory=directory, retention=retention, hostname="mx1", clock=lambda: self.now)
        self.recorders.append(recorder)
        return recorder

    def lines(self) -> list[str]:
        """Return what the operator sees, without prefixes."""
        return [line.split("]: ", 1)[1] for line in self.log.read_text("ascii").splitlines()]


class Disk:
    """Stands before `os.write`: counts the audit's lines, and has no room for them while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.lines = 0
        self.tries = 0
        """Pages of nothing, by which the recorder finds out whether there is room."""
        self._changed = threading.Condition()
        self._write = os.write
        monkeypatch.setattr(os, "write", self)

    def __call__(self, fd: int, octets: memoryview) -> int:
        tried = not any(octets) and len(octets) > 1
        if bytes(octets[:13]) != b'{"@timestamp"' and not tried:
            return self._write(fd, octets)
        with self._changed:
            self.tries += tried
            self._changed.notify_all()
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(fd, octets)
        with self._changed:
            self.lines += bytes(octets[:written]).count(b"\n")
            self._changed.notify_all()
        return written

    async def until(self, lines: int) -> None:
        """Wait until the audit has this many lines: by a thread, because the clock of the test jumps."""
        assert await trio.to_thread.run_sync(self._wait, lines)

    async def until_tried(self, times: int) -> None:
        """Wait until the recorder has tried so many times more."""
        tries = self.tries + times
        assert await trio.to_thread.run_sync(self._wait_for_tries, tries)

    def _wait_for_tries(self, tries: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.tries >= tries, 30)

    def _wait(self, lines: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.lines >= lines, 30)

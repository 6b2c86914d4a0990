"""Whole lines into a descriptor, with one `write` where the system allows it, and the truth about what did not fit.

A disk that runs full in the middle of a batch leaves a cut last line. The `Appender` remembers it and begins the next
batch with a line end, so that one line is lost to a reader and no more. The same holds for a file that a crash left
cut: it is looked at when it is opened.

Blocks; called from threads only. A pipe that somebody made non-blocking is waited for.
"""

import fcntl
import os
import select
import stat
from pathlib import Path
from typing import NamedTuple

FILE_MODE = 0o640
DIRECTORY_MODE = 0o750


class Loss(NamedTuple):
    """Lines of a batch that did not get out, and why."""

    lines: int
    reason: str = ""


NO_LOSS = Loss(0)


class Appender:
    """One descriptor that lines are appended to."""

    __slots__ = ("_fd", "_torn")

    def __init__(self, fd: int, *, torn: bool = False) -> None:
        self._fd = fd
        self._torn = torn

    @classmethod
    def open(cls, path: Path) -> "Appender":
        """Open a file for appending, mode 0640 whatever the umask; a cut last line is noticed.

        Raises:
            OSError: it cannot be opened or created.
        """
        # O_RDWR: the last octet must be read. A FIFO or a device has no last octet, and must not stall us in open.
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY, FILE_MODE)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return cls(fd)
        if status.st_size == 0:
            os.fchmod(fd, FILE_MODE)
        return cls(fd, torn=status.st_size > 0 and os.pread(fd, 1, status.st_size - 1) != b"\n")

    @property
    def gone(self) -> bool:
        """True if nobody can find the file any more: its last name was removed."""
        return os.fstat(self._fd).st_nlink == 0

    @property
    def empty(self) -> bool:
        """True if nothing was written to the file, by nobody."""
        return os.fstat(self._fd).st_size == 0

    def hold(self) -> bool:
        """Share a lock on the file for as long as it is open; False: somebody has it for himself."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # A file system without locks; what they keep apart meets there only by a great chance.
            return True
        return True

    def is_at(self, path: Path) -> bool:
        """Tell whether this is the file of that name."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._fd))
        except OSError:
            return False

    def write(self, lines: bytes) -> Loss:
        """Append whole lines; never raises `OSError`."""
        octets = b"\n" + lines if self._torn else lines
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[self._write_some(rest) :]
        except OSError as error:
            written = octets[: len(octets) - len(rest)]
            if written:
                self._torn = not written.endswith(b"\n")
            whole = written.count(b"\n") - (len(octets) - len(lines) if written else 0)
            return Loss(lines.count(b"\n") - whole, error.strerror or str(error))
        self._torn = False
        return NO_LOSS

    def _write_some(self, octets: memoryview) -> int:
        try:
            return os.write(self._fd, octets)
        except BlockingIOError:
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            poll.poll()
            return 0

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


class NamedFile:
    """The file of a name, whichever it is: one that log rotation renamed or removed is left, a new one is made.

    While no new one can be had the old one goes on.
    """

    __slots__ = ("_appender", "_path")

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OSError: it cannot be opened or created.
        """
        self._path = path
        self._appender = Appender.open(path)

    def write(self, lines: bytes) -> Loss:
        """Append whole lines; never raises `OSError`."""
        if not self._appender.is_at(self._path):
            self.reopen()
        return self._appender.write(lines)

    def reopen(self) -> None:
        """Leave the open file for the one that has the name now; it is made where there is none."""
        try:
            fresh = Appender.open(self._path)
        except OSError:
            return
        self._appender.close()
        self._appender = fresh

    def close(self) -> None:
        """Close it."""
        self._appender.close()

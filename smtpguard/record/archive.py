"""What becomes of the audit's files: hours that are over are gzipped, and the oldest are thrown away.

`tidy` is called at the start and in the second minute of each hour, in a thread of its own: the lane that writes
events does not wait for it, however large a file is. It never touches an hour that may be written still.

Gzipping: into `NAME.jsonl.gz.part`, fsync, rename to `NAME.jsonl.gz`, fsync of the directory, and only then the plain
file goes. A crash leaves the plain file, and perhaps a part or the whole `.gz` beside it; the next start gzips it
again, over what lies there. Each process gzips its own files only. The same events make the same octets (mtime 0 in
gzip's header), and the `.gz` has the plain file's time of last write.

Throwing away: what is older than `days`, then, oldest first, what is too much for `size`, of all processes that write
into the directory, gzipped or not. Nothing goes but files of our own names in directories of days, and such
directories when they are empty. Several processes do this at once: a file that another one took is no trouble.
"""

import fcntl
import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from smtpguard.record.append import FILE_MODE
from smtpguard.record.clock import HOUR, hour_of
from smtpguard.record.segments import packed, segment_at, segments_below

SETTLED: Final = 60.0
"""Seconds behind an hour in which its last events may be on their way to the file."""

PART: Final = ".part"
"""What is put behind the name of a file that is not whole yet."""

_LEVEL: Final = 6
"""zlib's own default: level 9 takes three times the time for 2 % less."""

_CHUNK: Final = 256 * 1024
_DAY: Final = 86400


class Retention(NamedTuple):
    """How much evidence is kept; 0 is no bound."""

    days: int = 90
    size: int = 2_000_000_000
    """Octets of all files together, the open ones too, which never go for it."""


RETENTION: Final = Retention()


class Archive:
    """The files below one directory, kept in order by one process.

    Args:
        root: the directory with a directory for each day.
        stem: whose files are gzipped, `HOST-w0`.
        retention: what is thrown away.
    """

    __slots__ = ("_retention", "_root", "_stem", "_tidied")

    def __init__(self, root: Path, stem: str, retention: Retention) -> None:
        self._root = root
        self._stem = stem
        self._retention = retention
        self._tidied = -1

    def due(self, at: float) -> bool:
        """Tell whether an hour has ended since the last call, and remember that."""
        hour = hour_of(at - SETTLED)
        if hour == self._tidied:
            return False
        self._tidied = hour
        return True

    def tidy(self, at: float) -> list[str]:
        """Gzip and throw away what the clock `at` asks for; return what could not be done. Blocks."""
        troubles: list[str] = []
        over = hour_of(at - SETTLED)
        try:
            oldest = at - self._retention.days * _DAY if self._retention.days else 0
            for segment in segments_below(self._root):
                if segment.hour < over and (segment.hour + 1) * HOUR <= oldest:
                    troubles += _removed(segment.path)
            troubles += self._pack_all(over)
            troubles += self._shrink(over)
            self._remove_empty_days(over)
        except OSError as error:
            troubles.append(_said(error))
        return troubles

    def _pack_all(self, over: int) -> Iterator[str]:
        for segment in segments_below(self._root):
            if segment.stem == self._stem and segment.hour < over and not segment.packed:
                try:
                    _pack(segment.path)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    yield f"{segment.path.name} is not gzipped: {_said(error)}"
        for part in self._root.glob(f"*/*{PART}"):
            whole = segment_at(part.with_suffix(""))
            # A part whose plain file is there belongs to who gzips it now.
            if whole and whole.stem == self._stem and not part.with_suffix("").with_suffix("").exists():
                yield from _removed(part)

    def _shrink(self, over: int) -> Iterator[str]:
        if not self._retention.size:
            return
        sizes = [(segment, _size(segment.path)) for segment in segments_below(self._root)]
        excess = sum(size for _, size in sizes) - self._retention.size
        for segment, size in sizes:
            if excess <= 0:
                return
            if segment.hour < over:
                excess -= size
                yield from _removed(segment.path)

    def _remove_empty_days(self, over: int) -> None:
        """Remove directories that nothing is in, but for the day that is written now."""
        for day in self._root.glob("*"):
            noon = segment_at(day / f"{self._stem}-12.jsonl")
            if noon and noon.hour // 24 < over // 24:
                try:
                    day.rmdir()
                except OSError:
                    # Something is in it, or another process was here first.
                    continue


def _pack(path: Path) -> None:
    """Put a file's gzip in its place, unless somebody writes it."""
    with path.open("rb") as plain:
        try:
            fcntl.flock(plain, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            # A file system without locks: the hour is over and settled.
            pass
        status = os.fstat(plain.fileno())
        if status.st_size:
            part = path.with_name(packed(path).name + PART)
            try:
                _compress(plain.fileno(), part, status)
                part.rename(packed(path))
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            _settle(path.parent)
        path.unlink()


def _compress(plain: int, part: Path, status: os.stat_result) -> None:
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    with open(fd, "wb") as made, open(plain, "rb", closefd=False) as read:  # noqa: PTH123 - descriptors
        os.fchmod(fd, FILE_MODE)
        with gzip.GzipFile("", "wb", _LEVEL, made, mtime=0) as stream:
            shutil.copyfileobj(read, stream, _CHUNK)
        made.flush()
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(fd)


def _settle(directory: Path) -> None:
    """Have the directory's names on disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _removed(path: Path) -> list[str]:
    """Remove a file, and say so where that could not be done."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return [_said(error)]
    return []


def _said(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)

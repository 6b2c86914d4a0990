"""The audit's files: `DIRECTORY/events/2026-11-23/HOST-w0-18.jsonl`, one for each process and hour of UTC.

A batch goes to the hours its events were born in, so that a reader may choose files by their names. Each part is one
`write` with O_APPEND; nothing is rewritten, and `grep`, `jq` and `tail -F` work on the open file.

Names:

    HOST-w0-18.jsonl       written, or to be gzipped still
    HOST-w0-18.jsonl.gz    an hour that is over: `archive` puts it here whole, then takes the plain one away
    HOST-w0-18.1.jsonl     what came late for an hour that was gzipped; then `.2` and so on, each gzipped too
    HOST-w0-18.jsonl.gz.part, HOST-w0.probe    half made, never read

Where a plain file and its `.gz` both lie (a crash between the two steps), the plain one is read and not the other.

A writer has a shared lock (flock) on the file it has open, who gzips asks for an exclusive one: so neither a late
event nor another process of the same name writes into a file that is about to go. No reader locks anything.

No failure stops mail or is kept waiting for: what cannot be written is counted as lost, with the system's reason, and
the next batch tries afresh. A directory that vanished is made again. Directories are 0750, files 0640."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import count, groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

from smtpguard.record.append import DIRECTORY_MODE, FILE_MODE, NO_LOSS, Appender, Loss
from smtpguard.record.clock import day_and_hour

PACKED: Final = ".gz"
"""What is put behind the name of a gzipped file."""

PROBED: Final = 4096
"""Octets that must fit: a page, so that a full disk does not pass for one with room."""

_UNSAFE_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9.-]")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAME: Final = re.compile(r"([A-Za-z0-9._-]+-w[0-9]+)-([01][0-9]|2[0-3])(?:\.([1-9][0-9]*))?\.jsonl(\.gz)?")
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Segment(NamedTuple):
    """One file of the audit, in the order in which they are read, and thrown away."""

    hour: int
    """Counted from the epoch."""
    stem: str
    """`HOST-w0`: who wrote it."""
    number: int
    """0, or which of the files for late events it is."""
    packed: bool
    path: Path


class Segments:
    """Writes encoded events; blocks, so called from threads only, one at a time."""

    __slots__ = ("_appender", "_hour", "root", "stem")

    def __init__(self, directory: Path, hostname: str, worker: int) -> None:
        self.root = directory / "events"
        self.stem = f"{_UNSAFE_IN_NAMES.sub('_', hostname)}-w{worker}"
        self._hour = -1
        self._appender: Appender | None = None

    def path(self, hour: int, number: int = 0) -> Path:
        """Return a plain file of an hour, counted from the epoch; `number` says which of them."""
        day, hour_of_day = day_and_hour(hour)
        late = f".{number}" if number else ""
        return self.root / day / f"{self.stem}-{hour_of_day}{late}.jsonl"

    def prepare(self, hour: int) -> None:
        """Make the directory and see whether an event of that hour could be written.

        Raises:
            OSError: it could not.
        """
        make_directory(self.root)
        self._probe(hour)

    def probe(self, hour: int) -> str:
        """Say why an event of that hour could not be written; empty if it could."""
        try:
            self._probe(hour)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _probe(self, hour: int) -> None:
        self._opened(hour)
        # Beside the segment, not into it: a reader counts what is no event.
        path = self.path(hour).with_name(f"{self.stem}.probe")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            if os.write(fd, bytes(PROBED)) < PROBED:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(fd)
        finally:
            os.close(fd)
            path.unlink(missing_ok=True)

    def write(self, batch: Iterable[tuple[int, bytes]]) -> Loss:
        """Append lines, each with its hour; return what was lost."""
        lost = NO_LOSS
        for hour, lines in groupby(batch, itemgetter(0)):
            octets = b"".join(line for _, line in lines)
            one = self._append(hour, octets)
            lost = Loss(lost.lines + one.lines, one.reason or lost.reason)
        return lost

    def _append(self, hour: int, octets: bytes) -> Loss:
        try:
            return self._opened(hour).write(octets)
        except OSError as error:
            return Loss(octets.count(b"\n"), error.strerror or str(error))

    def _opened(self, hour: int) -> Appender:
        if self._appender and (hour != self._hour or self._appender.gone):
            self.close()
        if not self._appender:
            make_directory(self.path(hour).parent)
            self._appender, self._hour = self._open(hour), hour
        return self._appender

    def _open(self, hour: int) -> Appender:
        """Open the first file of the hour that is not gzipped, nor about to be."""
        for number in count():
            path = self.path(hour, number)
            if packed(path).exists():
                continue
            appender = Appender.open(path)
            # Looked at again under the lock: between look and open it may have been gzipped and taken away.
            mine = appender.hold() and appender.is_at(path)
            if mine and not packed(path).exists():
                return appender
            if mine and appender.empty:
                # We made it just now, and beside its gzip it would be read in its place.
                path.unlink(missing_ok=True)
            appender.close()
        raise AssertionError("numbers do not end")

    def close(self) -> None:
        """Close the open file; the next batch opens it again."""
        appender, self._appender = self._appender, None
        if appender:
            try:
                appender.close()
            except OSError:
                # What it complains of is written or lost already; the descriptor is gone either way.
                return


def packed(path: Path) -> Path:
    """Return where a plain file is once it is gzipped."""
    return path.with_name(path.name + PACKED)


def segment_at(path: Path) -> Segment | None:
    """Read a file's name and its day's; None: it is none of ours."""
    day, name = _DAY.fullmatch(path.parent.name), _NAME.fullmatch(path.name)
    if day is None or name is None:
        return None
    try:
        days = date.fromisoformat(day[0]).toordinal() - _EPOCH
    except ValueError:
        return None
    return Segment(days * 24 + int(name[2]), name[1], int(name[3] or 0), name[4] is not None, path)


def segments_below(root: Path) -> list[Segment]:
    """List the segments in the day directories of `root`, of all processes, oldest first.

    What vanishes meanwhile is left out; links and what has another name are none of ours.

    Raises:
        OSError: a directory cannot be read.
    """
    return sorted(
        segment for day in _listed(root) if _DAY.fullmatch(day.name) and day.is_dir(follow_symlinks=False)
        for each in _listed(day.path) if each.is_file(follow_symlinks=False)
        if (segment := segment_at(Path(each.path)))
    )  # fmt: skip


def _listed(directory: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except FileNotFoundError:
        return


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, all 0750: `Path.mkdir(parents=True)` gives the mode to the last one only."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(DIRECTORY_MODE, exist_ok=True)

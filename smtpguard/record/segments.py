"""The audit's files: `DIRECTORY/events/2026-11-23/HOST-w0-18.jsonl`, one for each process and hour of UTC.

A batch goes to the hours its events were born in, so that a reader may choose files by their names. Each part is one
`write` with O_APPEND; nothing is locked, renamed or rewritten, and `grep`, `jq` and `tail -F` work on the open file.

No failure stops mail or is kept waiting for: what cannot be written is counted as lost, with the system's reason, and
the next batch tries afresh. A directory that vanished is made again. Directories are 0750, files 0640."""

import re
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from smtpguard.record.append import DIRECTORY_MODE, NO_LOSS, Appender, Loss
from smtpguard.record.clock import day_and_hour

_UNSAFE_IN_NAMES = re.compile(r"[^A-Za-z0-9.-]")


class Segments:
    """Writes encoded events; blocks, so called from threads only."""

    __slots__ = ("_appender", "_hour", "_root", "_stem")

    def __init__(self, directory: Path, hostname: str, worker: int) -> None:
        self._root = directory / "events"
        self._stem = f"{_UNSAFE_IN_NAMES.sub('_', hostname)}-w{worker}"
        self._hour = -1
        self._appender: Appender | None = None

    def path(self, hour: int) -> Path:
        """Return the file of an hour, counted from the epoch."""
        day, hour_of_day = day_and_hour(hour)
        return self._root / day / f"{self._stem}-{hour_of_day}.jsonl"

    def prepare(self) -> None:
        """Make the directory, so that a mistake shows at start.

        Raises:
            OSError: it cannot be made.
        """
        make_directory(self._root)

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
            path = self.path(hour)
            make_directory(path.parent)
            self._appender, self._hour = Appender.open(path), hour
        return self._appender

    def close(self) -> None:
        """Close the open file; the next batch opens it again."""
        if self._appender:
            self._appender.close()
            self._appender = None


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, all 0750: `Path.mkdir(parents=True)` gives the mode to the last one only."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(DIRECTORY_MODE, exist_ok=True)

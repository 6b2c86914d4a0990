"""The audit, read back: `DIRECTORY/events/2026-11-23/HOST-w0-18.jsonl`, or `.jsonl.gz` once the hour is over.

A file's name says which hour of UTC its events were born in, so files are chosen by their names before one is opened.
Events of an hour that was gzipped already stand in `HOST-w0-18.1.jsonl`. Of a file that is there plain and gzipped, the
plain one is read: the writer removes it last. Whatever else lies in the directory is none of ours and left alone.

Nothing is locked, and a guard may write meanwhile. What a crash, a full disk or a cut copy leaves is no reason to
refuse the rest: half a line, a line that is no event, a gzip stream cut short are counted in `Store.unreadable`, and
the reader goes on. A file that retention took away, or that was gzipped, between the look and the reading is no loss.

`blamed` is the one definition of what counts against a client; every figure of this room goes by it.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, NamedTuple

import msgspec

from smtpguard.record import FindingRecord, SessionEndRecord

HOUR: Final = 3600
"""Seconds in the life of a segment."""

NO_INPUT: Final = 66
"""EX_NOINPUT of sysexits.h: there is no such thing."""

IO_ERROR: Final = 74
"""EX_IOERR of sysexits.h: it is there, and cannot be read."""

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME: Final = re.compile(r"(?P<stem>[^/]+-w\d+)-(?P<hour>[01]\d|2[0-3])(?:\.(?P<part>\d+))?\.jsonl(?P<gz>\.gz)?")
_BASE32: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SESSION_ID: Final = re.compile(rf"[{_BASE32}]{{12}}")

Record = FindingRecord | SessionEndRecord


class StoreError(Exception):
    """The audit cannot be read at all; the text tells the cure.

    Attributes:
        code: the exit code, 66 or 74.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Segment(NamedTuple):
    """A file of the audit, in the order of reading."""

    hour: int
    """Hours since the epoch."""
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """One session, as far as the audit holds it."""

    id: str
    findings: tuple[FindingRecord, ...]
    """In their order, consequences included."""
    declined: tuple[FindingRecord, ...] = ()
    """Commands that a setting declined; no rule, nobody to blame."""
    end: SessionEndRecord | None = None
    """None: the session is not over, or the guard ended before it."""


@dataclass(slots=True)
class _Gathered:
    findings: list[FindingRecord] = field(default_factory=list)
    declined: list[FindingRecord] = field(default_factory=list)

    def stored(self, session_id: str, end: SessionEndRecord | None = None) -> StoredSession:
        return StoredSession(id=session_id, findings=tuple(self.findings), declined=tuple(self.declined), end=end)


class _Action(msgspec.Struct):
    action: str


class _Peek(msgspec.Struct):
    """As much of a line as tells which shape it has."""

    event: _Action


_peek: Final = msgspec.json.Decoder(_Peek).decode
_decode_end: Final = msgspec.json.Decoder(SessionEndRecord).decode
_decode_finding: Final = msgspec.json.Decoder(FindingRecord).decode


def blamed(finding: FindingRecord) -> bool:
    """Tell whether a finding counts against CLIENT: no consequence, no fact about UPSTREAM, no limit."""
    return finding.rule is not None and finding.smtp.consequence is not True and blames(finding.rule.id)


def blames(rule_id: str) -> bool:
    """Tell whether a rule is one that counts against CLIENT; `more`, the sum of the rarest in an end, is none."""
    return rule_id.startswith("SG") and not rule_id.startswith(("SG5", "SG6"))


def at(timestamp: str) -> float:
    """Return the seconds since the epoch of an `@timestamp`."""
    return datetime.fromisoformat(timestamp).timestamp()


def foreign(rule_id: str) -> bool:
    """Tell whether a rule is about another protocol than SMTP: out of every ranking of clients."""
    return rule_id in ("SG401", "SG402", "SG403")


class Store:
    """The audit of one directory.

    `unreadable` counts the lines that no event could be made of, over everything read with this object so far; a gzip
    stream cut short counts as one line.
    """

    __slots__ = ("_events", "unreadable")

    def __init__(self, directory: Path) -> None:
        """Find the audit in a directory: the one that `audit.directory` names, or its `events`.

        Raises:
            StoreError: there is none (66), or it cannot be read (74).
        """
        self._events = _events_of(directory)
        self.unreadable = 0

    def segments(self, since: float | None = None, until: float | None = None) -> list[Path]:
        """Return the files that may hold events born at `since` or later and before `until`, oldest first.

        Raises:
            StoreError: a directory cannot be read (74).
        """
        return [segment.path for segment in self._segments(since, until)]

    def span(self) -> tuple[float, float] | None:
        """Return when the first hour begins and the last one ends that the store holds, by the names of its files.

        Raises:
            StoreError: a directory cannot be read (74).
        """
        segments = self._segments(None, None)
        return (segments[0].hour * HOUR, (segments[-1].hour + 1) * HOUR) if segments else None

    def events(self, since: float | None = None, until: float | None = None) -> Iterator[Record]:
        """Yield the events born at `since` or later and before `until`, segment by segment, the oldest first.

        Raises:
            StoreError: a file or a directory cannot be read (74).
        """
        for record in self._read(self._segments(since, until), b""):
            if _within(record, since, until):
                yield record

    def session(self, session_id: str, since: float | None = None, until: float | None = None) -> StoredSession | None:
        """Return the session of an id, or None. Ids are born in order of time, which says where to begin.

        With a period only files of its hours are looked at, for who knows when the session was.

        Raises:
            StoreError: a file or a directory cannot be read (74).
        """
        wanted = session_id.upper()
        if not _SESSION_ID.fullmatch(wanted):
            return None
        segments = self._segments(since, until)
        first = _born(wanted) // HOUR - 1  # an hour of grace: the clock may have been set back
        likely = [segment for segment in segments if segment.hour >= first]
        for part in (likely, [segment for segment in segments if segment.hour < first]):
            found = self._session_in(part, wanted)
            if found is not None:
                return found
        return None

    def host(self, ip: str, since: float | None = None, until: float | None = None) -> Iterator[StoredSession]:
        """Yield the sessions of one client in the order of their ends, then those that have none.

        `ip` is spelt as the audit spells it (`str(ipaddress.ip_address(...))`). With a period, sessions that ended
        outside it and findings born outside it are left out.

        Raises:
            StoreError: a file or a directory cannot be read (74).
        """
        open_sessions: dict[str, _Gathered] = {}
        for record in self._read(self._segments(since, until), f'"{ip}"'.encode()):
            if record.source.ip != ip or not _within(record, since, until):
                continue
            session_id = record.smtp.session.id
            if isinstance(record, SessionEndRecord):
                yield open_sessions.pop(session_id, _Gathered()).stored(session_id, record)
            else:
                gathered = open_sessions.setdefault(session_id, _Gathered())
                (gathered.findings if record.rule else gathered.declined).append(record)
        for session_id, gathered in open_sessions.items():
            yield gathered.stored(session_id)

    def _session_in(self, segments: Iterable[Segment], session_id: str) -> StoredSession | None:
        gathered = _Gathered()
        found = False
        for record in self._read(segments, f'"{session_id}"'.encode()):
            if record.smtp.session.id != session_id:
                continue
            if isinstance(record, SessionEndRecord):
                return gathered.stored(session_id, record)
            found = True
            (gathered.findings if record.rule else gathered.declined).append(record)
        return gathered.stored(session_id) if found else None

    def _segments(self, since: float | None, until: float | None) -> list[Segment]:
        chosen: dict[tuple[int, str, int], Segment] = {}
        for day in _names(self._events):
            if not _DAY.fullmatch(day) or (midnight := _midnight(day)) is None:
                continue
            for name in _names(self._events / day):
                if (read := _NAME.fullmatch(name)) is None:
                    continue
                hour = midnight + int(read["hour"])
                key = (hour, read["stem"], int(read["part"] or 0))
                if _overlaps(hour, since, until) and (not read["gz"] or key not in chosen):
                    chosen[key] = Segment(hour, self._events / day / name)
        return [chosen[key] for key in sorted(chosen)]

    def _read(self, segments: Iterable[Segment], holding: bytes) -> Iterator[Record]:
        """Yield the events of files; only of lines that hold these octets, which spares decoding the others."""
        for segment in segments:
            for line in self._lines(segment.path):
                if holding not in line and line.endswith(b"}\n"):
                    continue
                if line.strip() and (record := self._record(line)) is not None:
                    yield record

    def _record(self, line: bytes) -> Record | None:
        try:
            if _peek(line).event.action == "session-end":
                return _decode_end(line)
            return _decode_finding(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unreadable += 1
            return None

    def _lines(self, path: Path) -> Iterator[bytes]:
        try:
            with opened(path) as lines:
                yield from lines
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.unreadable += 1
        except FileNotFoundError:
            # Retention took it since its name was read. There is nothing to count: the period is over for it.
            return
        except OSError as error:
            raise cannot_read(path, error) from error


def opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    """Open a segment for reading, as lines of octets; one that was gzipped since its name was read is found.

    Raises:
        OSError: it cannot be opened, or is gone.
    """
    if path.suffix == ".gz":
        return gzip.open(path)
    try:
        return path.open("rb")
    except FileNotFoundError:
        return gzip.open(path.with_name(path.name + ".gz"))


def _events_of(directory: Path) -> Path:
    events = directory / "events"
    try:
        if events.is_dir():
            found = events
        elif directory.is_dir() and (directory.name == "events" or any(map(_DAY.fullmatch, _listed(directory)))):
            found = directory
        elif directory.is_dir():
            raise StoreError(
                f"{directory}: no audit here: no folder `events`; name the directory that audit.directory names, "
                "or let a guard write to it first",
                NO_INPUT,
            )
        else:
            kind = "no directory" if directory.exists() else "no such directory"
            raise StoreError(f"{directory}: {kind}; --audit names the one that audit.directory names", NO_INPUT)
        _listed(found)
    except OSError as error:
        raise cannot_read(directory, error) from error
    return found


def cannot_read(path: Path, error: OSError) -> StoreError:
    cure = "; run as root, or as a member of the guard's group" if isinstance(error, PermissionError) else ""
    return StoreError(f"{error.filename or path}: cannot be read: {error.strerror or error}{cure}", IO_ERROR)


def _names(directory: Path) -> list[str]:
    """Return the names in a directory, sorted: a plain file comes before its gzipped self. A file has none."""
    try:
        return sorted(_listed(directory))
    except (NotADirectoryError, FileNotFoundError):
        return []
    except OSError as error:
        raise cannot_read(directory, error) from error


def _listed(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()]


def _midnight(day: str) -> int | None:
    """Return the number of a day's first hour since the epoch; None: there is no such day."""
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) // HOUR
    except ValueError:
        return None


def _overlaps(hour: int, since: float | None, until: float | None) -> bool:
    return (since is None or (hour + 1) * HOUR > since) and (until is None or hour * HOUR < until)


def _within(record: Record, since: float | None, until: float | None) -> bool:
    if since is None and until is None:
        return True
    born = at(record.timestamp)
    return (since is None or born >= since) and (until is None or born < until)


def _born(session_id: str) -> int:
    """Return the second of the epoch that a session's id tells: nine digits of milliseconds, three of a counter."""
    milliseconds = 0
    for digit in session_id[:9]:
        milliseconds = milliseconds * 32 + _BASE32.index(digit)
    return milliseconds // 1000

"""What a file is, and its sessions: an audit directory, a segment of one, a packet capture, a pasted transcript.

A directory is an audit, a pipe is a capture (`tcpdump -U -w - | ...`), and of a file the first octets tell. What is
none of these, or holds nothing that was asked for, is a `SourceError` with its exit code; what could not be read of a
source that holds something is told by `warnings`, when its sessions were read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import msgspec

from smtpguard.evidence.capture.capture import Capture, CaptureError, is_capture
from smtpguard.evidence.capture.gzipped import opened
from smtpguard.evidence.judge.judge import Judged, judge
from smtpguard.evidence.replay.audit import AuditSessions
from smtpguard.evidence.replay.captures import CaptureSessions
from smtpguard.evidence.replay.replay import Book, Court, Played, Seen
from smtpguard.evidence.store import Record, Store, StoreError, at
from smtpguard.evidence.transcripts import NoTranscriptError, Transcript, read, record
from smtpguard.record import FindingRecord, SessionEndRecord

BAD_INPUT: Final = 65
"""EX_DATAERR of sysexits.h."""

NO_INPUT: Final = 66
"""EX_NOINPUT."""

IO_ERROR: Final = 74
"""EX_IOERR."""

TRANSCRIPT_MAX: Final = 16 * 1024 * 1024
"""Octets of a pasted transcript."""

_WANTED: Final = "give a capture, a transcript, or the audit's directory or one of its segments"

_LOOKED_AT: Final = 65536
"""Octets that tell what a file is."""

_CAPTURES: Final = (".pcap", ".pcapng", ".cap")


class SourceError(Exception):
    """There are no sessions in this source; the text says why, and what to do.

    Attributes:
        code: the exit code, 65, 66 or 74.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every source."""

    now: Book
    proposed: Book
    ports: frozenset[int]
    listener: str = ""
    since: float | None = None
    """Seconds since the epoch; for the audit."""
    until: float | None = None
    courts: dict[str, Court] = field(default_factory=dict)
    """By listener, made when first asked for."""

    def court(self) -> Court:
        """Return both sets of rules for the listener."""
        if self.listener not in self.courts:
            self.courts[self.listener] = Court.of(self.now.policy(self.listener), self.proposed.policy(self.listener))
        return self.courts[self.listener]


class Source(Protocol):
    """Sessions, and what could not be read of them."""

    kind: str
    """In one or two words, for a person."""

    def __iter__(self) -> Iterator[Played]:
        """Yield the sessions, once; raises `SourceError`."""

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each thing that could not be read."""


def source_of(path: Path, asked: Asked) -> Source:
    """Tell what a path is, and open it.

    Raises:
        SourceError: it is nothing that can be replayed, or is not there.
    """
    if path.is_dir():
        return _Audit(path, asked)
    if path.is_fifo():
        return _Captured(path, asked)
    head = _head(path)
    if is_capture(head) or any(suffix in _CAPTURES for suffix in path.suffixes):
        return _Captured(path, asked)
    if head.lstrip()[:1] == b"{" and b'"event"' in head:
        return _Segment(path, asked)
    return _Text(path, asked)


def _head(path: Path) -> bytes:
    try:
        with opened(path) as file:
            # One read: what stands before the damage of a gzip stream comes out.
            return file.read1(_LOOKED_AT)
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file", NO_INPUT) from None
    except EOFError as error:
        raise SourceError(f"{path}: it is gzipped and damaged from the start ({error})", BAD_INPUT) from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}", IO_ERROR) from error


class _Captured:
    """A capture."""

    kind = "capture"

    def __init__(self, path: Path, asked: Asked) -> None:
        self._capture = Capture(path, asked.ports)
        self._asked = asked

    def __iter__(self) -> Iterator[Played]:
        try:
            yield from CaptureSessions(self._capture, self._asked.court(), self._asked.listener)
        except CaptureError as error:
            raise SourceError(str(error), error.code) from error

    def warnings(self) -> Iterator[str]:
        return self._capture.warnings()


class _Audit:
    """An audit directory."""

    kind = "audit directory"

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path, self._asked = path, asked
        try:
            self._store = Store(path)
        except StoreError as error:
            raise SourceError(str(error), error.code) from error

    def __iter__(self) -> Iterator[Played]:
        asked, found = self._asked, False
        events = self._store.events(asked.since, asked.until)
        try:
            for played in AuditSessions(str(self._path), events, asked.proposed, asked.listener):
                found = True
                yield played
        except StoreError as error:
            raise SourceError(str(error), error.code) from error
        if not found:
            raise SourceError(f"{self._path}: no session in the audit{_period(asked)}", NO_INPUT)

    def warnings(self) -> Iterator[str]:
        return _unreadable(self._path, self._store.unreadable)


class _Action(msgspec.Struct):
    action: str


class _Peek(msgspec.Struct):
    event: _Action


class _Segment:
    """One segment of an audit, wherever it lies."""

    kind = "segment"

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path, self._asked = path, asked
        self._lines = 0
        self._unreadable = 0

    def __iter__(self) -> Iterator[Played]:
        asked, found = self._asked, False
        for played in AuditSessions(str(self._path), self._events(), asked.proposed, asked.listener):
            found = True
            yield played
        if found:
            return
        if self._unreadable == self._lines:
            raise SourceError(f"{self._path}: no line of it is an event of an audit", BAD_INPUT)
        raise SourceError(f"{self._path}: no session in this segment{_period(asked)}", NO_INPUT)

    def _events(self) -> Iterator[Record]:
        try:
            with opened(self._path) as lines:
                for line in lines:
                    self._lines += 1
                    event = self._event(line)
                    if event is not None and _within(event, self._asked):
                        yield event
        except EOFError:
            self._unreadable += 1
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror or error}", IO_ERROR) from error

    def _event(self, line: bytes) -> Record | None:
        try:
            if msgspec.json.decode(line, type=_Peek).event.action == "session-end":
                return msgspec.json.decode(line, type=SessionEndRecord)
            return msgspec.json.decode(line, type=FindingRecord)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._unreadable += 1
            return None

    def warnings(self) -> Iterator[str]:
        return _unreadable(self._path, self._unreadable)


class _Text:
    """A pasted transcript, of one session."""

    kind = "transcript"

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path, self._asked = path, asked
        self._unsent = 0

    def __iter__(self) -> Iterator[Played]:
        transcript = self._read()
        recorded = record(transcript)
        self._unsent = recorded.unsent
        court = self._asked.court()
        judged = [judge(recorded.items, terms, start=transcript.start, tls=transcript.tls) for terms in court.terms]
        now, proposed = court.rulings(judged)
        yield Played(
            source=str(self._path),
            name=self._path.name,
            host="",
            port=0,
            at=None,
            listener=self._asked.listener,
            seen=_seen(judged[-1]),
            now=now,
            proposed=proposed,
        )

    def _read(self) -> Transcript:
        try:
            with opened(self._path) as file:
                octets = file.read(TRANSCRIPT_MAX + 1)
            if not octets:
                raise SourceError(f"{self._path}: it is empty; {_WANTED}", BAD_INPUT)
            if len(octets) > TRANSCRIPT_MAX:
                raise SourceError(f"{self._path}: too large for a transcript; {_WANTED}", BAD_INPUT)
            return read(octets)
        except NoTranscriptError as error:
            raise SourceError(f"{self._path}: no capture and no audit segment, and {error}", BAD_INPUT) from None
        except EOFError as error:
            raise SourceError(f"{self._path}: it is gzipped and damaged ({error})", BAD_INPUT) from None
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror or error}", IO_ERROR) from error

    def warnings(self) -> Iterator[str]:
        if self._unsent:
            yield f"{self._path}: {self._unsent} lines of the client stand before a reply that is not there; not judged"


def _seen(judged: Judged) -> Seen:
    if judged.opaque_from is not None:
        return "until-starttls"
    if judged.began == "mid-stream":
        return "mid-stream"
    return "whole" if judged.complete else "unfinished"


def _within(event: Record, asked: Asked) -> bool:
    if asked.since is None and asked.until is None:
        return True
    born = at(event.timestamp)
    return (asked.since is None or born >= asked.since) and (asked.until is None or born < asked.until)


def _period(asked: Asked) -> str:
    limits: Mapping[str, float | None] = {"--since": asked.since, "--until": asked.until}
    given = [name for name, value in limits.items() if value is not None]
    return f" in the period of {' and '.join(given)}" if given else ""


def _unreadable(path: Path, count: int) -> Iterator[str]:
    lines = "1 line" if count == 1 else f"{count} lines"
    return iter([f"{path}: {lines} could not be read, and left out (a cut line or no event)"] if count else [])

"""The operator log: settings, the form of a line, and loguru, with the only `logger.add` of the program.

The way of a line: events of one tick become `Line`s, these become one text, one loguru call carries it, as an
argument, to our sink, and the sink only queues it: a thread writes. So a stalled pipe stops nobody, and a loguru call
made elsewhere (a bug in a session) takes the same road and the same form, each line of its stack a line of its own.

Forms, by target:

    stdout, stderr, FILE   2026-11-23T18:20:01.482113+00:00 mx1 smtpguard/smtpd[2211]: TEXT  (rsyslog's)
    journal                <6>TEXT on stdout; the unit names SyslogIdentifier=smtpguard/smtpd and SyslogLevelPrefix=yes
    syslog                 TEXT by /dev/log, facility mail, tag smtpguard/smtpd[2211]

With format json, TEXT is an object in ECS names instead, and a file or stream gets no prefix, for it holds the time.

Not loguru's own `enqueue` (the caller pays six times the price, its queue is unbounded), `serialize` (its own schema)
or colours (they are control octets). `diagnose` is off because it prints local variables, so passwords."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from loguru import logger

from smtpguard.record.append import Appender, Loss, NamedFile
from smtpguard.record.clock import microseconds, milliseconds
from smtpguard.record.escape import clean
from smtpguard.record.lane import Batch, Lane
from smtpguard.record.lines import Level, Line
from smtpguard.record.shapes import ECS_VERSION
from smtpguard.record.syslog import Syslog

if TYPE_CHECKING:
    from loguru import Message, Record

TAG: Final = "smtpguard/smtpd"
"""The same for every listener: pflogsumm and fail2ban look for it."""

NOTE_SHOWN: Final = 2048
"""Characters of an operational line."""

_BATCH: Final = "smtpguard_batch"
"""Key of loguru's `extra` that marks text which is formed already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Where the operator log goes, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The mildest line that is written."""
    format: Literal["text", "json"] = "text"
    target: str = "stdout"
    """`stdout`, `stderr`, `journal`, `syslog`, or the path of a file (mode 0640)."""

    @property
    def threshold(self) -> Level:
        """`level` as a number."""
        return Level[self.level.upper()]


class Form:
    """Makes the octets of lines."""

    __slots__ = ("_encode", "_hostname", "_json", "_pid", "_priority", "_stamped")

    def __init__(self, settings: LogSettings, *, hostname: str, pid: int) -> None:
        self._json = settings.format == "json"
        self._priority = settings.target in ("journal", "syslog")
        self._stamped = not self._json and not self._priority
        self._hostname = hostname
        self._pid = pid
        self._encode = msgspec.json.Encoder().encode

    def text(self, lines: Iterable[Line]) -> str:
        """Return the lines as they are written, each with its line end."""
        return "".join(map(self._one, lines))

    def _one(self, line: Line) -> str:
        text = self._object(line) if self._json else line.text
        if self._stamped:
            return f"{microseconds(line.at)} {self._hostname} {TAG}[{self._pid}]: {text}\n"
        return f"<{line.level.priority}>{text}\n" if self._priority else f"{text}\n"

    def _object(self, line: Line) -> str:
        record: dict[str, object] = {
            "@timestamp": milliseconds(line.at),
            "log": {"level": line.level.name.lower()},
            "message": line.text,
            "ecs": {"version": ECS_VERSION},
            "host": {"name": self._hostname},
            "process": {"name": TAG, "pid": self._pid},
        }
        if line.link:
            record["source"] = {"ip": line.link.client_ip, "port": line.link.client_port}
            record["observer"] = {"name": line.link.listener}
            record["smtp"] = {"session": {"id": line.link.session_id}}
        if line.rule_id:
            record["rule"] = {"id": line.rule_id}
        return self._encode(record).decode()


class OperatorLog:
    """The program's log: lines in, one loguru call for all of them, one thread call to write them."""

    __slots__ = ("_close", "_form", "_handler", "lane", "threshold")

    def __init__(self, settings: LogSettings, *, hostname: str) -> None:
        """Open the target and take loguru over.

        Raises:
            OSError: the file cannot be opened.
        """
        write, self._close, renew = _writer(settings)
        self.threshold = settings.threshold
        self.lane = Lane(write, renew=renew)
        self._form = Form(settings, hostname=hostname, pid=os.getpid())
        logger.remove()
        # Level 0: batches are sifted before they come here, and other people's records in `_take`.
        self._handler = logger.add(
            self._take, level=0, format="{message}", colorize=False, diagnose=False, backtrace=False, catch=True
        )

    def put(self, lines: Iterable[Line]) -> None:
        """Queue lines, less those milder than the threshold, by one call of loguru."""
        text = self._form.text(line for line in lines if line.level >= self.threshold)
        if text:
            # The text holds wire text: as argument, never as template.
            logger.bind(**{_BATCH: True}).opt(raw=True).info("{}", text)

    def _take(self, message: "Message") -> None:
        """loguru's sink: queue, never wait."""
        if _BATCH in message.record["extra"]:
            text = str(message)
        else:
            text = self._form.text(line for line in _foreign(message.record) if line.level >= self.threshold)
        if text:
            self.lane.offer(0, text.encode("ascii", "backslashreplace"))

    def close(self) -> None:
        """Write what waits, give loguru back, close the target."""
        logger.remove(self._handler)
        self.lane.drain_now()
        self._close()


def note(at: float, level: Level, text: str) -> Line:
    """Return an operational line; warnings and errors say so in Postfix's way."""
    word = {Level.WARNING: "warning: ", Level.ERROR: "error: "}.get(level, "")
    return Line(at, level, word + clean(text, NOTE_SHOWN))


def stack(at: float, error: BaseException) -> Iterator[Line]:
    """Yield the stack of a bug, innermost last, one line for each frame.

    The exception's own text is left out: it may quote the octet strings that it failed on, so a password (a `KeyError`
    does).
    """
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield note(at, Level.ERROR, f"{type(one).__qualname__} at")
        for frame in traceback.extract_tb(one.__traceback__):
            source = f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}"
            yield Line(at, Level.ERROR, "error:   " + clean(source, NOTE_SHOWN))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def _foreign(record: "Record") -> Iterator[Line]:
    """Yield the lines of a loguru call that was made elsewhere."""
    at = record["time"].timestamp()
    level = max((level for level in Level if level <= record["level"].no), default=Level.DEBUG)
    yield note(at, level, record["message"])
    exception = record["exception"]
    if exception is not None and exception.value is not None:
        yield from stack(at, exception.value)


def _writer(settings: LogSettings) -> tuple[Callable[[Batch], Loss], Callable[[], None], Callable[[], None] | None]:
    """Return what writes a batch to the target, what closes it, and what opens it afresh, where it has a name."""
    if settings.target == "syslog":
        syslog = Syslog(TAG)
        return syslog.write, syslog.close, None
    streams = {"stdout": sys.stdout, "journal": sys.stdout, "stderr": sys.stderr}
    if settings.target in streams:
        opened = streams[settings.target]
        # Python has None for a standard stream that was closed before the start.
        if opened is None:
            raise OSError(errno.EBADF, "it is closed")
        stream = Appender(opened.fileno())
        return lambda batch: stream.write(b"".join(lines for _, lines in batch)), _nothing, None
    file = NamedFile(Path(settings.target))
    return lambda batch: file.write(b"".join(lines for _, lines in batch)), file.close, file.reopen


def _nothing() -> None:
    """The standard streams stay open."""

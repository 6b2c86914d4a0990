"""The demo's CLIENT: plays one session and keeps what was said and heard.

Lines are marked as swaks marks them: ` ->` what the client said, `<- ` what it heard; `<**` is what it heard from the
guard itself, which is told by the reference that ends such a reply, `[SG102 1M856DF92690]`.

`careful` is for a real server: a DATA or BDAT that the server would accept, because it took a recipient, becomes RSET;
and where a 354 comes all the same, the connection is cut without an octet of content.
"""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import trio

from smtpguard.config import Address
from smtpguard.demo.sessions import RSET, Session, Step
from smtpguard.smtp import MalformedReply, Reply, ReplyReader

PATIENCE: Final = 20.0
"""Seconds that one session may take."""

_OWN: Final = re.compile(rb" \[SG[0-9]{3} [0-9A-Z]{12}\]\r\n\Z")


class Mark(Enum):
    """Who said a line, as swaks writes it."""

    SAID = " ->"
    HEARD = "<- "
    GUARD = "<**"


@dataclass(frozen=True, slots=True)
class Marked:
    """One line of a transcript."""

    mark: Mark
    text: str
    """Without line end; octets that are no printable ASCII as `\\xNN`."""


@dataclass(slots=True)
class Played:
    """One session as it went."""

    session: Session
    host: str = ""
    """The client's address."""
    port: int = 0
    """The client's port, by which log and audit name it."""
    transcript: list[Marked] = field(default_factory=list)
    trouble: str = ""
    """Why it was not played to its end; empty if it was, or if the other side closed."""


async def play(session: Session, guard: Address, *, careful: bool = False, patience: float = PATIENCE) -> Played:
    """Play a session at `guard`, for at most `patience` seconds; never raises for what the network does."""
    played = Played(session)
    try:
        with trio.fail_after(patience):
            stream = _dial(session, guard, played)
            async with stream:
                await _Client(stream, played, careful).play()
    except (OSError, trio.BrokenResourceError, MalformedReply) as error:
        played.trouble = str(error) or type(error).__name__
    except trio.TooSlowError:
        played.trouble = f"no reply within {patience:g} s"
    return played


def _dial(session: Session, guard: Address, played: Played) -> trio.SocketStream:
    """Connect; on loopback each client of the demo has an address of its own.

    A connection over loopback is up at once, so there is nothing to wait for; and a client that speaks before the
    greeting then surely does.
    """
    source = (f"127.0.0.{session.host}", 0) if guard.host == "127.0.0.1" else None
    connected = socket.create_connection((guard.host, guard.port), timeout=PATIENCE, source_address=source)
    played.host, played.port = connected.getsockname()[:2]
    if not session.waits and session.steps:
        connected.sendall(session.steps[0].octets)
    return trio.SocketStream(trio.socket.from_stdlib_socket(connected))


class _Closed(Exception):
    """The other side ended."""


class _Client:
    """One client in its session."""

    def __init__(self, stream: trio.abc.Stream, played: Played, careful: bool) -> None:
        self._stream = stream
        self._played = played
        self._careful = careful
        self._reader = ReplyReader()
        self._recipients = 0

    async def play(self) -> None:
        session = self._played.session
        try:
            if session.waits:
                await self._hear()
            for number, step in enumerate(session.steps):
                await self._take(step, sent=not session.waits and number == 0)
            await self._hear_farewell()
        except _Closed:
            pass  # most bad sessions end so

    async def _take(self, step: Step, *, sent: bool) -> None:
        if self._careful and self._recipients and step.octets[:4].upper() in (b"DATA", b"BDAT"):
            step = RSET
        self._played.transcript += [Marked(Mark.SAID, line) for line in _lines(step.octets)]
        if not sent:
            await self._stream.send_all(step.octets)
        for _ in range(step.replies + (1 if sent else 0)):
            reply = await self._hear()
            if self._careful and reply.code == 354:
                raise _Closed
            self._count(step, reply)

    def _count(self, step: Step, reply: Reply) -> None:
        match step.octets[:4].upper():
            case b"RCPT":
                self._recipients += reply.code < 300
            case b"MAIL" | b"RSET" | b"EHLO" | b"HELO":
                self._recipients = 0

    async def _hear_farewell(self) -> None:
        """Wait for the other side's end, so that nothing it says is lost."""
        while True:
            await self._hear()

    async def _hear(self) -> Reply:
        while (reply := self._reader.next()) is None:
            octets = await self._stream.receive_some(65536)
            if not octets:
                raise _Closed
            self._reader.put(bytes(octets))
        mark = Mark.GUARD if _OWN.search(reply.raw) else Mark.HEARD
        self._played.transcript += [Marked(mark, line) for line in _lines(reply.raw)]
        return reply


def _lines(octets: bytes) -> Iterator[str]:
    """Cut octets into lines as a reader sees them; of a line end that is not CRLF its LF is shown."""
    *whole, rest = octets.split(b"\n")
    for line in whole:
        yield shown(line.removesuffix(b"\r")) if line.endswith(b"\r") else shown(line + b"\n")
    if rest:
        yield shown(rest)


def shown(octets: bytes) -> str:
    """Return octets as printable ASCII, the rest as `\\xNN`."""
    return "".join(chr(each) if 0x20 <= each < 0x7F else f"\\x{each:02X}" for each in octets)

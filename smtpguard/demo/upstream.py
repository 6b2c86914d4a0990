"""The demo's own UPSTREAM: a small SMTP receiver that takes mail for `demo.example` and keeps nothing but counts.

It is lax on purpose. RCPT, DATA and BDAT are taken in any order, and content ends at any lone dot, as with servers that
could be smuggled into: whatever a client is refused in the demo, it is the guard who refused it. Two things it does
refuse, so that causes can be shown: the recipient `unknown@demo.example`, and recipients of other domains, for it is
nobody's relay. Every command line that reaches it is kept, so that "your server never saw it" is read, not claimed.

EHLO, HELO, MAIL, RCPT, DATA, BDAT, RSET, NOOP, VRFY, QUIT; PIPELINING (RFC 2920), CHUNKING (RFC 3030), 8BITMIME
(RFC 6152), SIZE (RFC 1870), ENHANCEDSTATUSCODES (RFC 2034). Anything else hears 500.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import trio

DOMAIN: Final = "demo.example"
LINE_MAXIMUM: Final = 16 * 1024
"""Octets of a command line; a longer one ends the session."""
MESSAGE_MAXIMUM: Final = 10 * 1024 * 1024
"""Octets of a message, offered by SIZE."""
CONNECTIONS_KEPT: Final = 20_000
"""Connections whose lines are remembered."""
LINES_KEPT: Final = 200
"""Command lines that are remembered of one connection."""
READ: Final = 64 * 1024

_GREETING: Final = b"220 mx.demo.example ESMTP the demo's upstream\r\n"
_EHLO: Final = (
    b"250-mx.demo.example\r\n250-PIPELINING\r\n250-SIZE %d\r\n250-8BITMIME\r\n250-CHUNKING\r\n"
    b"250 ENHANCEDSTATUSCODES\r\n" % MESSAGE_MAXIMUM
)
_ANSWERS: Final = {
    b"EHLO": _EHLO,
    b"HELO": b"250 mx.demo.example\r\n",
    b"RSET": b"250 2.0.0 Forgotten\r\n",
    b"NOOP": b"250 2.0.0 Done nothing\r\n",
    b"VRFY": b"252 2.1.5 Send it and see\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
_UNKNOWN_VERB: Final = b"500 5.5.2 No such command\r\n"
_TAKEN: Final = b"250 2.0.0 Taken, counted, thrown away\r\n"
_TOO_BIG: Final = b"552 5.3.4 Too big\r\n"
_PATH: Final = re.compile(rb"<([^<>]*)>")
_SIZE: Final = re.compile(rb" SIZE=([0-9]{1,20})(?= |\r|\n|$)", re.IGNORECASE)
_BDAT: Final = re.compile(rb"BDAT ([0-9]{1,10})( LAST)?\r?\n", re.IGNORECASE)
_END: Final = re.compile(rb"[\r\n]\.(?:\r\n|\n)")
_END_MAXIMUM: Final = 4
"""Octets of the longest end of content."""


@dataclass(slots=True)
class Connection:
    """What came over one connection."""

    number: int
    """From 1."""
    lines: list[str] = field(default_factory=list)
    """Command lines without their line ends, as Latin-1 text."""
    messages: int = 0
    """Messages taken."""
    over: trio.Event = field(default_factory=trio.Event)
    """The other side has gone, or said QUIT."""


class _Gone(Exception):
    """CLIENT, here the guard, ended."""


class Upstream:
    """The receiver; `handle` is one connection."""

    def __init__(self) -> None:
        self.count = 0
        """Connections so far."""
        self._connections: deque[Connection] = deque(maxlen=CONNECTIONS_KEPT)

    def since(self, count: int) -> tuple[Connection, ...]:
        """Return the connections behind the first `count`, oldest first."""
        return tuple(each for each in self._connections if each.number > count)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to its end; never raises for what the peer does."""
        self.count += 1
        connection = Connection(self.count)
        self._connections.append(connection)
        try:
            await _Receiver(stream, connection).serve()
        except (_Gone, trio.BrokenResourceError):
            pass  # the guard cuts a connection where that is its answer to a client
        finally:
            connection.over.set()


class _Receiver:
    """One session."""

    def __init__(self, stream: trio.abc.Stream, connection: Connection) -> None:
        self._stream = stream
        self._connection = connection
        self._octets = b""

    async def serve(self) -> None:
        await self._stream.send_all(_GREETING)
        word = b""
        while word != b"QUIT":
            line = await self._line()
            if len(self._connection.lines) < LINES_KEPT:
                self._connection.lines.append(line.rstrip(b"\r\n").decode("latin-1"))
            words = line.split(None, 1)
            word = words[0].upper() if words else b""
            await self._stream.send_all(await self._answer(word, line))

    async def _answer(self, word: bytes, line: bytes) -> bytes:
        match word:
            case b"MAIL":
                size = _SIZE.search(line)
                return _TOO_BIG if size and int(size[1]) > MESSAGE_MAXIMUM else b"250 2.1.0 Sender ok\r\n"
            case b"RCPT":
                return _recipient(line)
            case b"DATA":
                await self._stream.send_all(b"354 Go ahead\r\n")
                return self._taken(await self._content())
            case b"BDAT":
                return await self._chunk(line)
            case _:
                return _ANSWERS.get(word, _UNKNOWN_VERB)

    def _taken(self, octets: int) -> bytes:
        if octets > MESSAGE_MAXIMUM:
            return _TOO_BIG
        self._connection.messages += 1
        return _TAKEN

    async def _chunk(self, line: bytes) -> bytes:
        shape = _BDAT.fullmatch(line)
        if shape is None:
            return b"501 5.5.4 BDAT size [LAST]\r\n"
        await self._skip(int(shape[1]))
        return self._taken(0) if shape[2] else b"250 2.0.0 Chunk taken\r\n"

    # --- octets ------------------------------------------------------------------------------------------------------

    async def _line(self) -> bytes:
        while (end := self._octets.find(b"\n")) < 0:
            if len(self._octets) > LINE_MAXIMUM:
                raise _Gone
            self._octets += await self._read()
        line, self._octets = self._octets[: end + 1], self._octets[end + 1 :]
        return line

    async def _content(self) -> int:
        """Read to the end of content and return its octets; the line end of DATA is the first half of an end."""
        seen, self._octets = 0, b"\r\n" + self._octets
        while (end := _END.search(self._octets)) is None:
            seen += max(0, len(self._octets) - _END_MAXIMUM)
            self._octets = self._octets[-_END_MAXIMUM:] + await self._read()
        self._octets = self._octets[end.end() :]
        return seen + end.start()

    async def _skip(self, octets: int) -> None:
        while len(self._octets) < octets:
            octets -= len(self._octets)
            self._octets = await self._read()
        self._octets = self._octets[octets:]

    async def _read(self) -> bytes:
        octets = bytes(await self._stream.receive_some(READ))
        if not octets:
            raise _Gone
        return octets


def _recipient(line: bytes) -> bytes:
    path = _PATH.search(line)
    if path is None:
        return b"501 5.5.4 RCPT TO:<address>\r\n"
    local, _, domain = path[1].rpartition(b"@")
    if local and domain.lower() != DOMAIN.encode():
        return b"550 5.7.1 No relaying: mail for demo.example only\r\n"
    if local.lower() == b"unknown":
        return b"550 5.1.1 No such user here\r\n"
    return b"250 2.1.5 Recipient ok\r\n"

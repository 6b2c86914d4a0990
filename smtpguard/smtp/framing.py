"""Cuts octets into lines and whole replies; loses none, changes none.

`Inbox` holds what CLIENT sent and nobody has taken yet. A command line ends at LF (every server splits there);
whether the CR before it is missing is for the rules to say. The inbox also knows how many of its octets had been
read when the latest reply was given out: a line that begins among them was sent ahead of that reply. And it knows
which octets were read together, and when.

`ReplyReader` gathers UPSTREAM's octets into replies (RFC 5321 §4.2) and raises `MalformedReply` where they are none.
"""

import re
from typing import Final

from smtpguard.smtp.syntax import Reply
from smtpguard.smtp.vocabulary import REPLY_LINE, REPLY_LINES, REPLY_SIZE

LF: Final = b"\n"

BORDERS: Final = 256
"""Reads that held lines are told apart by; more count as one. One octet at a time would make 65,536 of them."""


class Inbox:
    """Octets of CLIENT, read and not yet taken."""

    __slots__ = ("_at", "_borders", "_octets", "ahead", "held", "piece", "read_at")

    def __init__(self) -> None:
        self._octets = b""
        self._at = 0
        self.held = 0
        """Octets in it."""
        self.ahead = 0
        """Octets of those that were sent ahead of the latest reply."""
        self.piece = 0
        """Number of the latest read."""
        self.read_at = 0.0
        """When that was, in seconds of the caller's clock."""
        # Octets that came before the latest read: where each earlier read ended, its number, and when it was.
        self._borders: list[tuple[int, int, float]] = []

    def arrived(self, data: bytes, at: float) -> None:
        """Append the octets of one read."""
        if self.held and len(self._borders) < BORDERS:
            start = self._borders[-1][0] if self._borders else 0
            # A border in the middle of a line tells nothing.
            if self._octets.find(LF, self._at + start) >= 0:
                self._borders.append((self.held, self.piece, self.read_at))
        self.put(data)
        self.piece += 1
        self.read_at = at

    def put(self, data: bytes) -> None:
        """Append octets. Into an empty inbox they go as the same object, and may come out as the same object."""
        self._octets = self._octets[self._at :] + data if self.held else data
        self._at = 0
        self.held = len(self._octets)

    def origin(self, count: int) -> tuple[float, int]:
        """Return when the `count`th octet was read, and the number of that read."""
        for end, piece, at in self._borders:
            if count <= end:
                return at, piece
        return self.read_at, self.piece

    def mark_ahead(self) -> None:
        """A reply was given out: all octets held now were sent ahead of it."""
        self.ahead = self.held

    def line_length(self) -> int:
        """Return the octets of the next line, LF included; 0 if no line is whole."""
        end = self._octets.find(LF, self._at)
        return end + 1 - self._at if end >= 0 else 0

    def head(self, count: int) -> bytes:
        """Return the next `count` octets, or what there is, without taking them."""
        if self._at == 0 and count >= len(self._octets):
            return self._octets
        return self._octets[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        """Take the next `count` octets, or what there is."""
        if self._borders:
            self._borders = [(end - count, piece, at) for end, piece, at in self._borders if end > count]
        if count >= self.held and not self._at:
            taken = self._octets
            self._octets, self.held, self.ahead = b"", 0, 0
            return taken
        taken = self.head(count)
        self._at += len(taken)
        self.held -= len(taken)
        if not self.held:
            self._octets, self._at = b"", 0
        self.ahead = max(0, self.ahead - len(taken))
        return taken

    def clear(self) -> None:
        """Drop everything."""
        self._borders.clear()
        self._octets, self._at, self.ahead, self.held = b"", 0, 0, 0


class MalformedReply(Exception):
    """UPSTREAM's octets are no reply; the message says why, in words of ours."""


# Three digits, then a hyphen on every line but the last, a blank or nothing on the last (RFC 5321 §4.2). 1yz is no
# reply of SMTP. 8-bit text is not malformed; NUL, bare CR and bare LF are.
_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:(-)[^\0\r\n]*+|(?: [^\0\r\n]*+)?)\r\n")


class ReplyReader:
    """Gathers replies; at most `REPLY_SIZE` octets are held."""

    __slots__ = ("_code", "_lines", "_octets", "_scanned")

    def __init__(self) -> None:
        self._octets = b""
        self._scanned = 0
        self._lines = 0
        self._code = b""

    def whole(self, data: bytes) -> Reply | None:
        """Return octets that are one reply of one line and no more, as most reads are; None: `put` them."""
        if self._octets or len(data) > REPLY_LINE:
            return None
        line = _LINE.fullmatch(data)
        return Reply(data, int(line[1])) if line is not None and line[2] is None else None

    def put(self, data: bytes) -> None:
        """Append octets; `next` takes the replies out."""
        self._octets = self._octets + data if self._octets else data

    @property
    def pending(self) -> bytes:
        """The octets of a reply that is not whole yet."""
        return self._octets

    def next(self) -> Reply | None:
        """Take the next whole reply, None if there is none yet.

        Raises:
            MalformedReply: the octets are no reply, or over a limit; nothing that follows can be trusted.
        """
        octets = self._octets
        while end := octets.find(LF, self._scanned) + 1:
            line = _LINE.fullmatch(octets, self._scanned, end)
            if line is None:
                raise MalformedReply("a line that is no reply line")
            self._check(line[1], end)
            self._scanned = end
            if line[2] is None:
                return self._take(end)
        self._check_partial()
        return None

    def _take(self, end: int) -> Reply:
        raw = self._octets if end == len(self._octets) else self._octets[:end]
        reply = Reply(raw, int(self._code))
        self._octets = self._octets[end:]
        self._scanned = self._lines = 0
        return reply

    def _check(self, code: bytes, end: int) -> None:
        self._lines += 1
        if self._lines > 1 and code != self._code:
            # RFC 5321 §4.2.1: "the same code on each line".
            raise MalformedReply("lines of one reply with different codes")
        self._code = code
        if end - self._scanned > REPLY_LINE or end > REPLY_SIZE or self._lines > REPLY_LINES:
            raise MalformedReply("a reply over the limits")

    def _check_partial(self) -> None:
        if len(self._octets) - self._scanned >= REPLY_LINE or len(self._octets) >= REPLY_SIZE:
            raise MalformedReply("a reply over the limits")

"""The transcript of an audited session -> what a judge can hear: octets of both sides, in pieces, in order.

A transcript is redacted, and says what it left out. So what was left out is made up again to the same effect: a line of
an authentication exchange is some line, content is content, a chunk has as many octets as it had, and what was found in
content or about a line end is put there again, by the rules that the line is charged with.

Lines of CLIENT that came in one piece are one piece again, and stand where they were read, not where their turn came.
Times have milliseconds, which is long on a loopback: what was read in the same millisecond as a reply was said stands
as it was judged, unless a rule or a recorded finding says that it was sent ahead.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from smtpguard.evidence.judge.pieces import Item, Piece
from smtpguard.record import TranscriptRecord
from smtpguard.smtp import Side

CHUNK_AT_ONCE: Final = 65536
"""Octets of a made-up chunk in one piece."""

_SAME: Final = 0.0015
"""Seconds: two times may be the same."""

_AHEAD: Final = frozenset({"SG201", "SG202", "SG203"})
_COUNTED: Final = re.compile(r"\[([0-9]{1,12}) octets( of content| of chunk)?\]")
_SPELT: Final = re.compile(rb"\\x([0-9a-f]{2})")
_BDAT: Final = re.compile(rb"(?i)BDAT [0-9]{1,10}(?: LAST)?")

_STRANGERS: Final = {
    "SG401": b"GET / HTTP/1.1\r\n",
    "SG402": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "SG403": b"SSH-2.0-redacted\r\n",
    "SG404": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
    "SG405": b"XCLIENT ADDR=192.0.2.1\r\n",
}
"""Rule -> octets that break it, where the audit keeps their number only."""

_CONTENT: Final = {"SG305": b"x\nx\r\n", "SG304": b"x\r\n\0.\r\n"}


class _Read(NamedTuple):
    at: float
    side: Side
    lines: list[TranscriptRecord]


Charged = tuple[str, str]
"""Rule and line of a finding."""


def items_of(lines: Sequence[TranscriptRecord], ahead: Collection[Charged] = ()) -> list[Item]:
    """Return what a judge can hear.

    Args:
        lines: the whole transcript, from the greeting on.
        ahead: findings about lines that were read before the reply to the line before them.
    """
    reads = _in_order(list(_reads(lines)), ahead)
    return [Piece(read.at, read.side, octets) for read in reads for octets in _octets(read)]


def _reads(lines: Sequence[TranscriptRecord]) -> Iterator[_Read]:
    """Yield lines that were read or said at once, together, where the first of them stands."""
    pieces: dict[int, _Read] = {}
    heard: _Read | None = None
    for line in lines:
        if line.dir != "C":
            if heard is None:
                heard = _Read(line.t, Side.UPSTREAM, [])
                yield heard
            heard.lines.append(line)
            continue
        heard = None
        piece = pieces.get(line.piece) if line.piece else None
        if piece is None:
            piece = pieces[line.piece] = _Read(line.t, Side.CLIENT, [])
            yield piece
        piece.lines.append(line)


def _in_order(reads: list[_Read], ahead: Collection[Charged]) -> list[_Read]:
    """Put what was read before a reply was said before it."""
    order: list[_Read] = []
    for read in reads:
        place = len(order)
        if read.side is Side.CLIENT:
            slack = _SAME if _was_ahead(read, ahead) else 0.0
            while place and order[place - 1].side is Side.UPSTREAM and order[place - 1].at > read.at - slack:
                place -= 1
        order.insert(place, read)
    return order


def _was_ahead(read: _Read, ahead: Collection[Charged]) -> bool:
    first = read.lines[0]
    return not _AHEAD.isdisjoint(first.rules) or any((rule, first.line) in ahead for rule in first.rules)


# --- octets -----------------------------------------------------------------------------------------------------------


def _octets(read: _Read) -> Iterator[bytes]:
    if read.side is Side.UPSTREAM:
        yield b"".join(_spelt_out(line.line) + b"\r\n" for line in read.lines)
        return
    whole = b""
    for line in read.lines:
        for part in _said(line):
            whole += part
            if len(whole) >= CHUNK_AT_ONCE:
                yield whole
                whole = b""
    if whole:
        yield whole


def _said(line: TranscriptRecord) -> Iterator[bytes]:
    """Yield the octets of a line of CLIENT, or of what stands for one."""
    counted = _COUNTED.fullmatch(line.line)
    if counted is None:
        octets = _MADE_UP.get(line.line) or _spelt_out(line.line)
        yield octets + _line_end(line, octets)
    elif counted[2] == " of chunk":
        yield from _chunk(int(counted[1]))
    elif counted[2]:
        yield b"".join(octets for rule, octets in _CONTENT.items() if rule in line.rules) or b"x\r\n"
    else:
        word = b"X" * max(1, min(int(counted[1]), CHUNK_AT_ONCE)) + b"\r\n"
        yield next((_STRANGERS[rule] for rule in line.rules if rule in _STRANGERS), word)


_MADE_UP: Final = {"[redacted]": b"cmVkYWN0ZWQ=", "AUTH [redacted]": b"AUTH PLAIN cmVkYWN0ZWQ="}


def _line_end(line: TranscriptRecord, octets: bytes) -> bytes:
    """Return the line end that the rules speak of: they tell a bare LF, the text does not."""
    bare = "SG301" in line.rules or ("SG306" in line.rules and _BDAT.fullmatch(octets) is not None)
    return b"\n" if bare else b"\r\n"


def _chunk(octets: int) -> Iterator[bytes]:
    while octets > 0:
        yield b"x" * min(octets, CHUNK_AT_ONCE)
        octets -= CHUNK_AT_ONCE


def _spelt_out(text: str) -> bytes:
    """Return the octets of an escaped text."""
    return _SPELT.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("ascii", "replace"))

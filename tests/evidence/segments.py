"""Segments of a TCP connection by hand, and what a connection makes of them."""

from collections.abc import Iterable

from smtpguard.evidence.capture.reassembly import (
    ACK,
    SYN,
    Connection,
    Hole,
    Item,
    Segment,
)
from smtpguard.evidence.judge.pieces import Piece
from smtpguard.smtp import Side

C, U = Side.CLIENT, Side.UPSTREAM
ISN = {C: 100, U: 700}

Turn = tuple[Side, Segment]


def segment(
    side: Side, seq: int, payload: bytes = b"", *, ack: int = 0, flags: int = ACK, missing: int = 0, at: float = 0.0
) -> Turn:
    """Return a segment; seq and ack count from the first octet of each side."""
    other = U if side is C else C
    numbers = (ISN[side] + 1 + seq) % 2**32, (ISN[other] + 1 + ack) % 2**32
    return side, Segment(at, b"", 0, b"", 0, *numbers, flags, payload, missing)


def handshake() -> list[Turn]:
    """Return the three segments that begin a connection."""
    return [segment(C, -1, ack=-1, flags=SYN), segment(U, -1, flags=SYN | ACK), segment(C, 0)]


def played(turns: Iterable[Turn], connection: Connection | None = None) -> list[Item]:
    """Return what a connection makes of segments."""
    connection = connection or Connection()
    return [item for side, one in turns for item in connection.take(side, one)]


def said(items: Iterable[Item], side: Side) -> bytes:
    """Return all that one side said."""
    return b"".join(item.octets for item in items if isinstance(item, Piece) and item.side is side)


def holes(items: Iterable[Item]) -> list[Hole]:
    """Return the holes."""
    return [item for item in items if isinstance(item, Hole)]

"""A small session as a capture, and what is read of it."""

from pathlib import Path

from smtpguard.evidence.capture.capture import Capture, Said
from smtpguard.evidence.capture.reassembly import Hole, Over
from smtpguard.evidence.judge.pieces import Piece
from smtpguard.smtp import Side
from tests.evidence.packets import CLIENT, UPSTREAM, Line

C, U = Side.CLIENT, Side.UPSTREAM

TURNS = (b"220 mx.example ESMTP\r\n", b"EHLO c.example\r\n", b"250 mx.example\r\n", b"QUIT\r\n", b"221 Bye\r\n")
UP = b"EHLO c.example\r\nQUIT\r\n"
DOWN = b"220 mx.example ESMTP\r\n250 mx.example\r\n221 Bye\r\n"


def session(client: tuple[str, int] = CLIENT, upstream: tuple[str, int] = UPSTREAM) -> list[bytes]:
    """Return the IP packets of one small session."""
    return Line(client, upstream).open().said(*TURNS).close().packets


def written(folder: Path, octets: bytes, name: str = "a.pcap") -> Path:
    """Write a file."""
    file = folder / name
    file.write_bytes(octets)
    return file


def read(file: Path, *ports: int) -> tuple[Capture, list[Said]]:
    """Return a capture and all that its connections say."""
    capture = Capture(file, frozenset(ports)) if ports else Capture(file)
    return capture, list(capture.said())


def heard(said: list[Said], side: Side, number: int = 1) -> bytes:
    """Return what one side of a connection said."""
    items = [one.item for one in said if one.talk.number == number]
    return b"".join(item.octets for item in items if isinstance(item, Piece) and item.side is side)


def is_whole(said: list[Said]) -> bool:
    """Tell whether the one session was read as it was said."""
    over = [one for one in said if isinstance(one.item, Over)]
    holes = [one for one in said if isinstance(one.item, Hole)]
    return (heard(said, C), heard(said, U), len(over), holes) == (UP, DOWN, 1, [])

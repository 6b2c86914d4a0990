"""What a reader makes of a text: lines of either side, in the order of the text, and a few things that happen.

A reader of a form says only whose line it is. What a line means, a command, a line of an authentication exchange, a
line of content, depends on the replies before it and is settled in `dialogue` for all forms alike.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class Line(NamedTuple):
    """One line of the text, without its line end."""

    place: int
    """Its number, from 1."""
    text: str


class Kind(Enum):
    """Whose line it is, or what happens."""

    CLIENT = auto()
    UPSTREAM = auto()
    EITHER = auto()
    """Not marked: whose it is its looks tell."""
    LOOSE = auto()
    """Not marked: content if content is under way, else nothing."""
    HIDDEN = auto()
    """Content, or a chunk, that was left out of the text."""
    TLS = auto()
    """From here on the text shows what was said within TLS."""
    CLIENT_LEFT = auto()
    UPSTREAM_LEFT = auto()


class Written(NamedTuple):
    """One line as its reader understood it."""

    place: int
    kind: Kind
    octets: bytes = b""
    """As on the wire, line end included."""
    piece: int = 0
    """Lines of CLIENT with the same number, other than 0, were sent at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form that transcripts come in."""

    name: str
    what: str
    """In a few words, for a person."""
    looks: str
    """How one knows it."""
    read: Callable[[Sequence[Line]], Iterator[Written]]
    at_server: bool = False
    """Written by who answered, and reads line by line: it cannot tell whether lines were sent at once."""
    whole: bool = False
    """It begins with the connection."""
    timed: bool = False
    """The order of the lines is that of the wire: lines of CLIENT with nothing between were sent without waiting."""


class NoTranscriptError(ValueError):
    """There is no transcript in the text; the message says what was looked for."""


def wire(text: str) -> bytes:
    """Return the octets of a line of text with its line end."""
    return text.encode("utf-8", "surrogateescape") + b"\r\n"

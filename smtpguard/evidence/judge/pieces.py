"""What a record of a conversation is made of: octets of both sides in the order in which they were read, and the ends.

What is in one piece was read at once. So whoever cuts the pieces decides what counts as sent ahead of a reply.
"""

from typing import NamedTuple

from smtpguard.smtp import Side


class Piece(NamedTuple):
    """What was read of one side at once."""

    at: float
    """Seconds, of any clock; only handed on."""
    side: Side
    octets: bytes


class Lost(NamedTuple):
    """A hole: octets of one side are missing here."""

    at: float
    side: Side
    octets: int | None = None
    """How many, where that is known."""


class Ended(NamedTuple):
    """The end of one side's octets."""

    at: float
    side: Side
    reset: bool = False
    """It was a reset; else FIN."""


class TlsUp(NamedTuple):
    """TLS came up behind STARTTLS, and the record goes on with what was said inside."""

    at: float


Item = Piece | Lost | Ended | TlsUp

"""What comes of a record of a conversation: the findings with their places, the sums, and what could not be judged."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from smtpguard.smtp import Finding, SessionEnded

Began = Literal["greeting", "mid-stream"]


class Found(NamedTuple):
    """A finding, and where in the record it was made."""

    at: float
    """Of the piece with which it was judged: the line itself may have been read before, and held."""
    piece: int
    """Number of that piece, from 0; ends count as well."""
    octet: int
    """Where in CLIENT's octets of the record the line at fault begins, from 0; for content, the read it was found in;
    where no line is at fault, what was to be read next."""
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of a record."""

    findings: tuple[Found, ...]
    ended: SessionEnded
    """The sums; behind a gap those of the last stretch. Where `complete` is false its `close` means nothing."""
    began: Began
    judged_from: int
    """Number of the first piece that was judged; as many as there are where none could be."""
    complete: bool
    """The record shows how the session ended."""
    opaque_from: int | None
    """Number of the first piece that nobody could read: TLS."""
    parted: int | None
    """Number of the piece at which record and engine went out of step (SG502): the record is bad, or UPSTREAM was."""
    unjudged: int
    """Pieces behind the end of the session: smtpguard would have closed, or the record goes on behind QUIT."""
    gaps: int
    offers_pipeconnect: bool

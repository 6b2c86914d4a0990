"""The dot guard, octet by octet: the slow automaton that the engine's fast scan is measured against.

RFC 5321 §4.1.1.4: "the character sequence "<CRLF>.<CRLF>", where the first <CRLF> is actually the terminator of the
previous line". Readers differ on what else they take for a line end, so a lone dot between any two of those (a
*hidden end*) is never forwarded:

    [CR LF] NUL* "." (NUL|CR)* [CR LF]      and not exactly CRLF.CRLF

Seven places, one octet at a time. Octets from a possible dot on wait for the octet that decides; all others are
forwardable at once. The content begins behind a CRLF: the end of the DATA line, however spelt.

    TEXT      inside a line
    CR        behind a CR that no LF followed yet
    CRLF      behind CRLF, nothing between
    LINE      behind another line end, or NULs behind any
    DOT       a dot behind exactly CRLF
    DOT_CR    CRLF . CR: an LF makes it the lawful end, anything else a hidden one
    LONE      a dot behind NULs or another line end, or a dot with NULs behind it
"""

from dataclasses import dataclass
from enum import Enum

NUL, LF, CR, DOT = 0, 10, 13, 46

WAITED_THROUGH = 64
"""NULs behind a dot that are waited through; one more is a match."""


class End(Enum):
    """What the automaton came to."""

    NONE = "none"
    LAWFUL = "lawful"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Sight:
    """What may be done with a content read so far."""

    forwardable: int
    """Octets that may be forwarded; with a lawful end its LF is the last of them."""
    end: End
    read: int
    """Octets read until the end was certain; all of them where there is none."""
    bare: int | None
    """Octets read until a bare CR or bare LF was certain, not counting those in a lawful end; None if there is none."""


def look(content: bytes) -> Sight:
    """Read `content`, the octets behind 354, up to an end or to its last octet."""
    place = "CRLF"
    waiting_from = 0
    nuls = 0
    bare: int | None = None
    before = LF
    for index, octet in enumerate(content):
        # A bare newline is certain one octet late for CR, at once for LF.
        if bare is None and ((before == CR and octet != LF) or (octet == LF and before != CR)):
            bare = index + 1
        before = octet
        if place == "DOT_CR":
            if octet == LF:
                return Sight(index + 1, End.LAWFUL, index + 1, bare)
            return Sight(waiting_from, End.HIDDEN, index + 1, bare)
        if place == "DOT" and octet == CR:
            place = "DOT_CR"
        elif place in ("DOT", "LONE") and octet in (CR, LF):
            return Sight(waiting_from, End.HIDDEN, index + 1, bare)
        elif place in ("DOT", "LONE") and octet == NUL:
            place, nuls = "LONE", nuls + 1
            if nuls > WAITED_THROUGH:
                return Sight(waiting_from, End.HIDDEN, index + 1, bare)
        elif octet == DOT and place in ("CRLF", "LINE", "CR"):
            place, waiting_from, nuls = ("DOT" if place == "CRLF" else "LONE"), index, 0
        elif octet == CR:
            place = "CR"
        elif octet == LF:
            place = "CRLF" if place == "CR" and content[index - 1 : index] == b"\r" else "LINE"
        elif octet == NUL and place in ("CR", "CRLF", "LINE"):
            place = "LINE"
        else:
            place = "TEXT"
    waits = place in ("DOT", "DOT_CR", "LONE")
    return Sight(waiting_from if waits else len(content), End.NONE, len(content), bare)

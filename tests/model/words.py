"""One command line, read slowly: which word it begins with and what is wrong with its octets.

Design rule 12: a line ends at LF; CRLF is right. Control octets are 0x00-0x08, 0x0B-0x1F and 0x7F; octets from 0x80
up never are (RFC 6531). Leading blanks and any letter case are read generously. Design rule 13: BDAT is the
exception; its line has one exact shape, and whatever else begins like it is malformed.
"""

from dataclasses import dataclass

KNOWN = "EHLO HELO MAIL RCPT DATA BDAT BURL RSET NOOP QUIT VRFY EXPN HELP ETRN AUTH STARTTLS".split()
FORBIDDEN = "XCLIENT XFORWARD XPROXY XPROXYFROM XPROXYTO PROXY TURN ATRN XEXCH50 LHLO".split()
OTHER_SPELLINGS = {"X-EXPS": "AUTH", "X-ANONYMOUSTLS": "STARTTLS"}

LONGEST = 4096
LONGEST_LOGIN = 12288
LARGEST_CHUNK = 2147483647


@dataclass(frozen=True)
class Words:
    """What one line says."""

    verb: str
    """A word of `KNOWN`, FORBIDDEN, or UNKNOWN."""
    arguments: tuple[bytes, ...]
    bare: bool
    """It ends in a bare LF."""
    control: bool
    """A control octet stands in it."""
    chunk: int | None
    """BDAT: its size in octets; None for other verbs and where the line is malformed."""
    last: bool
    """BDAT or BURL with LAST."""

    @property
    def malformed_chunk(self) -> bool:
        """It begins like BDAT and is none."""
        return self.verb == "BDAT" and self.chunk is None


def is_control(octet: int) -> bool:
    """Return whether `octet` may stand in no command line; CR counts, HT and LF do not."""
    return octet <= 8 or 11 <= octet <= 31 or octet == 127


def upper(word: bytes) -> str:
    """Return `word` in upper case, ASCII letters only, as text."""
    return "".join(chr(octet - 32) if 97 <= octet <= 122 else chr(octet) for octet in word)


def split(text: bytes) -> list[bytes]:
    """Cut at blanks and HT; empty words vanish."""
    words, word = [], b""
    for octet in text:
        if octet in (32, 9):
            words.append(word)
            word = b""
        else:
            word += bytes([octet])
    return [each for each in [*words, word] if each]


def visible(text: bytes) -> bytes:
    """Leave out the control octets."""
    return bytes(octet for octet in text if not is_control(octet))


def begins_like_bdat(text: bytes) -> bool:
    """Design rule 13: "whose first word, blanks, HT and control octets aside, begins with BDAT"."""
    seen = visible(text)
    while seen[:1] in (b" ", b"\t"):
        seen = seen[1:]
    return upper(seen[:4]) == "BDAT"


def chunk_size(line: bytes) -> tuple[int, bool] | None:
    """Read `BDAT` SP 1*10DIGIT [SP `LAST`] CRLF, exactly; None for anything else."""
    if line[-2:] != b"\r\n" or upper(line[:5]) != "BDAT ":
        return None
    rest, last = line[5:-2], False
    if upper(rest[-5:]) == " LAST":
        rest, last = rest[:-5], True
    if not 1 <= len(rest) <= 10 or any(octet not in b"0123456789" for octet in rest):
        return None
    size = 0
    for octet in rest:
        size = size * 10 + octet - 48
    return None if size > LARGEST_CHUNK else (size, last)


def read(line: bytes) -> Words:
    """Read one line with its line end."""
    bare = line[-2:] != b"\r\n"
    text = line[:-1] if bare else line[:-2]
    control = any(is_control(octet) for octet in text)
    if begins_like_bdat(text):
        size = chunk_size(line)
        return Words("BDAT", (), bare, control, size[0] if size else None, bool(size and size[1]))
    words = split(text)
    first = upper(words[0]) if words else ""
    verb = OTHER_SPELLINGS.get(first, first)
    if first in FORBIDDEN:
        verb = "FORBIDDEN"
    elif verb not in KNOWN:
        verb = "UNKNOWN"
    arguments = tuple(words[1:])
    last = verb == "BURL" and bool(arguments) and upper(arguments[-1]) == "LAST"
    return Words(verb, arguments, bare, control, None, last)


def longest(start: bytes) -> int:
    """Return how many octets a line beginning so may have, its line end included."""
    words = split(start[:64])
    login = bool(words) and OTHER_SPELLINGS.get(upper(words[0]), upper(words[0])) == "AUTH"
    return LONGEST_LOGIN if login else LONGEST

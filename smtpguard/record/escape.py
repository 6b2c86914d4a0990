"""Octets of the wire -> printable ASCII: the one encoder that every sink gets its text from.

0x20 to 0x7E stand for themselves, all else and the backslash are written `\\xNN`: what is printed can be read back,
and no terminal, syslog daemon or reader of lines sees a control octet, a line end, DEL, C1 or a direction mark of
Unicode. Text that is longer than asked for is cut at a whole octet, and `...` says so.

No road to `repr` or `backslashreplace`: the first writes quotes and `\\n`, the second lets control octets through.
"""

import re
from typing import Final

SHOWN: Final = 256
"""Characters of wire text in one line of the operator log."""

ELLIPSIS: Final = "..."

_PLAIN: Final = re.compile(rb"[ -\[\]-~]*")
_SPELT: Final = {
    octet: f"\\x{octet:02x}" for octet in range(256) if not 0x20 <= octet < 0x7F or octet == ord("\\")
}  # fmt: skip


def printable(octets: bytes, limit: int = SHOWN) -> str:
    """Return `octets` as printable ASCII of at most `limit` characters, and `...` behind it where something was cut."""
    # Every octet makes at least one character: what lies behind the limit need not be spelt out to be cut.
    text = octets[: limit + 1].decode("latin-1")
    if not _PLAIN.fullmatch(octets[: limit + 1]):
        text = text.translate(_SPELT)
    return cut(text, limit)


def quoted(octets: bytes) -> str:
    """Return wire text as it stands inside a line of the operator log, in angle brackets.

    A blank behind a colon or a semicolon is spelt out too: such a pair is what readers split our lines at. pflogsumm
    takes the *last* `reject: WORD from HOST: ` of a line, so a client could put another host into its table.
    """
    return f"<{printable(octets)}>".replace(": ", ":\\x20").replace("; ", ";\\x20")


def cut(text: str, limit: int) -> str:
    """Cut printable text to `limit` characters, never inside `\\xNN`; `...` comes behind the limit."""
    if len(text) <= limit:
        return text
    inside = text.rfind("\\", max(0, limit - 3), limit)
    return text[: limit if inside < 0 else inside] + ELLIPSIS


def clean(text: str, limit: int) -> str:
    """Return text of our own, or of the system, as printable ASCII: Unicode is written as its UTF-8 octets are."""
    return printable(text.encode("utf-8", "surrogateescape"), limit)


def bracketed(text: str) -> str:
    """Put printable text into `<...>` where a blank or nothing in it would break the list of fields."""
    return f"<{text}>" if not text or " " in text else text

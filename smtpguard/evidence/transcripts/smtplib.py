"""What Python's smtplib prints with `set_debuglevel(1)` or `(2)`: `send: 'ehlo x\\r\\n'`, `reply: b'250-x\\r\\n'`.

The octets stand there as Python spells them, so line ends are seen, too. What is sent at once is one line.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

from smtpguard.evidence.transcripts.shapes import Form, Kind, Line, Written

_SAID: Final = re.compile(r".{0,200}?\b(send|reply): (b?(?:'.*'|\".*\"))\s*")
_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
_LONGEST: Final = 16 * 1024 * 1024


def read(lines: Sequence[Line]) -> Iterator[Written]:
    """Read smtplib's own account."""
    sent = 0
    for place, text in lines:
        found = _SAID.fullmatch(text) if len(text) < _LONGEST else None
        if found is None:
            continue
        octets = _spelt(found[2])
        if octets and found[1] == "reply":
            yield Written(place, Kind.UPSTREAM, octets)
        elif octets:
            sent += 1
            for line in _LINE.findall(octets):
                yield Written(place, Kind.CLIENT, line, sent)


def _spelt(literal: str) -> bytes:
    """Return the octets of a Python literal; nothing where it is none, as when it was cut."""
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return b""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return value if isinstance(value, bytes) else b""


SMTPLIB: Final = Form(
    name="smtplib",
    what="debug output of Python's smtplib",
    looks="`send: '...'` and `reply: b'...'`",
    read=read,
    timed=True,
)

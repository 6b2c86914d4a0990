"""A session typed into telnet, netcat or `openssl s_client`, as it stands in a terminal: no line is marked.

A line that begins with three digits is a reply, any other is what was typed; within content all lines are content, up
to the lone dot. The programs' own words are left out.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from smtpguard.evidence.transcripts.shapes import Form, Kind, Line, Written, wire

_OWN_WORDS: Final = re.compile(
    r"Trying \S.*|Connected to .*|Escape character is .*|Script (?:started|done) on .*|telnet> ?.*|\^\].*"
    r"|Connection to \S+ .*succeeded!|Ncat: .*|Connection closed\.|DONE|read R BLOCK|RENEGOTIATING|KEYUPDATE"
    r"|\S*[$#%] (?:telnet|nc|ncat|netcat|openssl)\b.*|---"
)
_LEFT: Final = re.compile(r"Connection closed by foreign host\.?|closed|Connection to \S+ closed.*")
_TLS_BEGINS: Final = re.compile(r"CONNECTED\([0-9A-F]+\)|Post-Handshake New Session Ticket arrived:")
_TLS_ENDS: Final = re.compile(r"\s*Max Early Data: .*|\s*Extended master secret: .*|\s*Verify return code: .*")


def read(lines: Sequence[Line]) -> Iterator[Written]:
    """Read what stood in a terminal."""
    within, ending = False, False
    for place, text in lines:
        line = text.rstrip(" \r")
        if _TLS_BEGINS.fullmatch(line):
            if line.startswith("CONNECTED"):
                yield Written(place, Kind.TLS)
            within, ending = True, False
        elif within:
            # What openssl tells of TLS ends with a rule behind the last of its facts.
            ending = ending or _TLS_ENDS.fullmatch(line) is not None
            within = not (ending and line == "---")
        elif _LEFT.fullmatch(line):
            yield Written(place, Kind.UPSTREAM_LEFT)
        elif _OWN_WORDS.fullmatch(line):
            continue
        else:
            yield Written(place, Kind.EITHER, wire(text))


TERMINAL: Final = Form(
    name="terminal",
    what="session in a terminal (telnet, netcat, openssl s_client)",
    looks="replies that begin with three digits, and between them what was typed",
    read=read,
)

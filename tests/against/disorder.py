"""The Order section of the catalogue as sessions that break one rule each, with what the evidence must say.

SG109, and SG101 behind STARTTLS, need a view into TLS: in pass-through the session is opaque, so they are proved in the
engine's own tests. SG108 needs BINARYMIME and SG115 a refused greeting: they have tests of their own.
"""

from dataclasses import dataclass
from typing import Final

from tests.against.sessions import (
    ANN,
    DATA,
    EHLO,
    HELO,
    LATE,
    MAIL,
    NOBODY,
    NOOP,
    PART,
    RCPT,
    REFUSED,
    RSET,
    TX,
    bdat,
)  # fmt: skip

STARTTLS, AUTH, ETRN = b"STARTTLS\r\n", b"AUTH PLAIN " + ANN, b"ETRN up.example\r\n"
QUIT_CHUNK = bdat(b"QUIT\r\nRSET\r\n", True)


@dataclass(frozen=True, slots=True)
class Disorder:
    """One violation."""

    rule: str
    before: tuple[bytes, ...]
    """Lawful pieces, one reply each."""
    line: bytes
    """The offending piece, its payload included."""
    state: str
    cause: str
    previous: tuple[str, int]
    """The command before, and the code it got; GREETING is the greeting."""
    behind: bytes = NOOP
    """What is sent in the same piece behind it, and is answered with 250; empty where none may be (design rule 6)."""
    after: tuple[bytes, ...] = (RSET,)
    """What brings the session to where a message can begin."""
    port: str = "port"
    """Which of the upstream's ports."""


DISORDER: Final = {
    "SG101 first of all": Disorder(
        "SG101", (), MAIL, "connected", "no-hello-at-all", ("GREETING", 220), after=(EHLO,)),
    "SG101 behind a refused ehlo": Disorder(
        "SG101", (b"EHLO\r\n",), MAIL, "connected", "hello-refused-and-ignored", ("EHLO", 501), after=(EHLO,)),
    "SG102 behind ehlo": Disorder("SG102", (EHLO,), RCPT, "identified", "unknown", ("EHLO", 250)),
    "SG102 behind a refused mail": Disorder(
        "SG102", (EHLO, REFUSED), RCPT, "identified", "ignored-refusal", ("MAIL", 550)),
    "SG102 behind a message": Disorder("SG102", (EHLO, *TX), RCPT, "identified", "unknown", ("CONTENT", 250)),
    "SG102 behind rset": Disorder("SG102", (EHLO, MAIL, RCPT, RSET), RCPT, "identified", "unknown", ("RSET", 250)),
    "SG103 data": Disorder("SG103", (EHLO,), DATA, "identified", "unknown", ("EHLO", 250), behind=b""),
    "SG103 data behind a refused mail": Disorder(
        "SG103", (EHLO, REFUSED), DATA, "identified", "ignored-refusal", ("MAIL", 550), behind=b""),
    "SG103 bdat with commands in it": Disorder("SG103", (EHLO,), QUIT_CHUNK, "identified", "unknown", ("EHLO", 250)),
    "SG104 behind mail": Disorder("SG104", (EHLO, MAIL), DATA, "envelope", "unknown", ("MAIL", 250), behind=b""),
    "SG104 all recipients refused": Disorder(
        "SG104", (EHLO, MAIL, NOBODY), DATA, "envelope", "all-recipients-refused", ("RCPT", 550), behind=b""),
    "SG104 bdat with commands in it": Disorder(
        "SG104", (EHLO, MAIL, NOBODY), QUIT_CHUNK, "envelope", "all-recipients-refused", ("RCPT", 550)),
    "SG105 behind mail": Disorder("SG105", (EHLO, MAIL), MAIL, "envelope", "unknown", ("MAIL", 250)),
    "SG105 behind rcpt": Disorder("SG105", (EHLO, MAIL, RCPT), MAIL, "recipients", "unknown", ("RCPT", 250)),
    "SG105 no rset behind a refused data": Disorder(
        "SG105", (EHLO, MAIL, LATE, DATA), MAIL, "recipients", "no-rset-after-refused-data", ("DATA", 550)),
    "SG105 all recipients refused": Disorder(
        "SG105", (EHLO, MAIL, NOBODY), MAIL, "envelope", "all-recipients-refused", ("RCPT", 550)),
    "SG105 in a pooled connection": Disorder(
        "SG105", (EHLO, *TX, MAIL, RCPT), MAIL, "recipients", "pooled-connection", ("RCPT", 250)),
    "SG106 mail": Disorder("SG106", (EHLO, MAIL, RCPT, bdat(PART)), MAIL, "chunking", "unknown", ("BDAT", 250)),
    "SG106 rcpt": Disorder("SG106", (EHLO, MAIL, RCPT, bdat(PART)), RCPT, "chunking", "unknown", ("BDAT", 250)),
    "SG106 data": Disorder(
        "SG106", (EHLO, MAIL, RCPT, bdat(PART)), DATA, "chunking", "unknown", ("BDAT", 250), behind=b""),
    "SG107 not offered": Disorder(
        "SG107", (EHLO, MAIL, RCPT), QUIT_CHUNK, "recipients", "unknown", ("RCPT", 250), port="no_chunking"),
    "SG107 behind helo": Disorder(
        "SG107", (HELO, MAIL, RCPT), QUIT_CHUNK, "recipients", "helo-then-esmtp", ("RCPT", 250)),
    "SG110": Disorder("SG110", (EHLO, MAIL), STARTTLS, "envelope", "unknown", ("MAIL", 250), behind=b""),
    "SG111": Disorder("SG111", (EHLO, MAIL), AUTH, "envelope", "unknown", ("MAIL", 250)),
    "SG111 with a recipient": Disorder("SG111", (EHLO, MAIL, RCPT), AUTH, "recipients", "unknown", ("RCPT", 250)),
    "SG112": Disorder("SG112", (EHLO, AUTH), AUTH, "identified", "second-login", ("AUTH", 235)),
    "SG113 first of all": Disorder("SG113", (), AUTH, "connected", "no-hello-at-all", ("GREETING", 220), after=(EHLO,)),
    "SG113 behind helo": Disorder("SG113", (HELO,), AUTH, "identified", "helo-then-esmtp", ("HELO", 250)),
    "SG114 first of all": Disorder(
        "SG114", (), STARTTLS, "connected", "no-hello-at-all", ("GREETING", 220), behind=b"", after=(EHLO,)),
    "SG114 behind helo": Disorder(
        "SG114", (HELO,), STARTTLS, "identified", "helo-then-esmtp", ("HELO", 250), behind=b""),
    "SG116": Disorder("SG116", (EHLO, MAIL), ETRN, "envelope", "unknown", ("MAIL", 250)),
}  # fmt: skip

NOTES_IN_STANDARD: Final = ("SG110", "SG113", "SG114", "SG116")
"""Forwarded by default; the tests set them to refuse."""

SAFE: Final = ("SG107",)
"""Refused in observe too."""

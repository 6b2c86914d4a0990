"""Kinds of sessions that nobody is to be blamed for: what is said, and the codes that must come back.

`Kind` is a row for all tables of this folder. `c.example` in the octets becomes the host's own name. The codes are
those of Postfix as `tests.against.postfix` configures it, and of smtpguard where the catalogue says that it answers;
a session that hears others was not played as planned, and the day fails.
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
    QUIT,
    RCPT,
    RCPT2,
    REFUSED,
    REST,
    RSET,
    TEXT,
    VRFY,
    bdat,
)  # fmt: skip

NAME: Final = b"c.example"
"""Stands in the octets for the host's name."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send octets in one segment, then await replies."""

    octets: bytes
    codes: str = ""
    """The reply codes that come, with blanks between them."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Put TLS on the connection."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Close without waiting for anything."""


Step = Say | StartTls | Leave


@dataclass(frozen=True, slots=True)
class Found:
    """What the audit must say of a session: so many findings of one rule with one cause."""

    rule: str
    cause: str = "unknown"
    count: int = 1

    @property
    def kept(self) -> int:
        """Return how many of them become events: all that are answered, and 20 of what is only noted."""
        return min(self.count, NOTES_KEPT) if self.rule in NOTED else self.count


NOTED: Final = frozenset(
    {"SG110", "SG113", "SG114", "SG116", "SG201", "SG202", "SG203", "SG206", "SG301", "SG305", "SG505"}
)
"""Rules that profile standard only notes."""

NOTES_KEPT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of session."""

    steps: tuple[Step, ...] = ()
    found: tuple[Found, ...] = ()
    """What CLIENT is to blame for."""
    consequences: tuple[Found, ...] = ()
    """What it is not to blame for: pipelined behind a refusal (RFC 2920 §3.1)."""
    facts: tuple[Found, ...] = ()
    """SG5xx and SG6xx: about UPSTREAM and the limits."""
    messages: int = 0
    """Messages accepted, as far as they can be seen."""
    probe: bool = False
    """No command, or only QUIT: not in the audit."""
    visible: str = "full"
    """`smtp.visible`: `none` is another protocol, out of every client ranking."""
    close: str = "quit"
    """`smtp.close`; empty: which side goes first is nobody's business."""
    early: bool = False
    """Its first step goes out before the greeting, at a listener that greets a second late."""
    program: str = ""
    """The real client that plays it; else it is played octet by octet."""

    @property
    def good(self) -> bool:
        """True for a session in order: mail, and nothing to blame."""
        return not self.probe and self.visible != "none" and not self.found


def again(step: Step, times: int) -> tuple[Step, ...]:
    """Return a step several times."""
    return (step,) * times


HI, HI_OLD = Say(EHLO, "250"), Say(HELO, "250")
M, R, R2, NO, D, T, Q = (
    Say(MAIL, "250"), Say(RCPT, "250"), Say(RCPT2, "250"), Say(NOBODY, "550"), Say(DATA, "354"), Say(TEXT, "250"),
    Say(QUIT, "221"),
)  # fmt: skip
REFUSED_MAIL, FRESH = Say(REFUSED, "550"), Say(RSET, "250")
MESSAGE = (M, R, D, T)
TLS = (Say(b"STARTTLS\r\n", "220"), StartTls())

GOOD: Final[dict[str, Kind]] = {
    "one message": Kind(steps=(HI, *MESSAGE, Q), messages=1),
    "two messages": Kind(steps=(HI, *MESSAGE, *MESSAGE, Q), messages=2),
    "three messages, rset between": Kind(steps=(HI, *MESSAGE, FRESH, *MESSAGE, FRESH, *MESSAGE, Q), messages=3),
    "one message by helo": Kind(steps=(HI_OLD, *MESSAGE, Q), messages=1),
    "second ehlo": Kind(steps=(HI, *MESSAGE, HI, *MESSAGE, Q), messages=2),
    "mixed recipients": Kind(steps=(HI, M, NO, R, R2, D, T, Q), messages=1),
    "mail refused, then a good one": Kind(steps=(HI, REFUSED_MAIL, *MESSAGE, Q), messages=1),
    "all recipients refused, rset": Kind(steps=(HI, M, NO, NO, FRESH, *MESSAGE, Q), messages=1),
    "all recipients refused, quit": Kind(steps=(HI, M, NO, Q)),
    "data refused, rset": Kind(steps=(HI, M, Say(LATE, "250"), Say(DATA, "550"), FRESH, *MESSAGE, Q), messages=1),
    "noop and vrfy in a transaction": Kind(
        steps=(HI, M, Say(NOOP, "250"), R, Say(VRFY, "252"), D, T, Q), messages=1),
    "ehlo refused, then helo": Kind(steps=(Say(b"EHLO\r\n", "501"), HI_OLD, *MESSAGE, Q), messages=1),
    "unknown verb": Kind(steps=(HI, Say(b"FROB x\r\n", "500"), *MESSAGE, Q), messages=1),
    "auth": Kind(steps=(HI, Say(b"AUTH PLAIN " + ANN, "235"), *MESSAGE, Q), messages=1),
    "pipelined": Kind(steps=(HI, Say(MAIL + RCPT + RCPT2 + DATA, "250 250 250 354"), T, Q), messages=1),
    "pipelined behind the dot": Kind(
        steps=(HI, Say(MAIL + RCPT + DATA, "250 250 354"), Say(TEXT + MAIL + RCPT + DATA, "250 250 250 354"), T, Q),
        messages=2),
    "one chunk": Kind(steps=(HI, M, R, Say(bdat(PART, True), "250"), Q), messages=1),
    "two chunks": Kind(steps=(HI, M, R, Say(bdat(PART), "250"), Say(bdat(REST, True), "250"), Q), messages=1),
    "pipelined chunk": Kind(steps=(HI, Say(MAIL + RCPT + bdat(PART, True), "250 250 250"), Q), messages=1),
    # RFC 2920 §3.1: answered, never blamed.
    "pipelined behind a refused mail": Kind(
        steps=(HI, Say(REFUSED + RCPT + RCPT2 + DATA, "550 503 503 503"), Q),
        consequences=(Found("SG102", "ignored-refusal", 2), Found("SG103", "ignored-refusal"))),
    "pipelined behind refused recipients": Kind(
        steps=(HI, Say(MAIL + NOBODY + NOBODY + DATA, "250 550 550 554"), FRESH, *MESSAGE, Q), messages=1,
        consequences=(Found("SG104", "all-recipients-refused"),)),
    "chunks pipelined behind a refused mail": Kind(
        steps=(HI, Say(REFUSED + RCPT + bdat(PART) + bdat(REST, True), "550 503 503 503"), Q),
        consequences=(Found("SG102", "ignored-refusal"), Found("SG103", "ignored-refusal", 2))),
    # What ends otherwise.
    "quit in a transaction": Kind(steps=(HI, M, R, Q)),
    "gone in a transaction": Kind(steps=(HI, M, R, Leave()), close="client-gone"),
    "gone in content": Kind(steps=(HI, M, R, D, Say(b"Subject: half\r\n\r\nno end"), Leave()), close="client-gone"),
    "ehlo only": Kind(steps=(HI, Q)),
    # Opaque behind the handshake: what is said there is nobody's to see.
    "starttls, message": Kind(steps=(HI, *TLS, HI, *MESSAGE, Q), visible="until-starttls", close=""),
    "starttls, two messages": Kind(
        steps=(HI, *TLS, HI, *MESSAGE, *MESSAGE, Q), visible="until-starttls", close=""),
    "starttls, disorder inside": Kind(
        steps=(HI, *TLS, HI, Say(RCPT, "503"), Q), visible="until-starttls", close=""),
    # Health checks as they should be.
    "connect and quit": Kind(steps=(Q,), probe=True),
    "connect and close": Kind(steps=(Leave(),), probe=True, close="client-gone"),
}  # fmt: skip

"""Why a client did it: the patterns behind the findings, and the sentences a person wants to hear.

A cause is named only where the session shows the pattern; `UNKNOWN` otherwise. `History` is the little that must be
remembered for that, over the session and over the transaction; `find` reads the table from the top and takes the
first row that fits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from smtpguard.smtp import rules
from smtpguard.smtp.verdicts import Rule


class Cause(Enum):
    """id, one sentence for the administrator, one sentence of cure for the sending side."""

    def __new__(cls, id: str, meaning: str, cure: str) -> "Cause":
        cause = object.__new__(cls)
        cause._value_ = id
        return cause

    def __init__(self, id: str, meaning: str, cure: str) -> None:
        self.meaning = meaning
        self.cure = cure

    NO_RSET_AFTER_REFUSED_DATA = (
        "no-rset-after-refused-data",
        "DATA was refused, so the transaction stayed open, and the client began the next one without RSET.",
        "After a refused DATA send RSET before the next MAIL.",
    )
    POOLED_CONNECTION = (
        "pooled-connection",
        "A connection was taken from a pool with a transaction still open from its last use.",
        "Send RSET before a connection goes back to the pool.",
    )
    IGNORED_REFUSAL = (
        "ignored-refusal",
        "The client went on after a 4yz or 5yz reply as if it had been a 250.",
        "Read every reply and stop the transaction at the first 4yz or 5yz.",
    )
    ALL_RECIPIENTS_REFUSED = (
        "all-recipients-refused",
        "Every RCPT was refused and the client went on with the transaction.",
        "When no RCPT was accepted send RSET or QUIT.",
    )
    HELLO_REFUSED_AND_IGNORED = (
        "hello-refused-and-ignored",
        "EHLO or HELO was refused, often for a bad host name, and the client went on.",
        "Give a valid host name in EHLO and wait for its 250.",
    )
    NO_EHLO_AFTER_STARTTLS = (
        "no-ehlo-after-starttls",
        "The client did not say EHLO again after TLS came up, which makes the server forget the first one.",
        "Send EHLO again after STARTTLS.",
    )
    HELO_THEN_ESMTP = (
        "helo-then-esmtp",
        "The client said HELO and then used an extension that only EHLO opens.",
        "Say EHLO instead of HELO.",
    )
    DID_NOT_WAIT_FOR_GREETING = (
        "did-not-wait-for-greeting",
        "The client spoke before the 220 greeting.",
        "Wait for the greeting.",
    )
    DID_NOT_WAIT_FOR_354 = (
        "did-not-wait-for-354",
        "The client sent the message right behind DATA, without reading its reply.",
        "Wait for 354 before the message.",
    )
    BARE_LF_CLIENT = (
        "bare-lf-client",
        "The client ends its command lines in bare LF too: a script or a device that does not know CRLF.",
        "End every line with CRLF.",
    )
    NO_HELLO_AT_ALL = (
        "no-hello-at-all",
        "The client never said EHLO or HELO: usually a script, a device or a scanner.",
        "Begin with EHLO.",
    )
    SECOND_LOGIN = (
        "second-login",
        "The client logged in again in a session that was logged in.",
        "Log in once; open a new session for another user.",
    )
    HEALTH_CHECK = (
        "health-check",
        "A health check of another protocol is pointed at this port.",
        "Configure the check for SMTP, or for a bare TCP connect.",
    )
    SCANNER = (
        "scanner",
        "A scanner or a misdirected program tried its own protocol here.",
        "Point the program at its own port.",
    )
    UNKNOWN = (
        "unknown",
        "No known pattern; the transcript of the session tells more.",
        "Compare the session with RFC 5321 §4.1.4.",
    )


@dataclass(slots=True)
class History:
    """What the session did that later explains a finding."""

    hello_tried: bool = False
    hello_refused: bool = False
    """The latest hello was refused, and none was accepted before it, or none since TLS came up."""
    hello_accepted: bool = False
    """Since TLS came up, if it did."""
    tls_came_up: bool = False
    """And no hello was said since."""
    last_hello_was_helo: bool = False
    mail_refused: bool = False
    """The latest MAIL was refused, and no transaction was opened since."""
    rcpt_accepted: bool = False
    rcpt_refused: bool = False
    data_refused: bool = False
    """In the open transaction."""
    chunk_refused: bool = False
    """In the open transaction, by UPSTREAM or by us; a last chunk only by us, for else it would have ended."""
    accepted_messages: int = 0
    bare_lf: bool = False
    """A command line ended in a bare LF."""
    sent_ahead: bool = False
    """The line at hand was read before its predecessor's reply."""
    health_check: bool = False
    """The first line was a request of a kind that health checks make."""

    def tls_up(self) -> None:
        """Forget the hello, as UPSTREAM does (RFC 3207 §4.2)."""
        self.tls_came_up = True
        self.hello_accepted = self.hello_refused = self.last_hello_was_helo = False

    def begin_transaction(self) -> None:
        """Forget what belongs to one transaction."""
        self.mail_refused = self.rcpt_accepted = self.rcpt_refused = self.data_refused = self.chunk_refused = False


Row = tuple[frozenset[Rule], Callable[[History], bool], Cause]


def _always(_: History) -> bool:
    return True


_DATA_ORDER: Final = frozenset({rules.SG103, rules.SG104})
_ESMTP_ONLY: Final = frozenset({rules.SG107, rules.SG113, rules.SG114})

PATTERNS: Final[tuple[Row, ...]] = (
    (frozenset({rules.SG101, rules.SG113}), lambda h: h.tls_came_up, Cause.NO_EHLO_AFTER_STARTTLS),
    (frozenset({rules.SG101, *_ESMTP_ONLY}), lambda h: h.hello_refused, Cause.HELLO_REFUSED_AND_IGNORED),
    (_ESMTP_ONLY, lambda h: h.last_hello_was_helo, Cause.HELO_THEN_ESMTP),
    (frozenset({rules.SG101, *_ESMTP_ONLY}), lambda h: not h.hello_tried, Cause.NO_HELLO_AT_ALL),
    # Before the refused MAIL: with a transaction open, that MAIL was a nested one.
    (frozenset({rules.SG104}), lambda h: h.rcpt_refused and not h.rcpt_accepted, Cause.ALL_RECIPIENTS_REFUSED),
    (frozenset({rules.SG102}) | _DATA_ORDER, lambda h: h.mail_refused, Cause.IGNORED_REFUSAL),
    (frozenset({rules.SG102, rules.SG103}), lambda h: not h.hello_tried, Cause.NO_HELLO_AT_ALL),
    (frozenset({rules.SG105}), lambda h: h.data_refused or h.chunk_refused, Cause.NO_RSET_AFTER_REFUSED_DATA),
    (
        frozenset({rules.SG105}),
        lambda h: h.rcpt_refused and not h.rcpt_accepted,
        Cause.ALL_RECIPIENTS_REFUSED,
    ),
    # Used before, or given up in this transaction: for one refused RCPT among accepted ones, as boulder#3191 did.
    (frozenset({rules.SG105}), lambda h: h.accepted_messages > 0 or h.rcpt_refused, Cause.POOLED_CONNECTION),
    (frozenset({rules.SG106}), lambda h: h.chunk_refused, Cause.IGNORED_REFUSAL),
    (frozenset({rules.SG112}), _always, Cause.SECOND_LOGIN),
    (frozenset({rules.SG115}), _always, Cause.IGNORED_REFUSAL),
    (frozenset({rules.SG201}), _always, Cause.DID_NOT_WAIT_FOR_GREETING),
    (frozenset({rules.SG204}), lambda h: h.sent_ahead, Cause.DID_NOT_WAIT_FOR_354),
    (frozenset({rules.SG204}), _always, Cause.IGNORED_REFUSAL),
    (frozenset({rules.SG301}), _always, Cause.BARE_LF_CLIENT),
    (frozenset({rules.SG304, rules.SG305, rules.SG306}), lambda h: h.bare_lf, Cause.BARE_LF_CLIENT),
    (frozenset({rules.SG401}), lambda h: h.health_check, Cause.HEALTH_CHECK),
    (frozenset({rules.SG401, rules.SG402, rules.SG403}), _always, Cause.SCANNER),
)


def find(rule: Rule, history: History) -> Cause:
    """Name the cause of a finding, `Cause.UNKNOWN` where no pattern fits."""
    for broken, fits, cause in PATTERNS:
        if rule in broken and fits(history):
            return cause
    return Cause.UNKNOWN

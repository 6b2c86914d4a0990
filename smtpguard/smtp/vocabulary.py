"""The words of RFC 5321 as this program uses them, and the numbers that bound them.

CLIENT is the sender-SMTP that connected to us, UPSTREAM the receiver-SMTP that we dialled (RFC 5321 §2.3.2). "Server",
"sender" and "recipient" are ambiguous in a proxy and do not appear as names.

Every limit carries its unit and the reason for its value. Nothing here knows a rule or a policy.
"""

from enum import Enum
from typing import Final


class Word(Enum):
    """An Enum whose members are dictionary keys on the fast path.

    Members are singletons compared by identity, so the identity's hash is right; `Enum.__hash__` is a Python function
    before 3.12, and cost a session a tenth of the engine's time.
    """

    __hash__ = object.__hash__


class Side(Word):
    """One of the two ends of a session."""

    CLIENT = "client"
    UPSTREAM = "upstream"


class Verb(Word):
    """What a line from CLIENT is, after its first word; the last five are no words of the wire."""

    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    BURL = "BURL"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    ETRN = "ETRN"
    AUTH = "AUTH"
    STARTTLS = "STARTTLS"
    FORBIDDEN = "FORBIDDEN"
    """XCLIENT and the others of `FORBIDDEN_WORDS`: UPSTREAM trusts our address, so a client must not say them."""
    UNKNOWN = "UNKNOWN"
    """Any other first word, the empty line among them: only UPSTREAM can say 500 to it."""
    GREETING = "GREETING"
    """Not a command: the reply that UPSTREAM owes as soon as the connection stands (RFC 5321 §3.1)."""
    CONTENT = "CONTENT"
    """Not a command: the end of the message content, which UPSTREAM owes its verdict on (RFC 5321 §4.1.1.4)."""
    SASL = "SASL"
    """Not a command: one line of an authentication exchange (RFC 4954 §4)."""


class State(Word):
    """The transaction's axis only; hello, TLS, authentication and keywords are facts beside it (`order.Facts`)."""

    AWAITING_GREETING = "awaiting-greeting"
    REFUSED_GREETING = "refused-greeting"
    CONNECTED = "connected"
    IDENTIFIED = "identified"
    ENVELOPE = "envelope"
    RECIPIENTS = "recipients"
    CHUNKING = "chunking"


class ReplyClass(Word):
    """The first digit of a reply code (RFC 5321 §4.2.1)."""

    OK = 2
    INTERMEDIATE = 3
    TRANSIENT = 4
    PERMANENT = 5


class TlsMode(Word):
    """What becomes of STARTTLS from CLIENT."""

    PASS_THROUGH = "pass-through"
    """Forwarded; after UPSTREAM's 220 and a TLS record of CLIENT the session is opaque."""
    HIDE = "hide"
    """The keyword is taken out of the EHLO reply, the command answered 502."""
    REFUSE = "refuse"
    """The EHLO reply is untouched, the command answered 454."""


class TranscriptMode(Word):
    """When the latest lines of a session are handed out at its end."""

    ON_FINDING = "on-finding"
    """Where a rule fired, or the session ended badly."""
    ALWAYS = "always"
    NEVER = "never"


class Waiting(Word):
    """Whom the session waits for, so that the owner of the clock can tell which deadline runs."""

    GREETING = "greeting"
    COMMAND = "command"
    REPLY = "reply"
    CONTENT = "content"
    VERDICT = "verdict"
    OPAQUE = "opaque"
    NOBODY = "nobody"


NO_WORDS: Final = frozenset({Verb.FORBIDDEN, Verb.UNKNOWN, Verb.GREETING, Verb.CONTENT, Verb.SASL})
"""The verbs that no word of the wire spells."""

SPELLINGS: Final[dict[bytes, Verb]] = {
    **{verb.value.encode(): verb for verb in Verb if verb not in NO_WORDS},
    # Exchange's own spellings of AUTH and STARTTLS (MS-XLOGIN, MS-OXSMTP): the same exchange, so the same rules.
    b"X-EXPS": Verb.AUTH,
    b"X-ANONYMOUSTLS": Verb.STARTTLS,
}

FORBIDDEN_WORDS: Final = frozenset(
    {
        # Postfix's and nginx's way to assert somebody else's address.
        b"XCLIENT", b"XFORWARD", b"PROXY",
        # Exchange's.
        b"XPROXY", b"XPROXYFROM", b"XPROXYTO",
        # They turn the connection round (RFC 821 §3.8, RFC 2645): what follows would run the wrong way.
        b"TURN", b"ATRN",
        # Raw octets follow its 354 (Exchange), so nobody between the two can frame them.
        b"XEXCH50",
        # LMTP's hello (RFC 2033 §4.1): one reply per recipient after the dot, which is another protocol.
        b"LHLO",
    }
)  # fmt: skip

GROUP_END: Final = frozenset(
    {
        # RFC 2920 §3.1: "The EHLO, DATA, VRFY, EXPN, TURN, QUIT, and NOOP commands can only appear as the last command
        # in a group". DATA and QUIT have rules of their own (SG204, SG206); HELO and AUTH end one because what follows
        # them depends on the reply.
        Verb.EHLO, Verb.HELO, Verb.VRFY, Verb.EXPN, Verb.NOOP, Verb.AUTH,
    }
)  # fmt: skip

OPENS_TLS: Final = b"\x16"
"""The first octet of a TLS handshake record (RFC 8446 §5.1)."""

COMMAND_LINE: Final = 4096
"""Octets of a command line with its line end. RFC 5321 §4.5.3.1.4 asks for 512 at least; Postfix takes 2048 a line."""

LINE_FLOOR: Final = 512
"""Octets that every reader must take (RFC 5321 §4.5.3.1.4), so no limit is set below."""

SASL_LINE: Final = 12288
"""Octets of an AUTH or SASL line with its line end: the floor that RFC 4954 §4 asks for."""

HELD_INPUT: Final = 64 * 1024
"""Octets of CLIENT's input held while a reply is awaited; more stays in the kernel."""

READ_SIZE: Final = 256 * 1024
"""Octets of one read of content: bulk costs a third less than in reads of 64 KiB."""

REPLY_LINE: Final = 4096
"""Octets of a reply line with its line end; RFC 5321 §4.5.3.1.5 asks for 512."""

REPLY_SIZE: Final = 64 * 1024
"""Octets of a whole reply."""

REPLY_LINES: Final = 500
"""Lines of a whole reply."""

RCPTS_IN_FLIGHT: Final = 64
"""RCPT commands that may await their replies together."""

CHUNK_MAXIMUM: Final = 2147483647
"""The largest BDAT size taken, in octets: the largest that every reader reads alike, signed 32 bits included."""

SWALLOW_MAXIMUM: Final = 16 * 1024 * 1024
"""Octets of a refused chunk that are read and dropped; a larger one ends the session."""

HELD_DOT: Final = 64
"""NUL octets behind a possible end of content that are waited through; more are a match (see `content`)."""

BLOCK: Final = 4096
"""Octets of content that must come within one content deadline."""

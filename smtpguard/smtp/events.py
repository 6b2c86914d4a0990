"""What happened, as frozen values: the audit record is born here, without a clock, an address or a sink.

The engine returns events with its octets. The network room stamps them with a `Link` (who) and a time (when) and
hands them to one callable. Everything textual in an event is redacted already: credentials never enter one (see
`syntax`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from smtpguard.smtp.causes import Cause
from smtpguard.smtp.replies import Answer
from smtpguard.smtp.transcript import NO_TRANSCRIPT, Transcript
from smtpguard.smtp.verdicts import Rule, Verdict
from smtpguard.smtp.vocabulary import State, Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The last command that was answered before the offending one, and its reply: the cure often lies here."""

    verb: Verb
    code: int
    text: bytes
    """First line of the reply after its code, without line end, at most 512 octets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule fired."""

    rule: Rule
    verdict: Verdict
    """What was done: note, refuse or close."""
    enforced: Verdict
    """What mode enforce would have done."""
    consequence: bool
    """True: pipelined behind a refusal (RFC 2920 §3.1); CLIENT is not blamed, not counted, not ranked."""
    cause: Cause
    state: State
    """Before the command."""
    verb: Verb
    line: bytes
    """The redacted line, as on the wire less its line end; empty where no line is to blame."""
    expected: tuple[Verb, ...]
    """The verbs that were in order."""
    previous: Previous | None
    answer: Answer | None
    """What smtpguard answered itself; None where UPSTREAM speaks."""
    forwarded: bool
    sent_ahead: bool
    """Read before the reply to its predecessor was written."""
    sequence: int
    """Number of the command in the session, from 1; 0 where no command was read."""
    violations: int
    """Violations of this session so far, this one included."""
    hello: bytes = b""
    """Argument of the last EHLO or HELO, at most 255 octets."""
    esmtp: bool = False
    tls: bool = False
    authenticated: bool = False
    detail: str = ""
    """What else helps, in a few ASCII words; never wire text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """smtpguard answered a lawful command itself because of a setting: STARTTLS with `tls.mode` hide or refuse."""

    setting: str
    state: State
    verb: Verb
    previous: Previous | None
    answer: Answer
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionEnded:
    """STARTTLS went through: from here on the session is opaque."""

    sequence: int


class Close(Enum):
    """Why a session ended."""

    QUIT = "quit"
    CLIENT_GONE = "client-gone"
    UPSTREAM_GONE = "upstream-gone"
    VIOLATION = "violation"
    LIMIT = "limit"
    DEADLINE = "deadline"
    OUT_OF_STEP = "out-of-step"
    GOODBYE = "421"
    """UPSTREAM said 421."""
    CONTENT_REFUSED = "content-refused"
    """UPSTREAM refused the message before its end."""
    UNREACHABLE = "unreachable"
    SHUTDOWN = "shutdown"
    ERROR = "error"
    """A bug of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted:
    """CLIENT was accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """The denominators of every later report: one per session, whether a rule fired or not."""

    close: Close
    state: State
    waiting_for: str
    """`vocabulary.Waiting` value at the end: what the session was waiting for."""
    last_verb: Verb | None
    """The last command read, for "lost connection after RCPT"."""
    hello: bytes
    """Argument of the last EHLO or HELO, at most 255 octets; empty if there was none."""
    esmtp: bool
    tls: bool
    authenticated: bool
    opaque: bool
    """Inspection ended at STARTTLS."""
    not_smtp: bool
    """Another protocol (SG401 to SG403): out of every client ranking."""
    probe: bool
    """No command, or only QUIT: counted, not audited, not ranked."""
    commands: dict[Verb, tuple[int, int]]
    """Verb -> (accepted, said); accepted means a 2yz or 3yz reply of UPSTREAM."""
    accepted_messages: int
    refused_messages: int
    rules: dict[str, int]
    """Rule id -> findings, consequences not counted."""
    violations: int
    consequences: int
    octets_in: int
    """From CLIENT."""
    octets_out: int
    """To CLIENT."""
    transcript: Transcript = NO_TRANSCRIPT
    """The latest lines, where `Policy.transcript` asks for them; times are those of `Session.at`."""


Event = SessionStarted | Finding | Declined | InspectionEnded | SessionEnded


TLS_OF_SOME_KIND: Final = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Who: stamped on each event by the network room. The engine never reads it.

    Addresses are text as `ipaddress` prints it, without zone and with `::ffff:a.b.c.d` folded to IPv4; ports are 0
    where there is none.
    """

    session_id: str
    """12 characters, unique over restarts."""
    started: float
    """Seconds since the epoch."""
    client_ip: str
    client_port: int
    local_ip: str
    """The address that CLIENT dialled."""
    local_port: int
    listener: str
    upstream: str
    """HOST:PORT as configured."""
    via: str = "direct"
    """How the client's address came: `direct`, `redirect`, `tproxy`, `proxy-v1`, `proxy-v2`; `local`: a balancer's
    own check."""
    peer_ip: str = ""
    """Who connected to us, where that was not the client; empty: it was."""
    peer_port: int = 0
    unique_id: bytes = b""
    """What the balancer calls the connection (PROXY v2), at most 128 octets, of any value."""
    tls_before: str = ""
    """CLIENT's connection to the balancer is encrypted: the version, or `TLS_OF_SOME_KIND` where it tells none."""

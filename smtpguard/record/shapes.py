"""The shapes of the audit: what one line of `events/**/*.jsonl` holds, name by name.

Names are those of the Elastic Common Schema 9 where it has one; everything else is `smtp.*`. What is written is what
these classes say, `msgspec.json.schema` prints them, and a reader decodes with them. `audit` fills them from events."""

from typing import Final, Literal

import msgspec

SCHEMA: Final = 1
"""`smtp.schema`: raised on any breaking change."""

ECS_VERSION: Final = "9.0.0"

ESMTP: Final = "ESMTP"
"""What `smtp.proto` is where it is absent. msgspec leaves out what *is* the default: this very object must be used."""

_EXTENDED: Final = {(False, False): ESMTP, (False, True): "ESMTPA", (True, False): "ESMTPS", (True, True): "ESMTPSA"}


def protocol(esmtp: bool, tls: bool, authenticated: bool) -> str:
    """Return the protocol's name of RFC 3848: ESMTP, S for TLS, A for AUTH."""
    return _EXTENDED[tls, authenticated] if esmtp else "SMTP"


Kind = Literal["alert", "event"]
Action = Literal[
    "sequence-violation",
    "sync-violation",
    "smuggling-suspect",
    "upstream-failed",
    "delivery-uncertain",
    "limit-reached",
    "command-declined",
    "session-end",
]


class Ecs(msgspec.Struct, frozen=True, kw_only=True):
    """The schema that the names are from."""

    version: str = ECS_VERSION


class EventPart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`event.*`."""

    kind: Kind
    category: tuple[str, ...]
    type: tuple[str, ...]
    action: Action
    outcome: Literal["failure", "unknown"]
    """Of the command: `failure` where smtpguard answered, `unknown` where UPSTREAM's reply decides."""
    id: str
    """ULID."""
    sequence: int
    """Number of the event in this boot, from 1 and without holes; the command's number is `smtp.command_number`."""
    code: str = ""
    """Reply code of smtpguard's own answer."""
    reason: str


class RulePart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`rule.*`."""

    id: str
    name: str
    ruleset: str
    reference: str


class Endpoint(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`source` and `destination`: the address as text, the port as a number."""

    ip: str
    port: int


class Network(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`network.*`."""

    protocol: str
    transport: str
    type: Literal["ipv4", "ipv6"]


class Tls(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`tls.*`, of CLIENT's side."""

    established: bool


class Observer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`observer.*`: who saw it; `name` is the listener."""

    product: str
    type: str
    version: str
    hostname: str
    name: str


class SessionPart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`smtp.session.*`."""

    id: str
    start: str
    """RFC 3339, UTC, milliseconds."""
    via: str = "direct"
    """How the client's address came: `events.Link.via`."""
    peer: Endpoint | None = None
    """Who connected to us, where that was not the client."""
    unique_id: str = ""
    """What the balancer calls the connection, escaped."""
    tls_before: str = ""
    """`events.Link.tls_before`."""


class PreviousPart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`smtp.previous.*`: the last command that was answered before, and its reply."""

    command: str
    reply_code: int
    reply_text: str
    """First line, escaped, at most 512 characters."""


class Response(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`smtp.response.*`: what smtpguard answered itself, without the reference at its end."""

    code: int
    enhanced: str
    text: str


class SmtpPart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`smtp.*` of a finding."""

    schema: int
    boot: str
    """Six characters, one run of the program."""
    session: SessionPart
    upstream: str
    helo: str | None = None
    """Argument of the last EHLO or HELO, escaped, at most 512 characters."""
    protocol: str | None = None
    """RFC 3848."""
    authenticated: bool | None = None
    state: str
    """Before the command."""
    command: str
    command_number: int
    """In the session, from 1; 0 where no command was read."""
    expected: tuple[str, ...] | None = None
    line: str | None = None
    """Redacted, escaped as `\\xNN`, at most 1024 characters."""
    line_truncated: bool | None = None
    previous: PreviousPart | None = None
    cause: str | None = None
    pipelined: bool | None = None
    """Read before the reply to its predecessor was written."""
    consequence: bool | None = None
    """Pipelined behind a refusal (RFC 2920 §3.1): CLIENT is not blamed."""
    response: Response | None = None
    forwarded: bool
    verdict: str | None = None
    """What was done: note, refuse or close."""
    enforced: str | None = None
    """What mode enforce would have done."""
    violation_count: int | None = None
    """In this session so far, this one included."""
    detail: str | None = None
    setting: str | None = None
    """The setting that declined the command."""


class FindingRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename={"timestamp": "@timestamp"}):
    """One finding, or one declined command (`rule` is absent then)."""

    timestamp: str
    ecs: Ecs
    event: EventPart
    rule: RulePart | None = None
    source: Endpoint
    destination: Endpoint
    network: Network
    tls: Tls | None = None
    observer: Observer
    smtp: SmtpPart


class ShortEvent(msgspec.Struct, frozen=True, kw_only=True):
    """`event.*` of a session's end; boot and sequence are the last sixteen characters of `id`."""

    action: Action = "session-end"
    id: str


class ShortObserver(msgspec.Struct, frozen=True, kw_only=True):
    """`observer.name`: the listener, at most 48 characters."""

    name: str


class ShortSession(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`smtp.session.id`, and how the client's address came where that is not `direct`; see `SessionPart`."""

    id: str
    via: str = "direct"
    peer: Endpoint | None = None


class Counts(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """`smtp.counts`, an array of eight numbers in this order."""

    commands_said: int
    commands_accepted: int
    """With a 2yz or 3yz reply of UPSTREAM."""
    messages_accepted: int
    messages_refused: int
    violations: int
    consequences: int
    octets_in: int
    """From CLIENT."""
    octets_out: int
    """To CLIENT."""


class TranscriptRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of `smtp.transcript`. A reply of several lines is several of these."""

    t: float
    """Seconds since the session began: when the line's last octet was read, or when smtpguard said it."""
    dir: Literal["C", "U", "G"]
    """CLIENT, UPSTREAM, or smtpguard's own answer."""
    line: str
    """Redacted, escaped as `\\xNN`, at most 512 characters; what is no line is counted: `[14 octets]`,
    `[1234 octets of content]`, `[55 octets of chunk]`."""
    piece: int = 0
    """Number of the read of that side in which the line ended: lines with the same number came in one piece."""
    rules: tuple[str, ...] = ()
    """Ids of the rules that the line broke, or that an answer is for."""


class ShortSmtp(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`smtp.*` of a session's end. What is absent: `visible` is full, `proto` ESMTP; no `helo`, no `rules`."""

    session: ShortSession
    close: str
    """`events.Close`."""
    secs: float
    """Seconds from accept to the end; the session began at `@timestamp` less this."""
    visible: Literal["full", "until-starttls", "none"] = "full"
    """How far commands were inspected; `none`: another protocol, out of every client ranking."""
    proto: str = ESMTP
    """RFC 3848: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA."""
    counts: Counts
    rules: dict[str, int] = {}
    """Rule id -> findings, consequences not counted; the rarest are summed under `more` if there is no room."""
    helo: str = ""
    """Argument of the last EHLO or HELO, escaped; ends in `...` where it was cut to keep the size."""
    transcript: tuple[TranscriptRecord, ...] = ()
    """The latest lines in the order of judgement, where `audit.transcript` asks for them."""
    omitted: int = 0
    """Lines before the first one of the transcript."""


class SessionEndRecord(msgspec.Struct, frozen=True, kw_only=True, rename={"timestamp": "@timestamp"}):
    """The end of one session that is no probe: at most 400 octets a line, with a transcript at most 64 KiB."""

    timestamp: str
    event: ShortEvent
    source: Endpoint
    observer: ShortObserver
    smtp: ShortSmtp

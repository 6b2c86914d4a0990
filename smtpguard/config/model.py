"""The settings: one frozen `Config`, a table of the TOML file for each of its parts.

Keys are the field names with `-` for `_`. Unknown keys are mistakes. A description stands here and nowhere else.
Durations are seconds. What is made of them for each listener is `listeners`'.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, Strict

from smtpguard.config.values import (
    AccountName,
    Addresses,
    FilePath,
    ForbiddenWord,
    LogTarget,
    Networks,
    Octets,
    RuleVerdicts,
    Seconds,
    Size,
)
from smtpguard.smtp import COMMAND_LINE, SASL_LINE, Limits, Profile, TlsMode, TranscriptMode

Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]

SESSION: Final = Limits()
"""The engine's own defaults, so that each number stands once."""


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Table(BaseModel):
    """One table of the file."""

    # The file's keys are the kebab-case names only (`load` says by_name=False); Python code uses the field names.
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_kebab, validate_by_name=True, validate_by_alias=True
    )


class Mode(Enum):
    """Whether verdicts are carried out."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    """Only the safe rules are; of the others the record says what enforce would have done."""


class LogLevel(Enum):
    """The mildest line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    """The shape of a line of the operator log."""

    TEXT = "text"
    JSON = "json"


class Arrival(Enum):
    """How the destination that CLIENT dialled is found."""

    DIRECT = "direct"
    REDIRECT = "redirect"
    """The packet filter sent the connection here; it knows the destination (SO_ORIGINAL_DST)."""
    TPROXY = "tproxy"
    """The listener takes connections to any address (IP_TRANSPARENT)."""


class Send(Enum):
    """How the upstream learns who the client is."""

    NONE = "none"
    PROXY_V1 = "proxy-v1"
    PROXY_V2 = "proxy-v2"
    XCLIENT = "xclient"
    TRANSPARENT = "transparent"
    """The connection to the upstream comes from the client's address (IP_TRANSPARENT)."""


class Choice(Enum):
    """Which of several upstreams a session goes to."""

    FAILOVER = "failover"
    """The first that can be reached."""
    SPREAD = "spread"
    """One by the client's address; another where that cannot be reached."""


class OnFailure(Enum):
    """What becomes of new sessions while the audit cannot be written."""

    CONTINUE = "continue"
    REFUSE = "refuse"
    """They are answered 421."""


class AddressPrivacy(Enum):
    """How mail addresses stand in the audit."""

    KEEP = "keep"
    HASH = "hash"
    """A token for the local part, the same for the same address."""
    DROP = "drop"


class ClientPrivacy(Enum):
    """How clients' addresses stand in the audit."""

    KEEP = "keep"
    TRUNCATE = "truncate"
    """Without the host's bits."""


class PolicySettings(Table):
    """What is done about findings."""

    mode: Mode = Field(default=Mode.ENFORCE, description="Carry verdicts out (enforce), or only record them (observe).")
    profile: Profile = Field(default=Profile.STANDARD, description="The column of default verdicts.")
    rules: RuleVerdicts = Field(default={}, description="Verdict of a rule, by its id: off, note, refuse or close.")
    reply_rule_id: Flag = Field(default=True, description="Name the rule in the text of our own replies.")
    unsafe_forwarded_verbs: frozenset[ForbiddenWord] = Field(
        default=frozenset(),
        description="Verbs of SG405 that clients may send to the upstream. Unsafe: the upstream trusts our address.",
    )


class TlsSettings(Table):
    """What becomes of STARTTLS."""

    mode: TlsMode = Field(
        default=TlsMode.PASS_THROUGH,
        description="Forward STARTTLS and inspect no further (pass-through), hide its keyword, or refuse the command.",
    )


class TimeoutSettings(Table):
    """How long each side may take; bytes do not extend a deadline."""

    connect: Seconds = Field(default=10.0, description="Until the upstream has taken the connection.")
    greeting: Seconds = Field(default=300.0, description="Until the upstream's greeting is whole.")
    command: Seconds = Field(
        default=300.0, description="From our last octet to the end of the client's next command line."
    )
    reply: Seconds = Field(
        default=330.0, description="From the last octet of a command to the end of the upstream's reply."
    )
    content: Seconds = Field(default=180.0, description="For each 4 KiB of message content.")
    verdict: Seconds = Field(default=900.0, description="From the end of the content to the upstream's reply.")
    write: Seconds = Field(default=180.0, description="Until a peer that reads nothing is given up.")
    session: Seconds = Field(
        default=3600.0, description="A whole session outside a mail transaction; twice as long inside one."
    )
    opaque: Seconds = Field(default=600.0, description="Without an octet either way after STARTTLS was passed through.")


class LimitSettings(Table):
    """How much one client, or all of them, may ask for."""

    sessions: Count | None = Field(
        default=None, ge=1, description="Sessions at once; unset: what the descriptor limit carries, at most 1000."
    )
    sessions_per_client: Count = Field(
        default=200, ge=1, description="Sessions at once of an IPv4 address or an IPv6 /64."
    )
    violations: Count = Field(
        default=SESSION.violations, ge=0, description="Refused commands of a session before it is closed; 0: no limit."
    )
    empty_commands: Count = Field(
        default=SESSION.empty_commands,
        ge=0,
        description="NOOP, RSET, HELP, VRFY and unknown commands since the last message; 0: no limit.",
    )
    command_line: Count = Field(
        default=COMMAND_LINE, ge=512, le=SASL_LINE, description="Octets of a command line with its line end."
    )


class AuditSettings(Table):
    """The evidence."""

    directory: FilePath | None = Field(
        default=None, description="Where audit events are kept; unset: no events are written."
    )
    retention_days: Count = Field(default=90, ge=0, description="Days that audit events are kept; 0: for ever.")
    retention_size: Size = Field(
        default=Octets(2_000_000_000),
        description="Size of all audit events together; above it the oldest hours go. 0: no bound.",
    )
    on_failure: OnFailure = Field(
        default=OnFailure.CONTINUE,
        description="While events cannot be written, go on without (continue), or answer new clients 421 (refuse).",
    )
    transcript: TranscriptMode = Field(
        default=TranscriptMode.ON_FINDING,
        description="Keep the latest 200 lines of a session: where something was found (on-finding), always, or never.",
    )
    transcript_always: Networks = Field(
        default=(), description="Networks of clients whose transcripts are always kept; the longest prefix speaks."
    )
    transcript_never: Networks = Field(default=(), description="Networks of clients whose transcripts are never kept.")


class PrivacySettings(Table):
    """What the audit does not tell of clients and their mail."""

    addresses: AddressPrivacy = Field(
        default=AddressPrivacy.KEEP,
        description="Mail addresses in audit events: keep them, hash the local part with a secret key, or drop them.",
    )
    client_ip: ClientPrivacy = Field(
        default=ClientPrivacy.KEEP,
        description="Clients' addresses in audit events: keep them, or truncate them to /24 (IPv4) and /48 (IPv6). "
        "The operator log keeps them, for fail2ban.",
    )


class LogSettings(Table):
    """The operator's log."""

    level: LogLevel = Field(default=LogLevel.INFO, description="The mildest lines that are written.")
    format: LogFormat = Field(
        default=LogFormat.TEXT, description="Lines of Postfix's shape (text), or one JSON object a line."
    )
    target: LogTarget = Field(
        default="stdout", description="stdout, stderr, journal (stdout with priorities), syslog, or the path of a file."
    )


class IdentitySettings(Table):
    """Who the client is, and how the upstream learns it."""

    send: Send = Field(
        default=Send.NONE,
        description="How the upstream learns the client's address; none: it sees ours.",
    )
    accept_proxy_from: Networks = Field(
        default=(),
        description="Networks of balancers: from these a PROXY header is required, from all others it is refused.",
    )
    arrival: Arrival = Field(
        default=Arrival.DIRECT,
        description="How connections come to the listener: direct, redirect (by the packet filter), or tproxy.",
    )
    i_know_this_is_an_open_relay: Flag = Field(
        default=False,
        description="Start although the upstream relays foreign mail for us, so for everybody who can reach us.",
    )


class ListenerSettings(Table):
    """One `[[listener]]`: `name` is its key here. What it leaves out holds as the common settings say it."""

    address: Addresses = Field(description="Addresses to listen on, HOST:PORT.")
    upstream: Addresses = Field(default=(), description="Mail servers of this listener, HOST:PORT; unset: the common.")
    upstream_choice: Choice | None = Field(default=None, description="As the common key of that name; unset: that one.")
    policy: PolicySettings = Field(default=PolicySettings(), description="Keys of [policy] that differ here.")
    tls: TlsSettings = Field(default=TlsSettings(), description="Keys of [tls] that differ here.")
    identity: IdentitySettings = Field(default=IdentitySettings(), description="Keys of [identity] that differ here.")


class Config(Table):
    """All settings of one smtpguard."""

    listen: Addresses = Field(default=(), description="Addresses to listen on, HOST:PORT.")
    upstream: Addresses = Field(
        default=(),
        description="The mail server that sessions go to, HOST:PORT; of several, the first that can be reached.",
    )
    upstream_choice: Choice = Field(
        default=Choice.FAILOVER,
        description="Of several upstreams the first that can be reached (failover), or one by the client (spread).",
    )
    user: AccountName | None = Field(
        default=None, description="Account to run as once the ports are open; only root can change to another."
    )
    group: AccountName | None = Field(default=None, description="Group to run as; unset: the group of `user`.")
    policy: PolicySettings = Field(default=PolicySettings(), description="What is done about findings.")
    tls: TlsSettings = Field(default=TlsSettings(), description="What becomes of STARTTLS.")
    timeouts: TimeoutSettings = Field(default=TimeoutSettings(), description="How long each side may take.")
    limits: LimitSettings = Field(default=LimitSettings(), description="How much clients may ask for.")
    audit: AuditSettings = Field(default=AuditSettings(), description="The evidence.")
    privacy: PrivacySettings = Field(
        default=PrivacySettings(), description="What the audit does not tell of clients and their mail."
    )
    log: LogSettings = Field(default=LogSettings(), description="The operator's log.")
    identity: IdentitySettings = Field(
        default=IdentitySettings(), description="Who the client is, and how the upstream learns it."
    )
    listener: Mapping[str, ListenerSettings] = Field(
        default={}, description="Listeners with settings of their own, by name; in the file [[listener]] tables."
    )


INHERITED: Final = ("policy", "tls", "identity")
"""Tables of which a listener may have its own, laid over the common ones key by key."""

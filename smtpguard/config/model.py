"""The settings: one frozen `Config`, a table of the TOML file for each of its parts.

Keys are the field names with `-` for `_`. Unknown keys are mistakes. A description stands here and nowhere else.
Durations are seconds.
"""

from enum import Enum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationInfo, field_validator

from smtpguard.config.address import Address
from smtpguard.config.values import Addresses, AddressText, FilePath, ForbiddenWord, LogTarget, RuleVerdicts, Seconds
from smtpguard.smtp import COMMAND_LINE, SASL_LINE, Limits, Policy, Profile, TlsMode, table

Count = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]

SESSION: Final = Limits()
"""The engine's own defaults, so that each number stands once."""

WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
LOOPBACKS: Final = ("127.0.0.1", "::1", "localhost")


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
    """How the upstream learns who the client is."""

    i_know_this_is_an_open_relay: Flag = Field(
        default=False,
        description="Start although the upstream relays foreign mail for us, so for everybody who can reach us.",
    )


class Config(Table):
    """All settings of one smtpguard."""

    listen: Addresses = Field(description="Addresses to listen on, HOST:PORT.")
    upstream: AddressText = Field(description="The mail server that sessions are relayed to, HOST:PORT.")
    policy: PolicySettings = PolicySettings()
    tls: TlsSettings = TlsSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings = LimitSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    identity: IdentitySettings = IdentitySettings()

    @field_validator("upstream")
    @classmethod
    def _not_ourselves(cls, upstream: Address, info: ValidationInfo) -> Address:
        """Refuse the loop that can be seen in the configuration; a session through it would open sessions for ever."""
        for address in info.data.get("listen", ()):
            if address.port == upstream.port and _reaches(upstream.host, address.host):
                raise ValueError(f"another program's address; {address} is our own listener")
        return upstream

    def session_policy(self) -> Policy:
        """Build what the engine needs to know of all this."""
        observing = self.policy.mode is Mode.OBSERVE
        rulings = table(self.policy.profile, observing=observing, changes=self.policy.rules)
        return Policy(
            before_auth=rulings,
            after_auth=rulings,
            observing=observing,
            tls_mode=self.tls.mode,
            limits=Limits(
                violations=self.limits.violations,
                empty_commands=self.limits.empty_commands,
                command_line=self.limits.command_line,
            ),
            reply_rule_id=self.policy.reply_rule_id,
            forwarded_words=self.policy.unsafe_forwarded_verbs,
        )


def _reaches(dialled: str, listening: str) -> bool:
    """Tell whether a dial to one host surely meets a listener on the other."""
    return dialled in (listening, *WILDCARDS) or (listening in WILDCARDS and dialled in LOOPBACKS)

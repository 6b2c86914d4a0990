"""Finding -> verdict, from a frozen table handed in at accept.

The engine asks `Policy.ruling` once per finding and never learns why: which network, listener or exception a client
falls under is resolved outside. One table holds before AUTH, one after.

In mode `observe` every `refuse` and `close` becomes a `note`, except for the safe rules; the ruling still says what
enforce would have done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smtpguard.smtp.rules import CATALOGUE
from smtpguard.smtp.verdicts import CLOSE, NOTE, Profile, Rule, Verdict
from smtpguard.smtp.vocabulary import COMMAND_LINE, SASL_LINE, TlsMode, TranscriptMode


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict that counts, and the one that mode enforce would give."""

    verdict: Verdict
    enforced: Verdict

    @property
    def answered(self) -> bool:
        """True if smtpguard answers itself: refuse or close."""
        return self.verdict.severity > NOTE.severity


ALWAYS_CLOSE: Final = Ruling(CLOSE, CLOSE)
"""The ruling of the safe half of SG204, and of any refusal inside an AUTH exchange, which cannot go on without a
line."""

Table = Mapping[Rule, Ruling]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one session may ask for; 0 switches a count off."""

    violations: int = 20
    """Refused commands that are answered; the next one hears 421 and is closed."""
    empty_commands: int = 100
    """NOOP, RSET, HELP, VRFY and unknown commands since the last accepted message."""
    command_line: int = COMMAND_LINE
    """Octets of a command line with its line end."""
    sasl_line: int = SASL_LINE
    """Octets of an AUTH or SASL line with its line end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that the administrator decided about one session, resolved at accept."""

    before_auth: Table
    after_auth: Table
    observing: bool = False
    tls_mode: TlsMode = TlsMode.PASS_THROUGH
    limits: Limits = Limits()
    reply_rule_id: bool = True
    transcript: TranscriptMode = TranscriptMode.ON_FINDING
    forwarded_words: frozenset[bytes] = frozenset()
    """Words of `vocabulary.FORBIDDEN_WORDS` that the administrator lets through, in upper case. Unsafe."""

    def ruling(self, rule: Rule, *, authenticated: bool) -> Ruling:
        """Return what is to be done about a finding of `rule`."""
        return (self.after_auth if authenticated else self.before_auth)[rule]


def table(profile: Profile, *, observing: bool, changes: Mapping[str, Verdict] | None = None) -> dict[Rule, Ruling]:
    """Build a whole table from a profile and the administrator's changes.

    Args:
        profile: the column of defaults.
        observing: mode observe.
        changes: rule id -> verdict; safe rules must not be among them.

    Raises:
        ValueError: a change names an unknown or a safe rule.
    """
    changes = changes or {}
    for rule_id in changes:
        if rule_id not in CATALOGUE:
            raise ValueError(f"{rule_id} is no rule; `smtpguard rules` lists them")
        if CATALOGUE[rule_id].safe:
            raise ValueError(f"{rule_id} ({CATALOGUE[rule_id].name}) is safe: its verdict cannot be changed")
    return {rule: _ruling(rule, changes.get(rule.id, rule.verdicts[profile]), observing) for rule in CATALOGUE.values()}


def _ruling(rule: Rule, verdict: Verdict, observing: bool) -> Ruling:
    relaxed = observing and not rule.safe and verdict.severity > NOTE.severity
    return Ruling(NOTE if relaxed else verdict, verdict)


def policy_for(profile: Profile = Profile.STANDARD, *, observing: bool = False) -> Policy:
    """Build the policy of a profile with nothing changed."""
    rulings = table(profile, observing=observing)
    return Policy(before_auth=rulings, after_auth=rulings, observing=observing)

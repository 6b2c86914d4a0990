"""The session's own account: what was said, what was found, and how often.

Events are born here, redacted, with all that a report needs beside the line: state, previous command and reply,
cause, what was expected. The counters become the one `SessionEnded` of the session.
"""

from smtpguard.smtp import causes, order, rules
from smtpguard.smtp.causes import History
from smtpguard.smtp.events import Close, Declined, Event, Finding, InspectionEnded, Previous, SessionEnded
from smtpguard.smtp.judgement import Charge
from smtpguard.smtp.order import Facts
from smtpguard.smtp.replies import Answer
from smtpguard.smtp.syntax import SHOWN, Command, Reply
from smtpguard.smtp.transcript import Transcript
from smtpguard.smtp.verdicts import CLOSE, REFUSE, Section
from smtpguard.smtp.vocabulary import Verb, Waiting

_NOT_BLAMED = frozenset({Section.UPSTREAM, Section.LIMITS})
_NOT_SMTP = frozenset({rules.SG401, rules.SG402, rules.SG403})
_QUOTABLE = SHOWN | {Verb.GREETING, Verb.DATA, Verb.CONTENT}
EMPTY = frozenset({Verb.NOOP, Verb.RSET, Verb.HELP, Verb.VRFY, Verb.UNKNOWN})
_UNCOUNTED = frozenset({Verb.GREETING, Verb.CONTENT, Verb.SASL})
NOTES_KEPT = 20
"""Notes and consequences of one rule that become events in a session; the counters go on."""

TEXT_SHOWN = 512
"""Octets of a reply's first line that are kept."""

_HELLO_SHOWN = 255
"""Octets of the hello's argument that are kept: RFC 5321 §4.5.3.1.2 allows a domain no more."""


class Ledger:
    """Counters and events of one session."""

    __slots__ = (
        "_commands", "_consequences", "_hello", "_last_verb", "_not_smtp", "_noted", "_opaque",
        "_previous", "_refused_messages", "_rules", "empty_commands", "errors", "events", "history", "octets_in",
        "octets_out", "sequence", "violations",
    )  # fmt: skip

    def __init__(self) -> None:
        self.history = History()
        self.octets_in = 0
        self.octets_out = 0
        self.sequence = 0
        """Number of the latest command; SASL lines count with their AUTH."""
        self.errors = 0
        """5yz replies of our own, consequences not counted."""
        self.violations = 0
        self._noted: dict[str, int] = {}
        self._consequences = 0
        self.empty_commands = 0
        """Commands of `EMPTY` since the last accepted message."""
        self._refused_messages = 0
        self._commands: dict[Verb, tuple[int, int]] = {}
        self._rules: dict[str, int] = {}
        self.events: list[Event] = []
        """Since they were last handed out."""
        self._previous: tuple[Verb, int, bytes] | None = None
        self._last_verb: Verb | None = None
        self._hello = b""
        self._not_smtp = False
        self._opaque = False

    # --- what was said ---------------------------------------------------------------------------------------------

    def command(self, command: Command) -> None:
        """Count a command that was read and is now either forwarded or answered."""
        if command.verb in _UNCOUNTED:
            return
        self.sequence += 1
        self._last_verb = command.verb
        accepted, said = self._commands.get(command.verb, (0, 0))
        self._commands[command.verb] = accepted, said + 1
        history = self.history
        if command.verb in (Verb.EHLO, Verb.HELO):
            self._hello = command.argument[:_HELLO_SHOWN]
            history.hello_tried = True
        if command.bare_lf:
            history.bare_lf = True
        if command.verb in EMPTY:
            self.empty_commands += 1

    def replied(self, command: Command, code: int, octets: bytes, *, ours: bool = False) -> None:
        """Note the reply to a command, UPSTREAM's or ours, with its octets."""
        accepted = code < 400
        if accepted and command.verb not in _UNCOUNTED:
            before, said = self._commands[command.verb]
            self._commands[command.verb] = before + 1, said
        self._previous = command.verb, code, octets
        if ours and command.last:
            # UPSTREAM never saw this chunk: its transaction is open still.
            self.history.chunk_refused = True
            return
        remember = _REMEMBER.get(command.verb)
        if remember is not None:
            remember(self, command, accepted)

    def _remember_hello(self, command: Command, accepted: bool) -> None:
        history = self.history
        history.tls_came_up = False
        history.hello_refused = not accepted and not history.hello_accepted
        if accepted:
            history.hello_accepted = True
            history.last_hello_was_helo = command.verb is Verb.HELO
            history.begin_transaction()

    def _remember_mail(self, _command: Command, accepted: bool) -> None:
        if accepted:
            self.history.begin_transaction()
        self.history.mail_refused = not accepted

    def _remember_rcpt(self, _command: Command, accepted: bool) -> None:
        history = self.history
        history.rcpt_accepted = history.rcpt_accepted or accepted
        history.rcpt_refused = history.rcpt_refused or not accepted

    def _remember_data(self, _command: Command, accepted: bool) -> None:
        self.history.data_refused = not accepted

    def _remember_rset(self, _command: Command, accepted: bool) -> None:
        if accepted:
            self.history.begin_transaction()

    def _remember_chunk(self, command: Command, accepted: bool) -> None:
        if command.last:
            self._remember_verdict(command, accepted)
        else:
            self.history.chunk_refused = self.history.chunk_refused or not accepted

    def _remember_verdict(self, _command: Command, accepted: bool) -> None:
        self.history.begin_transaction()
        if accepted:
            self.history.accepted_messages += 1
            self.empty_commands = 0
        else:
            self._refused_messages += 1

    def _shown(self) -> Previous | None:
        """Make the event's value, which most sessions never need, of what was noted for each reply."""
        if self._previous is None:
            return None
        verb, code, octets = self._previous
        # A reply may quote what it answers: a password sent in the wrong place.
        text = octets[4 : octets.find(b"\r\n")][:TEXT_SHOWN] if verb in _QUOTABLE else b""
        return Previous(verb=verb, code=code, text=text)

    # --- what was found --------------------------------------------------------------------------------------------

    def found(  # noqa: PLR0913 - an event has as many sides as it has
        self,
        one: Charge,
        command: Command,
        facts: Facts,
        *,
        answer: Answer | None = None,
        ahead: bool = False,
        forwarded: bool = False,
        detail: str = "",
    ) -> None:
        """Record a finding, and count it as violation, consequence or neither."""
        rule = one.rule
        self.history.sent_ahead = ahead
        if one.consequence:
            self._consequences += 1
        else:
            self._rules[rule.id] = self._rules.get(rule.id, 0) + 1
            if rule.section not in _NOT_BLAMED and one.ruling.enforced in (REFUSE, CLOSE):
                self.violations += 1
        self._not_smtp = self._not_smtp or rule in _NOT_SMTP
        # Whatever smtpguard answers is recorded (at most `limits.violations` and one close); what it only notes, and
        # consequences, are not worth an event each where a client sends 10,000 of them in one segment.
        if one.consequence or not one.ruling.answered:
            self._noted[rule.id] = self._noted.get(rule.id, 0) + 1
            if self._noted[rule.id] > NOTES_KEPT:
                return
        self.events.append(
            Finding(
                rule=rule,
                verdict=one.ruling.verdict,
                enforced=one.ruling.enforced,
                consequence=one.consequence,
                cause=causes.find(rule, self.history),
                state=facts.state,
                verb=command.verb,
                line=command.redacted,
                expected=order.expected(facts),
                previous=self._shown(),
                answer=answer,
                forwarded=forwarded,
                sent_ahead=ahead,
                sequence=self.sequence,
                violations=self.violations,
                hello=self._hello,
                esmtp=facts.esmtp,
                tls=facts.tls,
                authenticated=facts.authenticated,
                detail=detail,
            )
        )

    def declined(self, command: Command, facts: Facts, setting: str, answer: Answer) -> None:
        """Record an answer of ours that a setting asks for."""
        self.events.append(
            Declined(
                setting=setting,
                state=facts.state,
                verb=command.verb,
                previous=self._shown(),
                answer=answer,
                sequence=self.sequence,
            )
        )

    def inspection_ended(self) -> None:
        """Record that the session goes opaque."""
        self._opaque = True
        self.events.append(InspectionEnded(sequence=self.sequence))

    @property
    def fired(self) -> bool:
        """True if a rule fired, a consequence included."""
        return bool(self._rules or self._consequences)

    def ended(self, close: Close, facts: Facts, waiting: Waiting, transcript: Transcript) -> SessionEnded:
        """Sum the session up."""
        return SessionEnded(
            close=close,
            state=facts.state,
            waiting_for=waiting.value,
            last_verb=self._last_verb,
            hello=self._hello,
            esmtp=facts.esmtp,
            tls=facts.tls,
            authenticated=facts.authenticated,
            opaque=self._opaque,
            not_smtp=self._not_smtp,
            probe=not self._rules and set(self._commands) <= {Verb.QUIT},
            commands=dict(self._commands),
            accepted_messages=self.history.accepted_messages,
            refused_messages=self._refused_messages,
            rules=dict(self._rules),
            violations=self.violations,
            consequences=self._consequences,
            octets_in=self.octets_in,
            octets_out=self.octets_out,
            transcript=transcript,
        )


_REMEMBER = {
    Verb.EHLO: Ledger._remember_hello,
    Verb.HELO: Ledger._remember_hello,
    Verb.MAIL: Ledger._remember_mail,
    Verb.RCPT: Ledger._remember_rcpt,
    Verb.DATA: Ledger._remember_data,
    Verb.RSET: Ledger._remember_rset,
    Verb.BDAT: Ledger._remember_chunk,
    Verb.BURL: Ledger._remember_chunk,
    Verb.CONTENT: Ledger._remember_verdict,
}
"""Verb -> what its reply leaves in the history."""


def surprises(command: Command, reply: Reply, *, lawful: bool, facts: Facts) -> bool:
    """Tell whether a reply is a fact about UPSTREAM worth knowing (SG505)."""
    if not lawful:
        return reply.code < 400
    if reply.code not in (500, 502, 503):
        return False
    keyword = _OPTIONAL.get(command.verb)
    return command.verb in _BASIC or (keyword is not None and facts.offers(keyword))


_BASIC = frozenset({Verb.EHLO, Verb.HELO, Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.BDAT, Verb.RSET, Verb.NOOP, Verb.QUIT})
_OPTIONAL = {Verb.AUTH: b"AUTH", Verb.STARTTLS: b"STARTTLS"}

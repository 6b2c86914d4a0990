"""CLIENT's octets -> a line -> judgement -> forward, refuse or close; content and chunks are passed on as they are.

`Phase` says how the next octets are to be read; one step for each phase stands in `_STEP`. A step takes what it can
from the inbox and says whether there may be another. A line whose turn has not come stays where it is and is judged
again later.
"""

from collections.abc import Callable
from typing import Final

from smtpguard.smtp import foreign, order, replies, rules
from smtpguard.smtp.content import Outcome
from smtpguard.smtp.desk import NO_CONTENT, UNNAMED, Phase
from smtpguard.smtp.events import Close
from smtpguard.smtp.hearing import Hearing
from smtpguard.smtp.judgement import IN_TIME, Charge, Circumstances, Judgement, judge, judge_sasl
from smtpguard.smtp.ledger import EMPTY
from smtpguard.smtp.syntax import END_OF_CONTENT, Command, may_be_long, parse_command, parse_overlong, parse_sasl
from smtpguard.smtp.verdicts import CLOSE, Rule, Section
from smtpguard.smtp.vocabulary import LINE_FLOOR, OPENS_TLS, SWALLOW_MAXIMUM, State, TlsMode, Verb


class Reading(Hearing):
    """The half of a session that listens to CLIENT."""

    __slots__ = ()

    # --- one step per phase ----------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take steps while they get on: a step that took nothing and changed no phase is the last, whatever it is."""
        held, phase = -1, Phase.OVER
        while self._inbox.held and (self._inbox.held != held or self._phase is not phase):
            held, phase = self._inbox.held, self._phase
            _STEP[phase](self)

    def _read_command(self) -> None:
        inbox, owed = self._inbox, self._flight.owed
        if (owed and not self._may_read_on(owed[-1])) or (self._first_line and not self._is_smtp()):
            return
        length = inbox.line_length()
        if not 0 < length <= LINE_FLOOR and self._is_too_long(length):
            if not owed:
                self._refuse_overlong()
            return
        if not length:
            return
        command = parse_command(inbox.head(length))
        if owed and not self._may_join(command):
            return
        in_time = not (inbox.ahead or owed or self._early_hello or self._after_refused_data or inbox.held > length)
        when = IN_TIME if in_time else self._circumstances(command, behind=inbox.held > length)
        pipelining = when.ahead and self._facts.offers(b"PIPELINING")
        self._flight.read(command, ahead=when.ahead, pipelining=pipelining)
        judgement = judge(self._policy, self._facts, self._flight, command, when)
        if not judgement or not judgement[0].ruling.answered:
            self._take_line(command)
            if command.verb not in EMPTY or not self._over_empty_limit(command):
                self._forward(command, judgement, ahead=when.ahead)
        elif not owed:
            # An answer of ours waits until nothing is in flight.
            self._take_line(command)
            self._refuse(command, judgement, ahead=when.ahead)

    def _may_read_on(self, newest: Command) -> bool:
        """Tell whether the next line may be looked at while replies are owed."""
        if newest.verb is Verb.STARTTLS:
            # RFC 3207 §4: nothing may stand behind STARTTLS; what does was put there to be run inside TLS.
            self._close_for(self._charge(rules.SG205), newest, ahead=True)
            return False
        return newest.verb is Verb.RCPT

    def _may_join(self, command: Command) -> bool:
        """Tell whether a RCPT may go out behind RCPTs in flight: behind an accepted MAIL none of them decides
        another."""
        behind_mail = self._facts.state in (State.ENVELOPE, State.RECIPIENTS)
        return behind_mail and self._facts.offers(b"PIPELINING") and self._flight.may_join(command)

    def _circumstances(self, command: Command, *, behind: bool) -> Circumstances:
        ahead = self._inbox.ahead > 0 or bool(self._flight.owed)
        if self._early_hello and not (ahead and command.verb in _EARLY_GROUP):
            self._early_hello = False
        return Circumstances(
            ahead,
            self._predecessor,
            self._early_hello,
            self._after_refused_data,
            behind,
        )

    def _take_line(self, command: Command) -> None:
        self._ring.said(command, *self._inbox.origin(len(command.raw)))
        self._inbox.take(len(command.raw))
        self._first_line = self._after_refused_data = False
        self._ledger.command(command)

    def _is_smtp(self) -> bool:
        """Look at the first octets; close or wait where they are of another protocol."""
        head = self._inbox.head(foreign.HEAD)
        if foreign.may_become_proxy_header(head):
            return False
        rule = foreign.recognise(head)
        if rule is None:
            return True
        self._first_line = False
        self._ledger.history.health_check = foreign.is_health_check(head)
        judgement = self._charge(rule)
        if judgement and judgement[0].ruling.answered:
            self._close_for(judgement, UNNAMED, ahead=self._inbox.ahead > 0)
            return False
        self._note(judgement, UNNAMED, ahead=self._inbox.ahead > 0, forwarded=True)
        return True

    def _is_too_long(self, length: int) -> bool:
        # A line without its end yet is at least one octet longer than what there is.
        octets = length or self._inbox.held + 1
        limits = self._policy.limits
        if octets <= limits.command_line:
            return False
        return octets > limits.sasl_line or not (self._phase is Phase.SASL or may_be_long(self._inbox.head(64)))

    def _refuse_overlong(self) -> None:
        command = parse_overlong(self._inbox.head(64)) if self._phase is Phase.COMMAND else Command(b"", Verb.SASL)
        self._ring.said(command, *self._inbox.origin(self._inbox.held))
        self._ledger.command(command)
        self._close_for(self._charge(rules.SG303), command, ahead=self._inbox.ahead > 0)

    def _read_sasl(self) -> None:
        inbox = self._inbox
        length = inbox.line_length()
        if self._is_too_long(length):
            self._refuse_overlong()
            return
        if not length:
            return
        command = parse_sasl(inbox.head(length))
        when = self._circumstances(command, behind=False)
        judgement = judge_sasl(self._policy, self._facts, command, when)
        self._take_line(command)
        if judgement and judgement[0].ruling.answered:
            self._refuse(command, judgement, ahead=when.ahead)
        else:
            self._phase = Phase.COMMAND
            self._forward(command, judgement, ahead=when.ahead)

    def _read_content(self) -> None:
        was_bare = self._content.bare_newline
        fed = self._content.feed(self._inbox.take(self._inbox.held))
        if self._content.bare_newline and not was_bare and not self._may_be_bare():
            return
        if fed.forward:
            self._up.append(fed.forward)
        if fed.outcome is Outcome.HIDDEN_END:
            self._close_for(self._charge(rules.SG304), END_OF_CONTENT, linger="content")
        elif fed.outcome is Outcome.ENDED:
            self._content = NO_CONTENT
            self._phase = Phase.COMMAND
            self._lawful = True
            self._await_reply(END_OF_CONTENT)
            if fed.rest:
                self._inbox.put(fed.rest)
            self._ring.ended_content(self._consumed, self._inbox.read_at, self._inbox.piece)

    def _may_be_bare(self) -> bool:
        """Record a bare newline in content, and close where policy says so."""
        judgement = self._charge(rules.SG305)
        if judgement and judgement[0].ruling.answered:
            self._close_for(judgement, END_OF_CONTENT, linger="content")
            return False
        self._note(judgement, END_OF_CONTENT, forwarded=True)
        return True

    def _read_chunk(self) -> None:
        taken = self._inbox.take(self._left)
        self._up.append(taken)
        self._left -= len(taken)
        if self._left:
            return
        self._account()
        self._phase = Phase.COMMAND
        self._turn += 1
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._settle(self._flight.owed.pop(0), kept)

    def _swallow_chunk(self) -> None:
        self._left -= len(self._inbox.take(self._left))
        if self._left or self._swallowed is None:
            return
        command, answer, rule = self._swallowed
        self._swallowed = None
        self._account()
        self._phase = Phase.COMMAND
        self._say(command, answer, rule)

    def _read_handshake(self) -> None:
        if self._inbox.head(1) != OPENS_TLS:
            self._close_for(self._charge(rules.SG205), UNNAMED, ahead=True)
            return
        self._phase = Phase.OPAQUE
        self._ledger.inspection_ended()

    def _pass_on(self) -> None:
        self._up.append(self._inbox.take(self._inbox.held))

    # --- what becomes of a line ------------------------------------------------------------------------------------

    def _forward(self, command: Command, judgement: Judgement, *, ahead: bool) -> None:
        declined = self._policy.tls_mode is not TlsMode.PASS_THROUGH and command.verb is Verb.STARTTLS
        if judgement:
            self._note(judgement, command, ahead=ahead, forwarded=not declined)
        if declined:
            self._decline(command)
            return
        if self._replies.pending and not self._flight.owed:
            # What UPSTREAM is saying unasked would be taken for the reply to this command.
            self._out_of_step("octets that nobody asked for")
            return
        self._lawful = not judgement or not any(one.rule.section is Section.ORDER for one in judgement)
        self._up.append(command.raw)
        order.forwarded(self._facts, command)
        self._await_reply(command)
        if command.size:
            self._phase, self._left, self._octets = Phase.CHUNK, command.size, 0
            self._ring.streams(self._consumed)

    def _refuse(self, command: Command, judgement: Judgement, *, ahead: bool) -> None:
        """Answer a line ourselves: it never reaches UPSTREAM, and the state stays."""
        first = judgement[0]
        answer = replies.NO_VALID_RECIPIENTS if _is_unserved_data(first) else first.rule.answer
        if answer is None:  # pragma: no cover - every rule that can be refused has an answer
            return
        self._note(judgement, command, ahead=ahead, answer=answer)
        closes = first.ruling.verdict is CLOSE or command.size > SWALLOW_MAXIMUM
        if not closes and not first.consequence and self._over_error_limit(command):
            return
        if command.size and not closes:
            self._phase, self._left, self._swallowed = Phase.SWALLOW, command.size, (command, answer, first.rule)
            self._ring.streams(self._consumed)
            return
        self._say(command, answer, first.rule)
        if closes:
            self._end(Close.VIOLATION, linger="content" if command.verb is Verb.BDAT else "short")
        elif command.verb is Verb.DATA:
            self._distrust_what_follows_data()

    def _decline(self, command: Command) -> None:
        hidden = self._policy.tls_mode is TlsMode.HIDE
        answer = replies.STARTTLS_HIDDEN if hidden else replies.STARTTLS_REFUSED
        if hidden and self._over_error_limit(command):
            return
        self._ledger.declined(command, self._facts, "tls.mode", answer)
        self._say(command, answer, None)

    # --- limits ----------------------------------------------------------------------------------------------------

    def _over_error_limit(self, command: Command) -> bool:
        limit = self._policy.limits.violations
        self._ledger.errors += 1
        return bool(limit) and self._over_limit(rules.SG601, command, self._ledger.errors - limit)

    def _over_empty_limit(self, command: Command) -> bool:
        limit = self._policy.limits.empty_commands
        return bool(limit) and self._over_limit(rules.SG602, command, self._ledger.empty_commands - limit)

    def _over_limit(self, rule: Rule, command: Command, excess: int) -> bool:
        """Close where a count is over its limit; in mode observe record it, once."""
        if excess <= 0:
            return False
        judgement = self._charge(rule)
        if not judgement or not judgement[0].ruling.answered:
            if excess == 1:
                self._note(judgement, command)
            return False
        self._note(judgement, command, answer=rule.answer)
        self._speak(rule)
        self._end(Close.LIMIT, linger="content" if command.size else "short")
        return True


_EARLY_GROUP: Final = frozenset({Verb.EHLO, Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.BDAT})
"""EHLO and the group behind it, which PIPECONNECT lets a client send ahead of the greeting."""


def _is_unserved_data(one: Charge) -> bool:
    """Tell whether RFC 2920 §3.1 gives the answer: DATA pipelined behind recipients that were all refused."""
    return one.consequence and one.rule is rules.SG104


# A session that is over has no step: its inbox is empty and stays so.
_STEP: Final[dict[Phase, Callable[[Reading], None]]] = {
    Phase.COMMAND: Reading._read_command,
    Phase.SASL: Reading._read_sasl,
    Phase.CONTENT: Reading._read_content,
    Phase.CHUNK: Reading._read_chunk,
    Phase.SWALLOW: Reading._swallow_chunk,
    Phase.HANDSHAKE: Reading._read_handshake,
    Phase.OPAQUE: Reading._pass_on,
}

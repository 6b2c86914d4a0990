"""The `Session` that plays a record: it hears recorded replies, and knows which of them a guard itself had said.

It is the engine, unchanged, in mode observe, with what a record needs beside it:

- **Replies to skip.** A line that the engine answers itself has its reply in the record, too: `skips_reply`.
- **A guard's own answers** (`own_answers`). As a reply
  they refuse the line, as they did; but the line never reached UPSTREAM, so a refused chunk opened no chunking and
  ended no transaction, and a 500 of ours is no surprise of UPSTREAM. An answer that closed ends the play: what CLIENT
  sent behind it was read into the void. What only the answer tells (a deadline, too many violations) is found here.
- **Another protocol.** Mode observe would go on line by line; here its octets wait until a reply shows that somebody
  answered them.
- **Places.** Each finding's place in CLIENT's octets.

Of refusals more become findings than of notes: as many as mode enforce would have answered (`limits.violations`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from smtpguard.smtp import rules
from smtpguard.smtp.events import Close, Event, Finding
from smtpguard.smtp.judgement import Charge, Judgement
from smtpguard.smtp.ledger import NOTES_KEPT
from smtpguard.smtp.policy import Policy, Ruling
from smtpguard.smtp.replies import Answer
from smtpguard.smtp.session import Output, Session
from smtpguard.smtp.syntax import Command, Reply
from smtpguard.smtp.verdicts import CLOSE, NOTE, REFUSE, Rule, Section
from smtpguard.smtp.vocabulary import Side, State, TlsMode, Verb


class Terms(NamedTuple):
    """One policy in both modes."""

    observing: Policy
    enforcing: Policy


def terms_of(policy: Policy) -> Terms:
    """Prepare a policy. STARTTLS always passes: the record tells what became of it."""
    return Terms(
        replace(
            policy,
            observing=True,
            tls_mode=TlsMode.PASS_THROUGH,
            before_auth=_ruled(policy.before_auth, observing=True),
            after_auth=_ruled(policy.after_auth, observing=True),
        ),
        replace(
            policy,
            observing=False,
            before_auth=_ruled(policy.before_auth, observing=False),
            after_auth=_ruled(policy.after_auth, observing=False),
        ),
    )


def _ruled(table: Mapping[Rule, Ruling], *, observing: bool) -> dict[Rule, Ruling]:
    ruled = {}
    for rule, ruling in table.items():
        relaxed = observing and not rule.safe and ruling.enforced in _ANSWERED
        ruled[rule] = Ruling(NOTE if relaxed else ruling.enforced, ruling.enforced)
    return ruled


_ANSWERED: Final = (REFUSE, CLOSE)


# --- the session -----------------------------------------------------------------------------------------------------


class RecordedSession(Session):
    """Plays one record.

    Args:
        terms: the policy.
        session_id: for the answers of ours, which nobody hears.
        pipeconnect: as in `Session`.
        tls: as in `Session`.
        base: octets of CLIENT in the record before the first that this session reads.
    """

    __slots__ = (
        "_base", "_before", "_by_guard", "_content_at", "_debt", "_doomed", "_given_up", "_latest", "_line_at",
        "_owed_at", "_places", "_read_at", "_refusals", "_settling", "_stranger", "_terms", "_too_many", "out_of_step",
    )  # fmt: skip

    def __init__(
        self, terms: Terms, *, session_id: str, pipeconnect: bool = False, tls: bool = False, base: int = 0
    ) -> None:
        super().__init__(terms.observing, session_id=session_id, pipeconnect=pipeconnect, tls=tls)
        self._terms = terms
        self._base = base
        # Where the latest line began, and the lines in flight.
        self._line_at = self._read_at = self._content_at = base
        self._latest = _NO_LINE
        # The latest line that mode enforce would have closed for.
        self._doomed: Command | None = None
        self._owed_at = [base]
        self._settling: tuple[Command, int] | None = None
        # Of each finding that was not handed out yet.
        self._places: list[int] = []
        # Answers of ours whose recorded counterpart was not seen yet; -1: it was seen before the chunk was whole.
        self._debt = 0
        self._by_guard = self._given_up = self._too_many = False
        # Lines that mode enforce would have refused.
        self._refusals = 0
        # State before a chunk was forwarded.
        self._before = State.CONNECTED, False
        # Another protocol's first octets wait for a recorded reply.
        self._stranger: bool | None = None
        self.out_of_step = False
        """The latest reply did not fit."""

    # --- what the judge asks and says ------------------------------------------------------------------------------

    def places(self, events: Iterable[Event]) -> Iterator[tuple[Finding, int]]:
        """Yield each finding with its place."""
        findings = [event for event in events if isinstance(event, Finding)]
        places, self._places = self._places, []
        yield from zip(findings, places, strict=True)

    def skips_reply(self) -> bool:
        """Tell whether the reply at hand is to a line that the engine answered itself, and count it."""
        swallowing = self._swallowed is not None
        if self._debt > 0 or (swallowing and self._debt == 0):
            self._debt -= 1
            return True
        return False

    def go_on(self) -> Output:
        """Read on behind a line that the engine answered, now that its recorded reply was seen."""
        self._advance()
        return self._output()

    def receive(self, side: Side, data: bytes, *, unread: bool = False) -> Output:
        """Take octets as `Session.receive` does."""
        if side is Side.CLIENT:
            self._read_at = self._base + self._ledger.octets_in
        return super().receive(side, data, unread=unread)

    def hear(self, reply: Reply, *, by_guard: bool, given_up: bool = False) -> Output:
        """Hear one recorded reply.

        Args:
            reply: the reply.
            by_guard: it is an answer of a guard.
            given_up: a guard gave up its upstream in the same breath: nothing behind this was judged.
        """
        if self._stranger:
            # Somebody read this protocol's octets as lines.
            self._stranger = False
            self._advance()
            if self.skips_reply():
                # The engine answers the first of them itself, as that somebody did.
                return self.go_on()
        self._by_guard, self._given_up = by_guard, given_up
        out = self.receive(Side.UPSTREAM, reply.raw)
        self._by_guard = False
        return out

    def was_closed_by(self, spoken: frozenset[Rule]) -> bool:
        """Tell whether an answer of a guard ended the session."""
        if self._in_flight().verb is Verb.SASL:
            # An exchange cannot go on without a line.
            return True
        return any(self._closes(rule) for rule in spoken)

    def _closes(self, rule: Rule) -> bool:
        if rule.section in (Section.UPSTREAM, Section.LIMITS):
            return True
        enforced = self._policy.ruling(rule, authenticated=self._facts.authenticated).enforced
        # Policy may have changed since; then the column of defaults tells what such an answer was for.
        return enforced is CLOSE or (enforced not in _ANSWERED and CLOSE in rule.verdicts.values())

    def close_by_guard(self, spoken: frozenset[Rule]) -> Output:
        """End as the guard of the record did, with what only its answer tells."""
        command = self._in_flight()
        gate = _GATES.get(command.verb)
        if gate is not None and self._inbox.held and command is not self._doomed and _was_early(spoken):
            self._policy = self._terms.enforcing
            self._gate(command, gate)
        if len(spoken) == 1 and self.ending is None:
            self._find_what_it_tells(*spoken)
        if self.ending is None:
            self._end(_CLOSES.get(next(iter(spoken)).section, Close.VIOLATION))
        return self._output()

    def _find_what_it_tells(self, rule: Rule) -> None:
        if rule is rules.SG601:
            self._find_too_many(rule)
        elif rule is rules.SG602:
            # Found when its line was judged.
            self._end(Close.LIMIT)
        elif rule.section in (Section.LIMITS, Section.UPSTREAM):
            self._give_up(rule, Close.DEADLINE if rule.section is Section.LIMITS else Close.UPSTREAM_GONE, "")

    def _find_too_many(self, rule: Rule) -> None:
        if not self._too_many:
            self._note(self._charge(rule), self._flight.owed[0] if self._flight.owed else self._latest)
        self._end(Close.LIMIT)

    def inside_tls(self) -> None:
        """TLS came up, and what follows is what was said inside."""
        if not self.over and not self._flight.owed:
            self.tls_up()

    # --- what the engine does on the way ---------------------------------------------------------------------------

    def _advance(self) -> None:
        if not self._given_up:
            super()._advance()

    def _end_half_closed(self) -> None:
        if self._debt <= 0 or not self._inbox.held:
            super()._end_half_closed()

    def _take_line(self, command: Command) -> None:
        self._line_at, self._latest = self._base + self._consumed, command
        if self._stranger is None:
            # Only the first line can be of another protocol.
            self._stranger = False
        super()._take_line(command)

    def _refuse_overlong(self) -> None:
        self._line_at = self._base + self._consumed
        super()._refuse_overlong()

    def _is_smtp(self) -> bool:
        """Asked before a line is read while `_first_line` stands: also to hold lines back until the record goes on."""
        if self._stranger is None:
            noted = len(self._places)
            smtp = super()._is_smtp()
            if len(self._places) == noted or self.ending is not None:
                return smtp
            self._stranger = True
        # Another protocol waits for a reply to it, a line behind one that the engine answered for the reply to that.
        self._first_line = self._stranger or self._debt > 0
        return not self._first_line

    def _await_reply(self, command: Command) -> None:
        self._owed_at.append(self._line_at)
        super()._await_reply(command)

    def _forward(self, command: Command, judgement: Judgement, *, ahead: bool) -> None:
        self._before = self._facts.state, self._facts.binarymime
        super()._forward(command, judgement, ahead=ahead)

    def _settle(self, command: Command, reply: Reply) -> None:
        place = self._owed_at.pop(0)
        if self._by_guard and command.verb in _CHUNKS:
            self._take_back(command, reply)
            return
        if self._by_guard:
            # UPSTREAM never saw the line: it cannot surprise.
            self._lawful = False
        self._settling = command, place
        self._content_at = self._base + self._consumed
        super()._settle(command, reply)
        self._settling = None

    def _take_back(self, command: Command, reply: Reply) -> None:
        """A guard refused this chunk: it opened no chunking and ended no transaction."""
        self._facts.state, self._facts.binarymime = self._before
        self._ledger.replied(command, reply.code, reply.raw, ours=True)
        self._ring.spoke(reply.raw, self.at)
        self._was_answered(command, refused=True)

    def _say(self, command: Command, answer: Answer, rule: Rule | None) -> None:
        super()._say(command, answer, rule)
        self._debt += 1
        self._first_line = True

    def _out_of_step(self, why: str) -> None:
        self.out_of_step = True
        super()._out_of_step(why)

    def _note(  # noqa: PLR0913 - as in the engine
        self,
        judgement: Judgement,
        command: Command,
        *,
        ahead: bool = False,
        forwarded: bool = False,
        answer: Answer | None = None,
        detail: str = "",
    ) -> None:
        self._keep_refusals(judgement)
        events = self._ledger.events
        before = len(events)
        # The engine itself counts what it refuses in mode observe, too.
        self._too_many = self._too_many or any(one.rule is rules.SG601 for one in judgement)
        if any(one.ruling.enforced is CLOSE for one in judgement):
            self._doomed = command
        judgement = tuple(sorted(judgement, key=_first_in_enforce)) if len(judgement) > 1 else judgement
        super()._note(judgement, command, ahead=ahead, forwarded=forwarded, answer=answer, detail=detail)
        self._places += [self._place(command)] * (len(events) - before)

    def _keep_refusals(self, judgement: Judgement) -> None:
        """Let what enforce refuses be recorded each time, as it is there, and not as a note among many."""
        refused = [
            one.rule.id
            for one in judgement
            if one.ruling.enforced in _ANSWERED and not one.consequence and one.rule.section is not Section.LIMITS
        ]
        if refused:
            self._refusals += 1
            full = self._refusals > (self._policy.limits.violations or NOTES_KEPT) + 1
            self._ledger._noted.update(dict.fromkeys(refused, NOTES_KEPT if full else 0))

    def _place(self, command: Command) -> int:
        if self._settling is not None and command is self._settling[0]:
            return self._settling[1]
        if self._flight.owed and command is self._flight.owed[0]:
            return self._owed_at[0]
        if command.verb is Verb.CONTENT:
            return max(self._content_at, self._read_at)
        if command.raw:
            return self._line_at
        return self._base + self._consumed


def _was_early(spoken: frozenset[Rule]) -> bool:
    """Tell whether an answer in place of the greeting or of 354 can be for what was sent ahead of it."""
    return any(rule in (rules.SG201, rules.SG204) or rule.section is Section.FOREIGN for rule in spoken)


def _first_in_enforce(one: Charge) -> tuple[int, int, bool]:
    """Order the charges against a line as mode enforce does; of the order section the safe one is asked last."""
    rule = one.rule
    return -one.ruling.enforced.severity, rule.section.rank, rule.safe and rule.section is Section.ORDER


_NO_LINE: Final = Command(b"", Verb.UNKNOWN)
_CHUNKS: Final = frozenset({Verb.BDAT, Verb.BURL})
_GATES: Final = {Verb.GREETING: Reply(b"220 \r\n", 220), Verb.DATA: Reply(b"354 \r\n", 354)}
"""What UPSTREAM had said when a guard closed instead of handing it on."""

_CLOSES: Final = {Section.LIMITS: Close.LIMIT, Section.UPSTREAM: Close.UPSTREAM_GONE}

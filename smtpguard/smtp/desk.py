"""The desk at which a session is kept: its state, and the few acts that every step is made of.

To say something to CLIENT, to record a finding, to put a command in flight, to fall out of step, to end: each is
done here and nowhere else. `hearing` reads UPSTREAM's replies and `reading` CLIENT's octets on top of this;
`session` is the door.
"""

from typing import Final, Literal, NamedTuple

from smtpguard.smtp import rules
from smtpguard.smtp.content import Content
from smtpguard.smtp.events import Close
from smtpguard.smtp.flight import Flight
from smtpguard.smtp.framing import Inbox, ReplyReader
from smtpguard.smtp.judgement import Charge, Judgement, charge
from smtpguard.smtp.ledger import Ledger
from smtpguard.smtp.order import Facts
from smtpguard.smtp.policy import ALWAYS_CLOSE, Policy
from smtpguard.smtp.replies import Answer
from smtpguard.smtp.syntax import END_OF_CONTENT, Command, Reply
from smtpguard.smtp.transcript import Ring
from smtpguard.smtp.verdicts import OFF, Rule
from smtpguard.smtp.vocabulary import TranscriptMode, Verb, Waiting, Word


class Phase(Word):
    """How CLIENT's next octets are to be read."""

    COMMAND = "command"
    SASL = "sasl"
    CONTENT = "content"
    CHUNK = "chunk"
    SWALLOW = "swallow"
    HANDSHAKE = "handshake"
    OPAQUE = "opaque"
    OVER = "over"


STREAMED: Final = frozenset({Phase.CONTENT, Phase.CHUNK, Phase.SWALLOW})
"""The phases in which CLIENT sends octets, not lines."""

_STREAMED_AS: Final = {Phase.CONTENT: " of content", Phase.CHUNK: " of chunk", Phase.SWALLOW: " of chunk"}

_WAITING: Final = {phase: Waiting.CONTENT for phase in STREAMED} | {
    Phase.OPAQUE: Waiting.OPAQUE,
    Phase.OVER: Waiting.NOBODY,
}

NO_CONTENT: Final = Content()
"""Stands where no content is under way; it is never fed."""

UNNAMED: Final = Command(b"", Verb.UNKNOWN)
"""Stands in events where no line is to blame."""


class Ending(NamedTuple):
    """How the session ended, for the owner of the sockets."""

    close: Close
    cut: bool
    """Reset UPSTREAM at once, with nothing added: it must not take what it has for a message."""
    linger: Literal["none", "short", "content"]
    """How long CLIENT is still read into the void, so that the last reply reaches it."""


class Desk:
    """The state of one session."""

    __slots__ = (
        "_after_refused_data", "_client_lost", "_content", "_down", "_early_hello", "_facts", "_first_line", "_flight",
        "_half_closed", "_inbox", "_kept", "_lawful", "_ledger", "_left", "_octets", "_phase", "_pipeconnect",
        "_policy", "_predecessor", "_replies", "_replies_read", "_ring", "_session_id", "_swallowed", "_told", "_turn",
        "_up", "_waited", "at", "ending",
    )  # fmt: skip

    def __init__(self, policy: Policy, *, session_id: str, pipeconnect: bool = False, tls: bool = False) -> None:
        self._policy = policy
        self._session_id = session_id
        self._pipeconnect = pipeconnect
        self._facts = Facts(tls=tls)
        self._flight = Flight()
        self._ledger = Ledger()
        self._ring = Ring(kept=policy.transcript is not TranscriptMode.NEVER)
        self._inbox = Inbox()
        self._replies = ReplyReader()
        # Reads of UPSTREAM.
        self._replies_read = 0
        self._content = NO_CONTENT
        self._phase = Phase.COMMAND
        self._up: list[bytes] = []
        self._down: list[bytes] = []
        self._first_line = True
        self._early_hello = False
        self._after_refused_data = False
        # The command in flight was in order, so a 503 to it would be a surprise.
        self._lawful = True
        self._predecessor = Verb.GREETING
        # Octets of the chunk still to come, and for a refused one its command and our answer to it.
        self._left = 0
        self._swallowed: tuple[Command, Answer, Rule] | None = None
        # UPSTREAM's refusal of a chunk that is still on its way.
        self._kept: Reply | None = None
        self._half_closed = False
        self._client_lost = False
        # The latest thing said to CLIENT was that its message is accepted.
        self._told = False
        self._turn = 0
        self._octets = 0
        self._waited = Waiting.NOBODY
        self.ending: Ending | None = None
        self.at = 0.0
        """When that happens which the session is told next, in seconds of the caller's clock. Kept beside each line of
        the transcript, and never looked at."""

    # --- to say ----------------------------------------------------------------------------------------------------

    def _say(self, command: Command, answer: Answer, rule: Rule | None) -> None:
        """Give CLIENT an answer of ours to a command that UPSTREAM never saw."""
        octets = self._spoken(answer, rule)
        self._down.append(octets)
        self._ledger.replied(command, answer.code, octets, ours=True)
        self._was_answered(command, refused=True)

    def _was_answered(self, command: Command, *, refused: bool) -> None:
        self._flight.answered(command, refused=refused)
        self._inbox.mark_ahead()
        self._predecessor = command.verb
        self._turn += 1

    def _distrust_what_follows_data(self) -> None:
        """Close if anything was read behind a refused DATA: it was meant as content, and would be run as commands."""
        self._after_refused_data = True
        if self._inbox.held:
            self._close_for((Charge(rules.SG204, ALWAYS_CLOSE),), UNNAMED, ahead=True, linger="content")

    def _close_for(
        self,
        judgement: Judgement,
        command: Command,
        *,
        ahead: bool = False,
        linger: Literal["short", "content"] = "short",
    ) -> None:
        """Answer and end the session for something that is no line of its own."""
        first = judgement[0]
        self._note(judgement, command, ahead=ahead, answer=first.rule.answer)
        self._speak(first.rule)
        self._end(Close.VIOLATION, linger=linger)

    def _speak(self, rule: Rule) -> None:
        assert rule.answer is not None, "only rules that can be refused are spoken of"
        self._down.append(self._spoken(rule.answer, rule))

    def _spoken(self, answer: Answer, rule: Rule | None) -> bytes:
        named = rule is not None and self._policy.reply_rule_id
        octets = answer.spoken(rule.id if rule is not None and named else "", self._session_id)
        self._account()
        self._ring.spoke(octets, self.at)
        return octets

    # --- to record -------------------------------------------------------------------------------------------------

    def _charge(self, rule: Rule) -> Judgement:
        return charge(self._policy, self._facts, rule)

    def _note(  # noqa: PLR0913 - a finding has as many sides as it has
        self,
        judgement: Judgement,
        command: Command,
        *,
        ahead: bool = False,
        forwarded: bool = False,
        answer: Answer | None = None,
        detail: str = "",
    ) -> None:
        for one in judgement:
            if one.ruling.verdict is OFF:
                continue
            self._ledger.found(
                one, command, self._facts, answer=answer, ahead=ahead, forwarded=forwarded, detail=detail
            )
            self._ring.charge(one.rule, unread=not command.raw)

    @property
    def _consumed(self) -> int:
        """Octets of CLIENT that were taken out of the inbox."""
        return self._ledger.octets_in - self._inbox.held

    def _account(self) -> None:
        """Keep in the transcript what was said so far of what is no line, before an answer of ours, or the end."""
        inbox, ring = self._inbox, self._ring
        if self._phase in STREAMED:
            ring.streamed(self._consumed, _STREAMED_AS[self._phase], inbox.read_at, inbox.piece)
        if inbox.held and ring.awaits_culprit:
            ring.streams(self._consumed)
            ring.streamed(self._consumed + inbox.held, "", inbox.read_at, inbox.piece)

    def _note_untold(self, detail: str) -> None:
        self._note(self._charge(rules.SG504), END_OF_CONTENT, detail=detail)

    # --- to wait ---------------------------------------------------------------------------------------------------

    def _await_reply(self, command: Command) -> None:
        self._flight.owed.append(command)
        self._predecessor = command.verb
        self._turn += 1

    def _in_flight(self) -> Command:
        """Return the command that the next reply is due to."""
        return self._flight.owed[0] if self._flight.owed else UNNAMED

    @property
    def waiting(self) -> Waiting:
        """Whom the session waits for."""
        if self._phase in _WAITING:
            return _WAITING[self._phase]
        if not self._flight.owed:
            return Waiting.COMMAND
        if self._flight.owed[0].verb is Verb.GREETING:
            return Waiting.GREETING
        return Waiting.VERDICT if self._flight.owed[0].last else Waiting.REPLY

    # --- to end ----------------------------------------------------------------------------------------------------

    def _out_of_step(self, why: str) -> None:
        """End a session whose UPSTREAM we no longer understand: never a 2yz, never its octets."""
        judgement = self._charge(rules.SG502)
        self._note(judgement, self._in_flight(), answer=rules.SG502.answer, detail=why)
        self._speak(rules.SG502)
        self._end(Close.OUT_OF_STEP, cut=True, linger="content" if self._phase in STREAMED else "short")

    def _end(self, close: Close, *, cut: bool = False, linger: Literal["none", "short", "content"] = "short") -> None:
        in_message = self._phase in (Phase.CONTENT, Phase.CHUNK, Phase.SASL)
        in_exchange = self._in_flight().verb in (Verb.AUTH, Verb.SASL)
        self.ending = Ending(close, cut or in_message or in_exchange, linger)
        self._waited = self.waiting
        if self._client_lost and self._in_flight().last:
            self._note_untold("no verdict")
        self._account()
        self._phase = Phase.OVER
        self._inbox.clear()

"""One SMTP session between CLIENT and UPSTREAM, without a socket, a clock or a logger: the door of the protocol room.

Octets go in at `receive`, with the side they came from; out come octets for either side, and events. `window` says
how much may be read from CLIENT, `waiting` and `progress` which deadline runs and when it starts anew, `ending` what
to do with the sockets when the session is over.

No input of a peer makes it raise. Identity is the fast path: one whole lawful command comes out as the same object,
and so does one whole reply, and content without an end in it.
"""

from typing import Final, NamedTuple

from smtpguard.smtp import order, rules
from smtpguard.smtp.desk import STREAMED, Phase
from smtpguard.smtp.events import Close, Event, SessionEnded
from smtpguard.smtp.reading import Reading
from smtpguard.smtp.replies import Answer
from smtpguard.smtp.transcript import NO_TRANSCRIPT, Transcript
from smtpguard.smtp.verdicts import Rule
from smtpguard.smtp.vocabulary import BLOCK, HELD_INPUT, READ_SIZE, Side, TranscriptMode, Waiting


class Output(NamedTuple):
    """What is due: octets for UPSTREAM, octets for CLIENT, and what happened."""

    up: tuple[bytes, ...] = ()
    down: tuple[bytes, ...] = ()
    events: tuple[Event, ...] = ()


_NOTHING: Final = Output()


class Session(Reading):
    """The session of one CLIENT with the one UPSTREAM connection made for it.

    Args:
        policy: what the administrator decided about this client.
        session_id: 12 characters, for the answers of ours.
        pipeconnect: UPSTREAM is known to offer PIPECONNECT: EHLO and MAIL may come ahead of the greeting.
        tls: CLIENT speaks through TLS from the first octet (RFC 8314 §3.3).
    """

    __slots__ = ()

    # --- octets ----------------------------------------------------------------------------------------------------

    def receive(self, side: Side, data: bytes, *, unread: bool = False) -> Output:
        """Take octets of one side, one or more.

        Args:
            side: where they came from.
            data: the octets as they were read.
            unread: replies given out before are not fully written to CLIENT yet, so these octets cannot answer them.
        """
        if side is Side.UPSTREAM:
            if self._phase is Phase.OPAQUE:
                self._turn += 1
                self._down.append(data)
            elif self.ending is None:
                self._replies_read += 1
                self._hear(data)
                if self._inbox.held:
                    self._advance()
        elif self.ending is None and not self._client_lost:
            self._ledger.octets_in += len(data)
            self._told = False
            self._inbox.arrived(data, self.at)
            if self._phase not in _BY_LINES:
                self._count(len(data))
            if unread:
                self._inbox.mark_ahead()
            self._advance()
        return self._output()

    def _count(self, octets: int) -> None:
        """Start the deadline anew with each block of content, and in an opaque session with each octet."""
        self._octets += octets
        if self._octets >= BLOCK or self._phase is Phase.OPAQUE:
            self._octets %= BLOCK
            self._turn += 1

    def receive_eof(self, side: Side) -> Output:
        """Take the end of one side's octets (FIN)."""
        if self.ending is None:
            if side is Side.UPSTREAM or self._phase is Phase.OPAQUE:
                self._lose(side)
            else:
                self._half_closed = True
        return self._output()

    def lost(self, side: Side, *, untold: bool = False) -> Output:
        """Take the loss of one side: a reset, or a failed write.

        Args:
            side: the side that is gone.
            untold: octets given out for CLIENT could not be written.
        """
        if side is Side.CLIENT and untold and self._told:
            # RFC 1047: the reply to the dot was lost, so the client will send the message again.
            self._note_untold("accepted")
            self._told = False
        if self.ending is None:
            self._lose(side)
        return self._output()

    def _lose(self, side: Side) -> None:
        if side is Side.UPSTREAM:
            self._lose_upstream()
        elif self._waits_for_verdict():
            self._client_lost = True
            self._inbox.clear()
        else:
            self._end(Close.CLIENT_GONE, linger="none")

    def _lose_upstream(self) -> None:
        if self._hand_on_kept():
            return
        if self._client_lost:
            # Nobody is left to be told; `_end` records what is not known.
            self._end(Close.UPSTREAM_GONE, linger="none")
        elif self._flight.owed or self._phase is Phase.CONTENT:
            self._give_up(rules.SG503, Close.UPSTREAM_GONE, "closed while it owed a reply")
        else:
            # Nothing is owed: the close is passed on as a close, silently.
            self._end(Close.UPSTREAM_GONE)

    def _hand_on_kept(self) -> bool:
        """Hand on the refusal of a chunk that will never be whole, and end."""
        if self._kept is None:
            return False
        kept, self._kept = self._kept, None
        self._settle(self._flight.owed.pop(0), kept)
        if self.ending is None:
            self._end(Close.CONTENT_REFUSED, linger="content")
        return True

    # --- the clock, kept by the caller -----------------------------------------------------------------------------

    @property
    def window(self) -> int:
        """Octets that may be read from CLIENT now; 0 while held input fills its room."""
        if self._phase in _BY_LINES:
            return max(0, HELD_INPUT - self._inbox.held)
        return READ_SIZE

    @property
    def progress(self) -> int:
        """A number that grows whenever the deadline of `waiting` starts anew; within a line no octet does that."""
        return self._turn

    @property
    def over(self) -> bool:
        """True when the session has ended."""
        return self.ending is not None

    @property
    def may_end(self) -> bool:
        """True at a command boundary with no transaction open: 421 costs CLIENT nothing there but the next session."""
        return self._phase is Phase.COMMAND and not self._flight.owed and not self._facts.transaction_open

    @property
    def opaque(self) -> bool:
        """True once inspection ended."""
        return self._phase is Phase.OPAQUE

    @property
    def offers_pipeconnect(self) -> bool:
        """True if UPSTREAM offered PIPECONNECT in this session."""
        return self._facts.offers(b"PIPECONNECT")

    def unreachable(self, why: str) -> Output:
        """UPSTREAM could not be reached; `why` in a few ASCII words."""
        if self.ending is None:
            self._give_up(rules.SG501, Close.UNREACHABLE, why)
        return self._output()

    def expire(self) -> Output:
        """The deadline of `waiting` fell."""
        if self.ending is None:
            # Not behind, or the caller had given up writing: all that was said before is with CLIENT.
            self._told = False
            waiting = self.waiting
            rule, close = _EXPIRED.get(waiting, (None, Close.DEADLINE))
            if waiting is Waiting.CONTENT and self._hand_on_kept():
                pass
            elif rule is None:
                self._end(close)
            else:
                self._give_up(rule, close, f"deadline of {waiting.value}")
        return self._output()

    def outlived(self, *, doubly: bool = False) -> Output:
        """The session lives longer than it may: end it at a command boundary outside a transaction, or inside one if
        `doubly`."""
        at_boundary = self._phase in (Phase.COMMAND, Phase.SASL, Phase.HANDSHAKE) and not self._flight.owed
        if at_boundary and (doubly or not self._facts.transaction_open):
            self._give_up(rules.SG605, Close.DEADLINE, "")
        return self._output()

    def dismiss(self, answer: Answer, close: Close) -> Output:
        """End the session from outside, with an answer of ours if CLIENT can still read one."""
        if self.ending is None:
            if not self.opaque:
                self._down.append(self._spoken(answer, None))
            self._end(close, cut=self._phase in STREAMED)
        return self._output()

    def _give_up(self, rule: Rule, close: Close, why: str) -> None:
        judgement = self._charge(rule)
        self._note(judgement, self._in_flight(), answer=rule.answer, detail=why)
        self._speak(rule)
        self._end(close, linger="content" if self._phase in STREAMED else "short")

    # --- TLS -------------------------------------------------------------------------------------------------------

    def tls_up(self) -> None:
        """TLS came up on CLIENT's side: forget everything, octets in the clear included (RFC 3207 §4.2)."""
        order.tls_up(self._facts)
        self._ledger.history.tls_up()
        self._inbox.clear()
        self._phase = Phase.COMMAND

    # --- what comes out --------------------------------------------------------------------------------------------

    def ended(self) -> SessionEnded:
        """Sum the session up; to be called once, when it is over."""
        close = self.ending.close if self.ending is not None else Close.ERROR
        return self._ledger.ended(close, self._facts, self._waited, self._evidence(close))

    def _evidence(self, close: Close) -> Transcript:
        """Return the transcript where it is wanted."""
        wanted = self._policy.transcript
        if wanted is TranscriptMode.ALWAYS or (wanted is TranscriptMode.ON_FINDING and self._went_badly(close)):
            return self._ring.transcript()
        return NO_TRANSCRIPT

    def _went_badly(self, close: Close) -> bool:
        lost_in_transaction = close is Close.CLIENT_GONE and self._facts.transaction_open
        return self._ledger.fired or lost_in_transaction or close not in _GOOD_ENDS

    def _output(self) -> Output:
        if self._half_closed and self.ending is None:
            self._end_half_closed()
        if self._client_lost:
            self._down.clear()
        ledger = self._ledger
        if not (self._up or self._down or ledger.events):
            return _NOTHING
        output = Output(tuple(self._up), tuple(self._down), tuple(ledger.events))
        for octets in output.down:
            ledger.octets_out += len(octets)
        self._up.clear()
        self._down.clear()
        ledger.events.clear()
        return output

    def _end_half_closed(self) -> None:
        """CLIENT will send no more: end as soon as nothing is in flight and nothing complete is left."""
        if not self._flight.owed or self._phase is Phase.CHUNK:
            self._end(Close.CLIENT_GONE)

    def _waits_for_verdict(self) -> bool:
        return self._phase is Phase.COMMAND and self._in_flight().last


_BY_LINES: Final = frozenset({Phase.COMMAND, Phase.SASL})
"""The phases in which CLIENT's octets are held until a line of them is whole and due."""

_GOOD_ENDS: Final = frozenset({Close.QUIT, Close.CLIENT_GONE, Close.SHUTDOWN})
"""What no transcript is kept for, if no rule fired."""

_EXPIRED: Final = {
    Waiting.GREETING: (rules.SG501, Close.UNREACHABLE),
    Waiting.REPLY: (rules.SG503, Close.DEADLINE),
    Waiting.VERDICT: (rules.SG503, Close.DEADLINE),
    Waiting.COMMAND: (rules.SG603, Close.DEADLINE),
    Waiting.CONTENT: (rules.SG604, Close.DEADLINE),
}

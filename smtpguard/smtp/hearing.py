"""UPSTREAM's octets -> whole replies -> in step? -> the state moves, and CLIENT hears the reply.

A reply is handed on only if it is whole, well formed, due, and of a class that its command may get; anything else is
*out of step*, and the session ends with 421 before a wrong 2yz can reach CLIENT. What CLIENT sent ahead of the
greeting or of 354 is judged here too, because that reply must not be handed on where it leads to a close.
"""

from collections.abc import Callable
from typing import Final

from smtpguard.smtp import foreign, order, rules
from smtpguard.smtp.content import Content
from smtpguard.smtp.desk import UNNAMED, Desk, Phase
from smtpguard.smtp.events import Close
from smtpguard.smtp.framing import MalformedReply
from smtpguard.smtp.judgement import Judgement, may_be_early_hello, weigh
from smtpguard.smtp.ledger import surprises
from smtpguard.smtp.syntax import END_OF_CONTENT, GREETING, Command, Reply, without_starttls
from smtpguard.smtp.vocabulary import TlsMode, Verb


class Hearing(Desk):
    """The half of a session that listens to UPSTREAM."""

    __slots__ = ()

    def _hear(self, data: bytes) -> None:
        """Read UPSTREAM's octets. What CLIENT sent meanwhile is for the caller to look at, when all of them are
        settled."""
        reader = self._replies
        whole = reader.whole(data)
        if whole is not None:
            self._take_reply(whole)
            return
        reader.put(data)
        try:
            while self.ending is None and reader.pending and (reply := reader.next()) is not None:
                self._take_reply(reply)
        except MalformedReply as flaw:
            self._out_of_step(str(flaw))
        if self.ending is None and reader.pending and not self._may_be_said_unasked(reader.pending):
            self._out_of_step("octets that nobody asked for")

    def _take_reply(self, reply: Reply) -> None:
        owed = self._flight.owed
        if not owed:
            self._take_unasked(reply)
        elif not order.in_step(owed[0].verb, reply):
            self._out_of_step(f"reply {reply.code} to {owed[0].verb.value}")
        elif self._phase is Phase.CHUNK:
            self._keep(reply)
        elif not self._inbox.held or not self._gate(owed[0], reply):
            self._settle(owed.pop(0), reply)

    def _keep(self, reply: Reply) -> None:
        """Keep a refusal of a chunk until the chunk is out: UPSTREAM reads it to its end whatever it said."""
        if reply.code < 400 or self._kept is not None:
            self._out_of_step("a reply before the end of the chunk")
        else:
            self._kept = reply

    def _gate(self, command: Command, reply: Reply) -> bool:
        """Judge what CLIENT sent ahead of the greeting or of 354; True if that ended the session instead."""
        if command.verb not in _GATED:
            return False
        if command.verb is Verb.DATA and reply.code >= 400:
            return False
        judgement = self._early_talk() if command.verb is Verb.GREETING else self._charge(rules.SG204)
        if judgement and judgement[0].ruling.answered:
            if command.verb is Verb.DATA:
                # UPSTREAM awaits content since its 354, so it must be cut.
                self._phase = Phase.CONTENT
            self._close_for(judgement, command, ahead=True, linger="content")
            return True
        self._note(judgement, command, ahead=True, forwarded=True)
        return False

    def _early_talk(self) -> Judgement:
        if self._pipeconnect and may_be_early_hello(self._facts, self._inbox.head(5)):
            self._early_hello = True
            return ()
        early = self._charge(rules.SG201)
        foreign_rule = foreign.recognise(self._inbox.head(foreign.HEAD))
        if foreign_rule is None or not (early and early[0].ruling.answered):
            # Not closed for talking early; what it says is judged when its turn comes.
            return early
        return weigh([*self._charge(foreign_rule), *early])

    def _settle(self, command: Command, reply: Reply) -> None:
        """Let a reply take effect and hand it on."""
        accepted = reply.code < 400
        if not (accepted and self._lawful) and surprises(command, reply, lawful=self._lawful, facts=self._facts):
            self._note(self._charge(rules.SG505), command, forwarded=True)
        order.replied(self._facts, command, reply)
        hidden = accepted and command.verb is Verb.EHLO and self._policy.tls_mode is TlsMode.HIDE
        self._down.append(without_starttls(reply.raw) if hidden else reply.raw)
        self._ring.heard(command, reply.raw, self.at, self._replies_read)
        self._ledger.replied(command, reply.code, reply.raw)
        self._was_answered(command, refused=not accepted)
        if command.last:
            self._told = accepted
            if self._client_lost:
                self._end_untold()
                return
        if reply.code == 421:
            self._end(Close.GOODBYE)
            return
        follow = _FOLLOW.get(command.verb)
        if follow is not None:
            follow(self, reply)

    def _end_untold(self) -> None:
        if self._told:
            self._note_untold("accepted")
            self._told = False
        self._end(Close.CLIENT_GONE)

    def _after_data(self, reply: Reply) -> None:
        if reply.code < 400:
            self._phase = Phase.CONTENT
            self._content = Content()
            self._octets = 0
            self._ring.streams(self._consumed)
        else:
            self._distrust_what_follows_data()

    def _after_sasl(self, reply: Reply) -> None:
        # RFC 4954 §4: after 334 the next line is the client's response, whatever it spells.
        self._phase = Phase.SASL if reply.code == 334 else Phase.COMMAND

    def _after_starttls(self, reply: Reply) -> None:
        if reply.code < 400:
            self._phase = Phase.HANDSHAKE

    def _after_quit(self, reply: Reply) -> None:
        if reply.code >= 400:
            return
        if self._inbox.held:
            self._note(self._charge(rules.SG206), UNNAMED, ahead=True)
        self._end(Close.QUIT)

    def _take_unasked(self, reply: Reply) -> None:
        if self._phase is Phase.CONTENT and reply.code >= 400:
            # UPSTREAM refuses the message before its end: that is the verdict, and nothing more is said up.
            self._account()
            self._down.append(reply.raw)
            self._ring.heard(END_OF_CONTENT, reply.raw, self.at, self._replies_read)
            self._ledger.replied(END_OF_CONTENT, reply.code, reply.raw)
            self._end(Close.CONTENT_REFUSED, linger="content")
        elif reply.code == 421 and self._phase in _MAY_HEAR_421:
            self._down.append(reply.raw)
            self._ring.heard(GREETING, reply.raw, self.at, self._replies_read)
            self._end(Close.GOODBYE)
        else:
            self._out_of_step(f"reply {reply.code} that nobody asked for")

    def _may_be_said_unasked(self, octets: bytes) -> bool:
        """Tell whether a partial reply may still become a lawful one."""
        if self._phase in _CONTENT_UNDER_WAY:
            # Begun before UPSTREAM has all of it, only a refusal can be meant.
            return self._kept is None and octets[:1] in (b"4", b"5")
        if self._flight.owed:
            return True
        return self._phase in _MAY_HEAR_421 and b"421".startswith(octets[:3])


_CONTENT_UNDER_WAY: Final = frozenset({Phase.CONTENT, Phase.CHUNK})
_GATED: Final = frozenset({Verb.GREETING, Verb.DATA})
"""The replies that CLIENT's octets must not come ahead of."""

_MAY_HEAR_421: Final = frozenset({Phase.COMMAND, Phase.SASL, Phase.SWALLOW})

_FOLLOW: Final[dict[Verb, Callable[[Hearing, Reply], None]]] = {
    Verb.DATA: Hearing._after_data,
    Verb.AUTH: Hearing._after_sasl,
    Verb.SASL: Hearing._after_sasl,
    Verb.STARTTLS: Hearing._after_starttls,
    Verb.QUIT: Hearing._after_quit,
}

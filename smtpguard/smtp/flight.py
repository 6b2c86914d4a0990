"""What is in flight, whose reply is due, and what is a consequence.

One command is in flight, and the next is judged only when its reply is in; so replies, ours among them, fall into
command order by themselves. The exception: RCPTs may be in flight together where UPSTREAM offered PIPELINING, since
none of them decides whether another is legal.

A **consequence** is no violation. RFC 2920 §3.1 lets a client send MAIL, RCPT and DATA in one group without waiting;
if MAIL or RCPT is then refused, what stood behind it in the group is out of order through no fault of the client.
When a command was sent cannot be observed, only when it was read. So it is decided by group: a group begins with
MAIL and goes up to and with DATA or the last chunk; once one command of it was read ahead of the reply to its
predecessor, the group is pipelined, and no later command of it is blamed for a refusal inside it. A doubt is a
consequence.
"""

from typing import Final

from smtpguard.smtp import rules
from smtpguard.smtp.syntax import GREETING, Command
from smtpguard.smtp.verdicts import Rule
from smtpguard.smtp.vocabulary import RCPTS_IN_FLIGHT, Verb

_ENDS_GROUP: Final = frozenset({Verb.RSET, Verb.EHLO, Verb.HELO, Verb.QUIT})
_MAY_BE_REFUSED: Final = frozenset({Verb.MAIL, Verb.RCPT})
_STRAY: Final = {Verb.RCPT: rules.SG102, Verb.DATA: rules.SG103, Verb.BDAT: rules.SG103, Verb.BURL: rules.SG103}
_FOLLOWS_A_REFUSAL: Final = frozenset({rules.SG102, rules.SG103, rules.SG104})


class Flight:
    """The commands whose replies UPSTREAM owes, oldest first, and the command group that is being read."""

    __slots__ = ("_pipelined", "_refused", "_unserved", "astray", "owed")

    def __init__(self) -> None:
        self.owed: list[Command] = [GREETING]
        self._pipelined = False
        # A MAIL or a RCPT of the group was refused.
        self._refused = False
        # The content of the group before was refused for that, by us, so its transaction may still be open at UPSTREAM.
        self._unserved = False
        # And the MAIL of this group was refused, because that transaction is open.
        self.astray = False

    def may_join(self, command: Command) -> bool:
        """Tell whether a command may go out while others are in flight: RCPTs may, so many at a time."""
        both_rcpt = command.verb is Verb.RCPT and self.owed[-1].verb is Verb.RCPT
        return both_rcpt and len(self.owed) < RCPTS_IN_FLIGHT

    def read(self, command: Command, *, ahead: bool, pipelining: bool) -> None:
        """Note that a command is being judged.

        Args:
            command: the command.
            ahead: it was read ahead of the reply to its predecessor.
            pipelining: UPSTREAM offered PIPELINING, so that sending ahead was lawful.
        """
        if command.verb is Verb.MAIL or command.verb in _ENDS_GROUP:
            self._begin_group()
        if ahead and pipelining:
            self._pipelined = True
        elif not ahead:
            self._unserved = False

    def is_consequence(self, rule: Rule) -> bool:
        """Tell whether a finding about the command at hand is the consequence of a refusal inside its group."""
        if rule is rules.SG105:
            return self._pipelined and self._unserved
        return self._pipelined and self._refused and rule in _FOLLOWS_A_REFUSAL

    def stray(self, command: Command) -> Rule | None:
        """Return the rule that a command breaks that was meant for a MAIL that we let be refused.

        Pipelined messages: the first one's recipients were refused and its content never reached UPSTREAM, so
        UPSTREAM's transaction stayed open and refused the second one's MAIL. What follows must not end up in the
        first one.
        """
        return _STRAY.get(command.verb) if self._pipelined and self.astray else None

    def answered(self, command: Command, *, refused: bool) -> None:
        """Note the reply to a command, UPSTREAM's or ours."""
        if command.verb is Verb.MAIL:
            self.astray = refused and self._unserved
            self._unserved = False
        if command.verb in _MAY_BE_REFUSED:
            self._refused = self._refused or refused
        elif command.verb is Verb.DATA or command.last:
            unserved = refused and self._pipelined and self._refused
            self._begin_group()
            self._unserved = unserved

    def _begin_group(self) -> None:
        self._pipelined = False
        self._refused = False
        self.astray = False

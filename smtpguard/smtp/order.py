"""The order of commands: what is legal, and what a reply makes of the state.

1. All that changes the state of a session lives in this file.
2. This file knows no sockets, no policy and no replies of our own.

State moves only on a complete UPSTREAM reply to a command that was forwarded, never on the command, never on a reply of
ours: a firewall that answered DATA with 503 itself and then took what followed for content let everything through
(CVE-2000-1022). A refusal leaves the old state. UPSTREAM's reply is the truth even where it surprises us, so
`EFFECT` is the same whether the command was legal or not. The one exception is chunking: the first BDAT or BURL
without LAST opens it when it is forwarded, whatever its answer (RFC 3030 §2).

`State` is the transaction's axis only. The facts beside it are `Facts`; the rules that need one are rows of
`FACT_RULES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smtpguard.smtp import rules
from smtpguard.smtp.syntax import Command, Reply, keywords
from smtpguard.smtp.verdicts import Rule
from smtpguard.smtp.vocabulary import NO_WORDS, ReplyClass, State, Verb


@dataclass(slots=True)
class Facts:
    """All that the order of commands depends on."""

    state: State = State.AWAITING_GREETING
    hello: bool = False
    """EHLO or HELO was accepted, and no TLS came up since."""
    esmtp: bool = False
    """The last accepted hello was EHLO."""
    tls: bool = False
    authenticated: bool = False
    keywords: frozenset[bytes] = frozenset()
    """Extension keywords of the last accepted hello, in upper case; HELO empties them."""
    binarymime: bool = False
    """The open transaction began with BODY=BINARYMIME."""

    @property
    def transaction_open(self) -> bool:
        """True between an accepted MAIL and whatever ends the transaction."""
        return self.state in TRANSACTION

    def offers(self, keyword: bytes) -> bool:
        """Tell whether UPSTREAM offered an extension to this CLIENT in the last accepted hello."""
        return keyword in self.keywords


TRANSACTION: Final = frozenset({State.ENVELOPE, State.RECIPIENTS, State.CHUNKING})

# --- What is legal: State x Verb -> the rule that is broken; an absent cell is in order ----------------------------
LEGAL: Final[dict[State, dict[Verb, Rule]]] = {
    # Nothing is judged before the greeting: input is held, so this row is never asked.
    State.AWAITING_GREETING: {},
    # RFC 5321 §3.1: after 554 the server "SHOULD respond to any intervening commands with 503", QUIT excepted.
    State.REFUSED_GREETING: {
        verb: rules.SG115 for verb in Verb if verb not in (Verb.QUIT, Verb.GREETING, Verb.CONTENT, Verb.SASL)
    },
    State.CONNECTED: {
        Verb.MAIL: rules.SG101,
        Verb.RCPT: rules.SG102,
        Verb.DATA: rules.SG103,
        Verb.BDAT: rules.SG103,
        Verb.BURL: rules.SG103,
    },
    State.IDENTIFIED: {
        Verb.RCPT: rules.SG102,
        Verb.DATA: rules.SG103,
        Verb.BDAT: rules.SG103,
        Verb.BURL: rules.SG103,
    },
    State.ENVELOPE: {
        Verb.MAIL: rules.SG105,
        Verb.DATA: rules.SG104,
        Verb.BDAT: rules.SG104,
        Verb.BURL: rules.SG104,
        Verb.STARTTLS: rules.SG110,
        Verb.AUTH: rules.SG111,
        Verb.ETRN: rules.SG116,
    },
    State.RECIPIENTS: {
        Verb.MAIL: rules.SG105,
        Verb.STARTTLS: rules.SG110,
        Verb.AUTH: rules.SG111,
        Verb.ETRN: rules.SG116,
    },
    State.CHUNKING: {
        # RFC 3030 §2: once BDAT is in use, "DATA and BDAT commands cannot be used in the same transaction".
        Verb.MAIL: rules.SG106,
        Verb.RCPT: rules.SG106,
        Verb.DATA: rules.SG106,
        Verb.STARTTLS: rules.SG110,
        Verb.AUTH: rules.SG111,
        Verb.ETRN: rules.SG116,
    },
}

# --- The rules that need a fact ------------------------------------------------------------------------------------
FACT_RULES: Final[dict[Verb, tuple[tuple[Rule, Callable[[Facts], bool]], ...]]] = {
    Verb.BDAT: ((rules.SG107, lambda facts: not facts.offers(b"CHUNKING")),),
    Verb.DATA: ((rules.SG108, lambda facts: facts.binarymime),),
    Verb.STARTTLS: (
        (rules.SG109, lambda facts: facts.tls),
        (rules.SG114, lambda facts: not facts.esmtp),
    ),
    Verb.AUTH: (
        (rules.SG112, lambda facts: facts.authenticated),
        (rules.SG113, lambda facts: not facts.esmtp),
    ),
}


def findings(facts: Facts, verb: Verb) -> list[Rule]:
    """Ask: may it be said now? Return the rules of the order section that `verb` breaks, none if it is in order."""
    broken = []
    if (rule := LEGAL[facts.state].get(verb)) is not None:
        broken.append(rule)
    if verb in FACT_RULES:
        broken += [rule for rule, breaks in FACT_RULES[verb] if breaks(facts)]
    return broken


def expected(facts: Facts) -> tuple[Verb, ...]:
    """Return the verbs of the vocabulary that are in order now."""
    return tuple(verb for verb in Verb if verb not in NO_WORDS and not findings(facts, verb))


# --- What a reply makes of the state -------------------------------------------------------------------------------
Effect = Callable[[Facts, Command, Reply], None]


def _connected(facts: Facts, _command: Command, _reply: Reply) -> None:
    facts.state = State.CONNECTED


def _refused_greeting(facts: Facts, _command: Command, _reply: Reply) -> None:
    facts.state = State.REFUSED_GREETING


def _esmtp(facts: Facts, _command: Command, reply: Reply) -> None:
    """Take EHLO 2yz: "the same state as after RSET" (RFC 5321 §4.1.4), and other keywords."""
    facts.state, facts.hello, facts.esmtp = State.IDENTIFIED, True, True
    facts.keywords = keywords(reply.raw)
    facts.binarymime = False


def _smtp(facts: Facts, _command: Command, _reply: Reply) -> None:
    """Take HELO 2yz: no extension may be used."""
    facts.state, facts.hello, facts.esmtp = State.IDENTIFIED, True, False
    facts.keywords = frozenset()
    facts.binarymime = False


def _no_transaction(facts: Facts, _command: Command, _reply: Reply) -> None:
    facts.state = State.IDENTIFIED if facts.hello else State.CONNECTED
    facts.binarymime = False


def _envelope(facts: Facts, command: Command, _reply: Reply) -> None:
    """Take MAIL 2yz: a new transaction with no recipient, whatever was before."""
    facts.state = State.ENVELOPE
    facts.binarymime = command.binarymime


def _recipient(facts: Facts, _command: Command, _reply: Reply) -> None:
    """Take RCPT 2yz: it opens a transaction if none was; chunking, once open, stays (RFC 3030 §2)."""
    if facts.state is not State.CHUNKING:
        facts.state = State.RECIPIENTS


def _login(facts: Facts, _command: Command, _reply: Reply) -> None:
    facts.authenticated = True


OK, INTERMEDIATE, TRANSIENT, PERMANENT = ReplyClass
EFFECT: Final[dict[Verb, dict[ReplyClass, Effect]]] = {
    Verb.GREETING: {OK: _connected, TRANSIENT: _refused_greeting, PERMANENT: _refused_greeting},
    Verb.EHLO: {OK: _esmtp},
    Verb.HELO: {OK: _smtp},
    Verb.RSET: {OK: _no_transaction},
    Verb.MAIL: {OK: _envelope},
    Verb.RCPT: {OK: _recipient},
    # Any final answer to the content ends the transaction (RFC 5321 §4.1.1.4): the dot's, and LAST's.
    Verb.CONTENT: {OK: _no_transaction, TRANSIENT: _no_transaction, PERMANENT: _no_transaction},
    Verb.AUTH: {OK: _login},
    Verb.SASL: {OK: _login},
}
"""Verb x reply class -> what becomes of the facts; an absent cell leaves them as they are. BDAT and BURL with LAST
stand in the row CONTENT. A refused DATA ends nothing; STARTTLS 220 does nothing yet (`tls_up`)."""


def replied(facts: Facts, command: Command, reply: Reply) -> None:
    """Do it: let UPSTREAM's reply to a forwarded command take effect."""
    row = EFFECT.get(Verb.CONTENT if command.last else command.verb)
    if row and (effect := row.get(reply.reply_class)):
        effect(facts, command, reply)


def forwarded(facts: Facts, command: Command) -> None:
    """Open chunking where a BDAT or BURL without LAST is forwarded."""
    if command.verb in _CHUNKS and not command.last:
        facts.state = State.CHUNKING


_CHUNKS: Final = frozenset({Verb.BDAT, Verb.BURL})


def tls_up(facts: Facts) -> None:
    """Forget everything: "the server MUST discard any knowledge obtained from the client" (RFC 3207 §4.2)."""
    facts.state, facts.tls = State.CONNECTED, True
    facts.hello = facts.esmtp = facts.authenticated = facts.binarymime = False
    facts.keywords = frozenset()


# --- Which reply codes are in step ---------------------------------------------------------------------------------
_EXACT: Final[dict[Verb, frozenset[int]]] = {
    Verb.GREETING: frozenset({220}),
    # RFC 5321 §4.3.2: "I: 354 -> data -> S: 250". A 2yz before the content would acknowledge a message nobody has seen.
    Verb.DATA: frozenset({354}),
    Verb.AUTH: frozenset({235, 334}),
    Verb.SASL: frozenset({235, 334}),
    Verb.STARTTLS: frozenset({220}),
}


def in_step(verb: Verb, reply: Reply) -> bool:
    """Tell whether a reply is of a class that `verb` may get: a refusal always, else its own codes, else 2yz."""
    if reply.code >= 400:
        return True
    exact = _EXACT.get(verb)
    if exact is not None:
        return reply.code in exact
    return reply.code < 300 and (verb is not Verb.UNKNOWN or reply.code != 220)

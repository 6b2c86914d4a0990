"""One line, all its findings, one verdict.

Every rule that a line breaks is charged; policy makes a ruling of each; the severest speaks, and among equals
Foreign, Framing, Timing, Order. Judging changes nothing: a line that must wait is judged again when its turn comes.
"""

from typing import NamedTuple

from smtpguard.smtp import order, rules
from smtpguard.smtp.flight import Flight
from smtpguard.smtp.order import Facts
from smtpguard.smtp.policy import ALWAYS_CLOSE, Policy, Ruling
from smtpguard.smtp.syntax import Command
from smtpguard.smtp.verdicts import CLOSE, REFUSE, Rule, Section
from smtpguard.smtp.vocabulary import GROUP_END, State, Verb


class Charge(NamedTuple):
    """One finding about one line."""

    rule: Rule
    ruling: Ruling
    consequence: bool = False


Judgement = tuple[Charge, ...]
"""The charges against a line, the one that speaks first; empty for a line in order. One that policy switched off
leaves no record, but the line is not lawful for that."""


class Circumstances(NamedTuple):
    """When a line was read, as far as rules ask for it."""

    ahead: bool = False
    """Ahead of the reply to its predecessor."""
    predecessor: Verb = Verb.GREETING
    early_hello: bool = False
    """It belongs to the group behind an EHLO that was sent ahead where UPSTREAM offers PIPECONNECT."""
    after_refused_data: bool = False
    behind: bool = False
    """More input was read behind it."""


IN_TIME = Circumstances()
"""Most lines: alone, and behind the reply to their predecessor."""


_SUSPECT = frozenset({Verb.FORBIDDEN, Verb.STARTTLS})
"""Verbs that may break a rule of the other sections though nothing is wrong with the line's time and shape."""

# What follows these is judged by rules of its own: SG201, SG204, SG205, SG206; and commands pipelined behind the
# final dot are in order: it ends no group (RFC 2920 §3.1).
_NO_PREDECESSOR = frozenset({Verb.GREETING, Verb.DATA, Verb.CONTENT, Verb.STARTTLS, Verb.QUIT})


def judge(policy: Policy, facts: Facts, flight: Flight, command: Command, when: Circumstances) -> Judgement:
    """Charge a command line with every rule that it breaks."""
    broken = order.findings(facts, command.verb)
    if flight.astray and not broken and (stray := flight.stray(command)) is not None:
        broken.append(stray)
    if when.ahead or command.flaw is not None or command.bare_lf or command.verb in _SUSPECT:
        broken = [*_foreign(policy, command), *_framing(command), *_timing(facts, command, when), *broken]
    late = when.after_refused_data and command.verb is Verb.UNKNOWN
    if not broken and not late:
        return ()
    innocent = any(flight.is_consequence(rule) or _is_doubtful(rule, when) for rule in broken)
    charges = [
        Charge(
            rule,
            policy.ruling(rule, authenticated=facts.authenticated),
            # One refusal explains all that is out of order with a line: its keywords were refused with the hello, too.
            innocent and rule.section is Section.ORDER,
        )
        for rule in broken
    ]
    if late:
        # The next line after a refused DATA that is no command is the message after all. Safe: UPSTREAM would run it.
        charges.append(Charge(rules.SG204, ALWAYS_CLOSE))
    return weigh(charges)


def _is_doubtful(rule: Rule, when: Circumstances) -> bool:
    """Tell whether a line was sent before CLIENT can have heard the refused greeting or EHLO that puts it out of
    order."""
    return (when.ahead and rule is rules.SG115) or (when.early_hello and rule in _BEHIND_EARLY_HELLO)


_BEHIND_EARLY_HELLO = frozenset({rules.SG101, rules.SG102, rules.SG103})


def judge_sasl(policy: Policy, facts: Facts, command: Command, when: Circumstances) -> Judgement:
    """Charge a line of an authentication exchange, which is opaque but for its framing.

    UPSTREAM waits for this line and for no other, so it cannot be refused alone: a refusal ends the session.
    """
    broken = [*_framing(command)]
    if when.ahead and when.predecessor is Verb.AUTH:
        broken.append(rules.SG203)
    charges = []
    for rule in broken:
        ruling = policy.ruling(rule, authenticated=facts.authenticated)
        if ruling.enforced in (REFUSE, CLOSE):
            ruling = Ruling(CLOSE if ruling.answered else ruling.verdict, CLOSE)
        charges.append(Charge(rule, ruling))
    return weigh(charges)


def charge(policy: Policy, facts: Facts, rule: Rule) -> Judgement:
    """Charge with one rule."""
    return weigh([Charge(rule, policy.ruling(rule, authenticated=facts.authenticated))])


def weigh(charges: list[Charge]) -> Judgement:
    """Put the charge that speaks first."""
    return tuple(sorted(charges, key=lambda one: (-one.ruling.verdict.severity, one.rule.section.rank)))


def _foreign(policy: Policy, command: Command) -> list[Rule]:
    forbidden = command.verb is Verb.FORBIDDEN and command.word not in policy.forwarded_words
    return [rules.SG405] if forbidden else []


def _framing(command: Command) -> list[Rule]:
    broken = [command.flaw] if command.flaw is not None else []
    # A BDAT line in a bare LF is malformed already (SG306).
    if command.bare_lf and command.flaw is not rules.SG306:
        broken.append(rules.SG301)
    return broken


def _timing(facts: Facts, command: Command, when: Circumstances) -> list[Rule]:
    broken = []
    if command.verb is Verb.STARTTLS and when.behind:
        broken.append(rules.SG205)
    if when.ahead and when.predecessor not in _NO_PREDECESSOR and not when.early_hello:
        if not facts.offers(b"PIPELINING"):
            broken.append(rules.SG202)
        if when.predecessor in GROUP_END:
            broken.append(rules.SG203)
    return broken


def may_be_early_hello(facts: Facts, head: bytes) -> bool:
    """Tell whether input held before the greeting is the EHLO that PIPECONNECT allows there."""
    return facts.state is State.AWAITING_GREETING and b"EHLO ".startswith(head[:5].upper())

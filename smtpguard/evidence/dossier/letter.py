"""A host's case -> the letter to its postmaster: subject, body of at most 40 lines, whole transcript.

A postmaster who never heard of smtpguard has to find in it, in this order: who writes and that nothing was done against
his host, what it sent in which state and what the RFC says, the likely cause and its cure, figures to look up in his
own log, one session with the offending line marked, whom to answer. Everything is ASCII, 72 columns wide and plain:
it survives any mail program, ticket system and quotation.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from email.headerregistry import Address
from typing import Final

from smtpguard.evidence.dossier.case import IDS_KEPT, Case, Shown, Tally
from smtpguard.evidence.dossier.lookup import Whereabouts
from smtpguard.evidence.dossier.transcript import excerpt, whole
from smtpguard.evidence.explain import explanation
from smtpguard.evidence.mask import masked
from smtpguard.evidence.wording import COLUMNS, counted, moment, shortened, shown
from smtpguard.smtp import CATALOGUE, Cause, Section

LINES: Final = 40
"""Lines of a body: what a person reads without scrolling twice."""

EXCERPT: Final = 12
"""Lines of the excerpt in the body, at most; it shrinks to what the rest leaves."""

LEAST: Final = 5
"""Lines of the excerpt, at least."""

OTHERS: Final = 3
"""Further rules that have a line of their own, if there is room."""

HELOS: Final = 2
HELO: Final = 44
"""HELO names that are told, and characters of one: two lines hold them."""

_STATES: Final[Mapping[str, str]] = {
    "awaiting-greeting": "before our greeting",
    "refused-greeting": "after our greeting had refused the session",
    "connected": "before an EHLO or HELO was accepted",
    "identified": "with no mail transaction open",
    "envelope": "with MAIL accepted, but no RCPT",
    "recipients": "with MAIL and RCPT accepted",
    "chunking": "between the chunks of a message (BDAT)",
}

_COMMANDS: Final[Mapping[str, str]] = {
    "CONTENT": "message content",
    "UNKNOWN": "a line that is no command",
    "FORBIDDEN": "a command that is not for clients",
    "GREETING": "octets",
    "SASL": "a line of a login",
}

# Words of rules' names that are words of the wire.
_WIRE: Final = re.compile(r"\b(?:mail|rcpt|data|bdat|starttls|auth|ehlo|helo|etrn|quit|http|tls|lf|binarymime)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is said to the postmaster."""

    subject: str
    body: str
    """Lines end in LF; printable ASCII."""
    transcript: str
    """The whole of it; empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who writes."""

    author: Address
    contact: Address
    """Whom to answer."""
    zone: tzinfo
    zone_name: str
    full: bool = False
    """Addresses are not masked."""


def letter(case: Case, where: Whereabouts, example: Shown | None, sender: Sender) -> Letter:
    """Write the letter about a case that has at least one rule broken."""
    lead = case.by_count[0]
    return Letter(
        subject=subject(case, where, sender),
        body=_body(case, lead, where, example, sender),
        transcript="\n".join(whole(example)) + "\n" if example else "",
    )


def subject(case: Case, where: Whereabouts, sender: Sender) -> str:
    """Return the subject; of ASCII letters, digits and signs, whatever the host sent."""
    lead = case.by_count[0]
    since = moment(case.first, sender.zone)[:10]
    name = f" ({where.name})" if where.name else ""
    rule = CATALOGUE.get(lead.rule_id)
    kind = "commands out of order" if rule and rule.section is Section.ORDER else "protocol errors"
    times = f"{_times(lead.count)} {'on' if lead.count == 1 else 'since'}"
    return f"SMTP {kind} from {case.ip}{name}: {_named(lead.rule_id)}, {times} {since}"


def _named(rule_id: str) -> str:
    rule = CATALOGUE.get(rule_id)
    if rule is None:
        return rule_id
    return _WIRE.sub(lambda word: word[0].upper(), rule.name.replace("-", " "))


# --- the body ---------------------------------------------------------------------------------------------------------


def _body(case: Case, lead: Tally, where: Whereabouts, example: Shown | None, sender: Sender) -> str:
    """Lay the body out; where it would be too long, further rules are summed up, and the excerpt is shorter."""
    after = ["", *_farewell(case, example, sender)]
    opening = [*_opening(case, lead, where, sender), *_figures(case, sender)]
    left = LINES - len(opening) - len(after) - 2
    further = next(
        (lines for named in range(OTHERS, 0, -1) if left - len(lines := list(_others(case, lead, named))) >= LEAST),
        list(_others(case, lead, 0)),
    )
    before, room = [*opening, *further], max(1, left - len(further))
    session = ["", *excerpt(lead.rule_id, example, min(EXCERPT, room))] if example else []
    return "\n".join((*before, *session, *after)) + "\n"


def _opening(case: Case, lead: Tally, where: Whereabouts, sender: Sender) -> list[str]:
    return [*_greeting(case, where, sender), "", *_happened(case, lead), "", *_cause(lead), ""]


def _wrapped(text: str, first: str = "", behind: str | None = None) -> list[str]:
    return textwrap.wrap(
        shown(text.replace("§", "section ")),
        COLUMNS,
        initial_indent=first,
        subsequent_indent=first if behind is None else behind,
        break_on_hyphens=False,
    )


def _greeting(case: Case, where: Whereabouts, sender: Sender) -> Iterator[str]:
    """Say who we are, and what was done."""
    name = f" ({where.name})" if where.name else ""
    yield from _wrapped(f"To the postmaster of {case.ip}{name}:")
    yield ""
    yield from _wrapped(
        f"We run the mail server at {sender.author.domain}. Your host makes mistakes in SMTP when it talks to us, "
        f"which you may want to mend. No action was taken against it: it is not blocked. {_done(case)}"
    )


def _done(case: Case) -> str:
    """Say what became of what was out of place."""
    closed = case.done["close"]
    answered = case.done["refuse"] + closed
    if not answered:
        return "We refused nothing and only took note."
    codes = " or ".join(code for code, _ in case.answers.most_common(2))
    ends = f"; {_times(closed)} we ended the session with that" if closed else ""
    noted = f" {_times(case.findings - answered).capitalize()} we only took note." if case.findings > answered else ""
    return f"What was out of place was answered {codes or 'by us'} and not carried out{ends}.{noted}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _happened(case: Case, lead: Tally) -> list[str]:
    """Say what was sent in which state, and what the RFC says."""
    rule = CATALOGUE.get(lead.rule_id)
    sent = ""
    if lead.situations:
        (command, state), _ = lead.situations.most_common(1)[0]
        what = _COMMANDS.get(command, shown(command))
        sent = f"{case.ip} sent {what} {_STATES.get(state, shown(state))}: "
    situation = rule.situation if rule else lead.rule_id
    lines = _wrapped(f"{sent}{situation}.")
    return lines + (_wrapped(explanation(rule.id).says) if rule else [])


def _cause(lead: Tally) -> list[str]:
    """Say the likely cause and the usual cure."""
    rule = CATALOGUE.get(lead.rule_id)
    cause = _likely(lead.causes)
    meaning = cause.meaning if cause else "not known; the session below tells more."
    cure = cause.cure if cause else rule.cure if rule else "Compare the session with RFC 5321 §4.1.4."
    return _wrapped(f"Likely cause: {meaning}", "", "  ") + _wrapped(f"Cure: {cure}", "", "  ")


def _likely(causes: Counter[str]) -> Cause | None:
    """Return the cause that was named most often, if one was."""
    known = {cause.value: cause for cause in Cause if cause is not Cause.UNKNOWN}
    return next((known[name] for name, _ in causes.most_common() if name in known), None)


def _figures(case: Case, sender: Sender) -> Iterator[str]:
    zone = f" ({sender.zone_name})"
    yield f"  first seen  {moment(case.first, sender.zone, digits=0)}{zone}"
    yield f"  last seen   {moment(case.last, sender.zone, digits=0)}{zone}"
    share = f"{100 * case.affected / case.sessions:.3g} %" if case.sessions else ""
    yield f"  sessions    {case.affected} of {case.sessions} affected ({share}), {counted(case.findings, 'mistake')}"
    yield from _wrapped(_helos(case, sender), "  HELO names  ", " " * 14)
    yield f"  TLS         in {case.encrypted} of {case.sessions} sessions"
    if ways := {way for way, _ in case.peers}:
        yield f"  address     as our load balancer told it ({', '.join(sorted(ways))})"


def _helos(case: Case, sender: Sender) -> str:
    names = [name if sender.full else masked(name) for name, _ in case.helos.most_common(HELOS)]
    more = len(case.helos) - len(names)
    text = ", ".join(shortened(name, HELO) for name in names) or "none"
    return text + (f" and {more} more" if more > 0 else "")


def _others(case: Case, lead: Tally, named: int) -> Iterator[str]:
    others = [tally for tally in case.by_count if tally is not lead]
    for tally in others[:named]:
        rule = CATALOGUE.get(tally.rule_id)
        reference = f" ({rule.reference.split(';')[0].split(',')[0]})" if rule else ""
        (line, *_) = _wrapped(f"{_named(tally.rule_id)}{reference}, {_times(tally.count)}", "  also        ")
        yield line
    if more := others[named:]:
        yield f"  also        {counted(len(more), 'more kind')}, {_times(sum(each.count for each in more))}"


def _farewell(case: Case, example: Shown | None, sender: Sender) -> list[str]:
    named = list(dict.fromkeys([*([example.told.id] if example else []), *reversed(case.ids)]))[:IDS_KEPT]
    ids = ", ".join(named)
    more = f" and {case.affected - len(named)} more" if case.affected > len(named) else ""
    whole = " The whole of it is in transcript.txt." if example and example.whole else ""
    return _wrapped(
        f"Our ids of affected sessions: {ids}{more}.{whole} Please answer to {sender.contact.addr_spec}, "
        "naming one of them; we gladly look up more."
    )

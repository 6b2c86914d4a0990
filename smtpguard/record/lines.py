"""Events -> lines of the operator log, in Postfix's shape, so that pflogsumm, fail2ban and an administrator's eyes
read them.

A clean session is one line at level info, `disconnect from`; what else there is to say about it is debug. What a
finding's line begins with says who spoke:

    NOQUEUE: reject:          smtpguard answered; fail2ban may look at it, pflogsumm counts it
    NOQUEUE: reject_warning:  recorded, where mode enforce would have answered (Postfix's word for warn_if_reject)
    NOQUEUE: note:            recorded, nothing else; neither tool knows the word, so neither blames CLIENT
    NOQUEUE: consequence:     answered, but CLIENT is not to blame (RFC 2920 §3.1); debug
    NOQUEUE: declined:        a lawful command that a setting declines; debug
    warning: upstream         UPSTREAM failed; SG501, which every session meets while it is down, is summed per tick

Behind `;` stand fields, key=value in fixed order, values with blanks in `<...>`; `action` is always the last, because
the fail2ban filter ends in it. The lines `connect`, `too many errors`, `lost connection`, `timeout` and `disconnect`
are Postfix's to the letter: the stock patterns end in `$`. There is no reverse DNS, so the host is
`unknown[IP]:PORT`.

Wire text passes through `escape`; nothing here knows loguru.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from smtpguard.record.clock import elapsed
from smtpguard.record.escape import bracketed, clean, quoted
from smtpguard.record.shapes import protocol
from smtpguard.smtp import Close, Declined, Finding, Link, Section, SessionEnded, State, Verb, Verdict, Waiting


class Level(IntEnum):
    """Severity, with loguru's and logging's numbers."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40

    @property
    def priority(self) -> int:
        """The number of syslog and journald (RFC 5424 §6.2.1)."""
        return _PRIORITIES[self]


_PRIORITIES: Final = {Level.DEBUG: 7, Level.INFO: 6, Level.WARNING: 4, Level.ERROR: 3}


class Line(NamedTuple):
    """One line, without prefix and line end: printable ASCII."""

    at: float
    """Seconds since the epoch: when it happened, not when it was written."""
    level: Level
    text: str
    link: Link | None = None
    rule_id: str = ""


DETAIL_SHOWN: Final = 256
"""Characters of our own or the system's remark in one line."""

_SPOKEN_OF: Final = {Verb.GREETING: "CONNECT", Verb.CONTENT: "END-OF-MESSAGE", Verb.SASL: "AUTH"}
"""Postfix's words for what is no command."""

_POSTFIX_ORDER: Final = (
    Verb.HELO, Verb.EHLO, Verb.STARTTLS, Verb.AUTH, Verb.MAIL, Verb.RCPT, Verb.DATA, Verb.BDAT, Verb.BURL,
    Verb.RSET, Verb.NOOP, Verb.VRFY, Verb.EXPN, Verb.HELP, Verb.ETRN, Verb.QUIT, Verb.FORBIDDEN, Verb.UNKNOWN,
)  # fmt: skip

_COLUMN: Final = {verb: (column, verb.value.lower()) for column, verb in enumerate(_POSTFIX_ORDER)}

_ACTIONS: Final = {Verdict.NOTE: "relayed", Verdict.REFUSE: "answered", Verdict.CLOSE: "closed"}
_CONTENT, _VERDICT = Waiting.CONTENT.value, Waiting.VERDICT.value
_FACT: Final = "SG505"
_DEADLINES: Final = frozenset({"SG603", "SG604", "SG605"})
"""Said once, by `timeout after`, at the session's end."""
_TOO_MANY: Final = "SG601"
SUMMED: Final = "SG501"


def host(link: Link) -> str:
    """Return the client as Postfix names it."""
    return f"unknown[{link.client_ip}]:{link.client_port}"


def started(link: Link, at: float) -> Line:
    """CLIENT was accepted."""
    return Line(at, Level.DEBUG, f"connect from {host(link)}", link)


def found(link: Link, at: float, finding: Finding) -> Line:
    """A rule fired."""
    level, word = _weight(finding)
    if level is Level.WARNING:
        text = f"warning: upstream {link.upstream}: {_remark(finding)}; client={host(link)} {_fields(link, finding)}"
    else:
        text = f"NOQUEUE: {word}: {_reason(host(link), finding)} {_fields(link, finding)}"
    return Line(at, level, text, link, finding.rule.id)


def _weight(finding: Finding) -> tuple[Level, str]:
    """Return how loud a finding is, and the word for it."""
    rule = finding.rule
    if finding.consequence:
        return Level.DEBUG, "consequence"
    if rule.section is Section.UPSTREAM:
        if rule.id == SUMMED:
            return Level.DEBUG, "note"
        return (Level.INFO, "note") if rule.id == _FACT else (Level.WARNING, "warning")
    if rule.id in _DEADLINES:
        return Level.DEBUG, "note"
    if finding.verdict in (Verdict.REFUSE, Verdict.CLOSE):
        return Level.INFO, "reject"
    enforced = finding.enforced in (Verdict.REFUSE, Verdict.CLOSE)
    return Level.INFO, "reject_warning" if enforced else "note"


def _remark(finding: Finding) -> str:
    detail = clean(finding.detail, DETAIL_SHOWN)
    return f"{finding.rule.name}: {detail or finding.rule.situation}"


def _reason(client: str, finding: Finding) -> str:
    """`DATA from HOST: 503 5.5.1 <DATA>: text;`, with the answer that was given or that enforce would have given."""
    verb, answer = finding.verb, finding.answer or finding.rule.answer
    line = quoted(finding.line) if finding.line else ""
    # pflogsumm takes for MAIL what stands between the code and the first colon for the reason: the line goes behind.
    before, behind = ("", f" line={line}") if verb is Verb.MAIL and line else (f"{line}: " if line else "", "")
    code = f"{answer.code} {answer.enhanced} " if answer else ""
    text = answer.text if answer else finding.rule.situation
    return f"{_SPOKEN_OF.get(verb, verb.value)} from {client}: {code}{before}{text};{behind}"


def _fields(link: Link, finding: Finding) -> str:
    proto = protocol(finding.esmtp, finding.tls, finding.authenticated)
    hello = f"helo={quoted(finding.hello)} " if finding.hello else ""
    detail = f"detail={_angled(finding.detail)} " if finding.detail else ""
    action = "closed" if finding.rule.section is Section.UPSTREAM and finding.answer else _ACTIONS[finding.verdict]
    return (
        f"proto={proto} {hello}session={link.session_id} listener={_angled(link.listener)} state={finding.state.value} "
        f"rule={finding.rule.id} cause={finding.cause.value} seq={finding.sequence} count={finding.violations} "
        f"{detail}action={action}"
    )


def _angled(text: str) -> str:
    return bracketed(clean(text, DETAIL_SHOWN))


def declined(link: Link, at: float, event: Declined) -> Line:
    """A setting declined a lawful command: most sessions of a site without TLS meet it, so it is debug."""
    answer = event.answer
    text = (
        f"NOQUEUE: declined: {event.verb.value} from {host(link)}: {answer.code} {answer.enhanced} {answer.text}; "
        f"session={link.session_id} listener={_angled(link.listener)} state={event.state.value} "
        f"setting={event.setting} seq={event.sequence} action=answered"
    )
    return Line(at, Level.DEBUG, text, link)


def inspection_ended(link: Link, at: float) -> Line:
    """STARTTLS went through."""
    return Line(at, Level.DEBUG, f"session {link.session_id}: inspection ended at STARTTLS", link)


def ended(  # noqa: PLR0913 - what the session was given so far is two values
    link: Link, at: float, event: SessionEnded, *, threshold: Level, noticed: bool, held_back: Mapping[str, int]
) -> Iterator[Line]:
    """Yield the lines of a session's end.

    Args:
        link: who.
        at: when.
        event: the sum of the session.
        threshold: milder lines are not made: this is the one call of every session.
        noticed: a line of this session at info or louder was written: then its sum is, too.
        held_back: rule id -> findings that had no line of their own.
    """
    level = Level.DEBUG if event.probe else Level.INFO
    if held_back:
        rules = " ".join(f"{rule_id}={count}" for rule_id, count in sorted(held_back.items()))
        yield Line(at, Level.INFO, f"session {link.session_id}: {sum(held_back.values())} more findings: {rules}", link)
    if level >= threshold:
        if word := _farewell(event):
            yield Line(at, level, f"{word} after {_last_word(event)} from {host(link)}", link)
        yield Line(at, level, f"disconnect from {host(link)}{_commands(event)}", link)
    if noticed or threshold is Level.DEBUG:
        yield Line(at, level if noticed else Level.DEBUG, _sum(link, at, event), link)


def _farewell(event: SessionEnded) -> str:
    if event.close is Close.CLIENT_GONE:
        return "lost connection"
    if event.close is Close.DEADLINE and _DEADLINES & event.rules.keys():
        return "timeout"
    return "too many errors" if event.close is Close.LIMIT and _TOO_MANY in event.rules else ""


def _last_word(event: SessionEnded) -> str:
    """What Postfix would name: the last command, with the end of a message for DATA that went through."""
    if event.waiting_for == _CONTENT:
        return "DATA"
    if event.waiting_for == _VERDICT:
        return "END-OF-MESSAGE"
    if event.last_verb is None:
        return "CONNECT"
    accepted, said = event.commands.get(Verb.DATA, (0, 1))
    if event.last_verb is Verb.DATA and accepted == said and event.state is State.IDENTIFIED:
        return "END-OF-MESSAGE"
    return event.last_verb.value


def _commands(event: SessionEnded) -> str:
    """` ehlo=1 rcpt=0/1 commands=1/2`: accepted/said, one number where they are equal."""
    accepted_of_all = said_of_all = 0
    words = []
    for (_, word), (accepted, said) in sorted([(_COLUMN[verb], counts) for verb, counts in event.commands.items()]):
        accepted_of_all += accepted
        said_of_all += said
        words.append(_count(word, accepted, said))
    return "".join(words) + _count("commands", accepted_of_all, said_of_all)


def _count(word: str, accepted: int, said: int) -> str:
    return f" {word}={said}" if accepted == said else f" {word}={accepted}/{said}"


def _sum(link: Link, at: float, event: SessionEnded) -> str:
    visible = "none" if event.not_smtp else "until-starttls" if event.opaque else "full"
    return (
        f"session {link.session_id}: listener={_angled(link.listener)} upstream={_angled(link.upstream)} "
        f"tls={'yes' if event.tls else 'no'} visible={visible} violations={event.violations} "
        f"in={event.octets_in} out={event.octets_out} secs={elapsed(link.started, at):.1f} close={event.close.value} "
        f"consequences={event.consequences} helo={quoted(event.hello)}{_way_in(link)}"
    )


def _way_in(link: Link) -> str:
    """Tell how the client's address came, and who connected, where that was not the client itself."""
    peer = f" peer=[{link.peer_ip}]:{link.peer_port}" if link.peer_ip else ""
    return "" if link.via == "direct" else f" via={link.via}{peer}"


def unreachable(at: float, upstream: str, detail: str, sessions: int) -> Line:
    """Sum up the sessions of one tick that UPSTREAM could not be had for."""
    why = clean(detail, DETAIL_SHOWN) or "unreachable"
    text = f"warning: upstream {upstream}: {why}; {sessions} session{'' if sessions == 1 else 's'} answered 421"
    return Line(at, Level.WARNING, text, rule_id=SUMMED)

"""What there is to say about one host: the figures behind a letter to its postmaster, and the session that shows it.

Only what counts against the client is counted (`store.blamed`): no consequence of a pipelined refusal, nothing that is
UPSTREAM's fault, no limit of ours. Sessions of another protocol are counted apart: nobody who runs a mail server is
helped by a letter about them.

Sessions are read one by one and not kept, but for the latest of each rule, so a host may have had a million.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from smtpguard.evidence.explain import Speaker
from smtpguard.evidence.mask import masked, masked_all
from smtpguard.evidence.show.tale import Charge, Said, Tale, tale
from smtpguard.evidence.store import StoredSession, at, blamed, blames
from smtpguard.evidence.wording import shown
from smtpguard.record import FindingRecord

IDS_KEPT: Final = 5
"""Session ids that a letter names; the latest."""

HELO_KEPT: Final = 1000
"""HELO names that are told apart; a host with more has one for each session."""


@dataclass(slots=True)
class Tally:
    """One rule that the host broke."""

    rule_id: str
    latest: StoredSession
    count: int = 0
    sessions: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    situations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(verb, state before it) -> how often."""
    told: dict[str, StoredSession] = field(default_factory=dict)
    """Cause -> the latest session that has a transcript and shows it."""

    @property
    def example(self) -> StoredSession:
        """The session to show: the latest that shows the commonest cause, else the latest of all."""
        return next((self.told[cause] for cause, _ in self.causes.most_common() if cause in self.told), self.latest)


@dataclass(slots=True)
class Case:
    """All that is held against one host, and what it did besides."""

    ip: str
    sessions: int = 0
    """Of SMTP."""
    foreign: int = 0
    """Sessions of another protocol."""
    affected: int = 0
    """Sessions in which a rule was broken."""
    encrypted: int = 0
    helos: Counter[str] = field(default_factory=Counter)
    tallies: dict[str, Tally] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0
    """When a rule was broken, in seconds since the epoch; 0: none was."""
    done: Counter[str] = field(default_factory=Counter)
    """`refuse`, `close`, `note` -> how often."""
    answers: Counter[str] = field(default_factory=Counter)
    """What smtpguard answered, code and enhanced code -> how often."""
    ids: list[str] = field(default_factory=list)
    """Of affected sessions, the latest last; at most `IDS_KEPT`."""
    peers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(how the address came, who connected) -> sessions, where that was not the client itself."""
    guards: Counter[str] = field(default_factory=Counter)
    """Hosts that a guard ran on."""

    @property
    def by_count(self) -> list[Tally]:
        """The rules, the one that was broken most often first."""
        return sorted(self.tallies.values(), key=lambda tally: (-tally.count, tally.rule_id))

    @property
    def findings(self) -> int:
        """How often a rule was broken."""
        return sum(tally.count for tally in self.tallies.values())


def case_of(ip: str, sessions: Iterable[StoredSession]) -> Case:
    """Read the sessions of a host."""
    case = Case(ip)
    for session in sessions:
        _count_session(case, session)
    return case


def _count_session(case: Case, session: StoredSession) -> None:
    end = session.end
    if end is not None and end.smtp.visible == "none":
        case.foreign += 1
        return
    case.sessions += 1
    _count_ways(case, session)
    broken = _broken(session)
    if broken:
        case.affected += 1
        case.ids = [*case.ids, shown(session.id)][-IDS_KEPT:]
    for rule_id, count in broken.items():
        tally = case.tallies.setdefault(rule_id, Tally(rule_id, session))
        tally.count += count
        tally.sessions += 1
        tally.latest = session
    for finding in filter(blamed, session.findings):
        _count_finding(case, finding)
        _keep_example(case, session, finding)
    if broken and not session.findings and end is not None:
        _seen(case, at(end.timestamp))


def _keep_example(case: Case, session: StoredSession, finding: FindingRecord) -> None:
    assert finding.rule is not None
    if session.end is not None and any(finding.rule.id in line.rules for line in session.end.smtp.transcript):
        case.tallies[shown(finding.rule.id)].told[finding.smtp.cause or ""] = session


def _broken(session: StoredSession) -> Counter[str]:
    """Return rule -> how often it was broken. The session's end has all; of what is noted 20 a rule are events too."""
    broken = Counter(finding.rule.id for finding in session.findings if finding.rule and blamed(finding))
    if session.end is not None:
        broken |= Counter({each: count for each, count in session.end.smtp.rules.items() if blames(each)})
    return Counter({shown(rule_id): count for rule_id, count in broken.items()})


def _count_ways(case: Case, session: StoredSession) -> None:
    """Count how the session came: its HELO name, its encryption, its balancer."""
    end, latest = session.end, session.findings[-1] if session.findings else None
    helo = end.smtp.helo if end else (latest.smtp.helo or "" if latest else "")
    if helo and (helo in case.helos or len(case.helos) < HELO_KEPT):
        case.helos[shown(helo)] += 1
    encrypted = end is not None and (end.smtp.proto in ("ESMTPS", "ESMTPSA") or end.smtp.visible == "until-starttls")
    case.encrypted += encrypted or bool(
        latest and (latest.smtp.session.tls_before or (latest.tls and latest.tls.established))
    )
    part = end.smtp.session if end else (latest.smtp.session if latest else None)
    if part is not None and part.peer is not None:
        case.peers[shown(part.via), shown(part.peer.ip)] += 1


def _count_finding(case: Case, finding: FindingRecord) -> None:
    assert finding.rule is not None
    tally, smtp, born = case.tallies[shown(finding.rule.id)], finding.smtp, at(finding.timestamp)
    tally.causes[smtp.cause or ""] += 1
    tally.situations[smtp.command, smtp.state] += 1
    _seen(case, born)
    case.done[smtp.verdict or ""] += 1
    if smtp.response:
        case.answers[f"{smtp.response.code} {shown(smtp.response.enhanced)}"] += 1
    case.guards[shown(finding.observer.hostname)] += 1


def _seen(case: Case, born: float) -> None:
    case.first, case.last = min(case.first or born, born), max(case.last, born)


# --- the session that is shown ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A session as it leaves the house."""

    told: Tale
    whole: bool
    """False: no transcript was kept, and the lines are those that the finding itself remembers."""


def example(tally: Tally, *, full: bool) -> Shown | None:
    """Return the session that shows a rule broken, its addresses masked unless `full`; None: only sums are left."""
    told = tale(tally.example)
    whole = bool(told.lines)
    if not whole:
        told = replace(told, lines=tuple(_remembered(tally, told)), unplaced=())
    return Shown(told=told if full else _masked(told), whole=whole) if told.lines else None


def _masked(told: Tale) -> Tale:
    texts = masked_all((said.speaker is Speaker.CLIENT, said.text) for said in told.lines)
    lines = tuple(replace(said, text=text) for said, text in zip(told.lines, texts, strict=True))
    return replace(told, lines=lines, helo=masked(told.helo))


def _remembered(tally: Tally, told: Tale) -> Iterator[Said]:
    """Yield what a finding says of the conversation: the command before, its reply, the line at fault, our answer."""
    pairs = list(zip(tally.example.findings, told.findings, strict=True))
    of_rule = [(record, charge) for record, charge in pairs if charge.rule_id == tally.rule_id and charge.blames_client]
    if not of_rule:
        return
    record, charge = of_rule[-1]
    after = max(0.0, (charge.at or told.began) - told.began)
    smtp = record.smtp
    if smtp.previous:
        if smtp.previous.command != "GREETING":
            yield Said(after=after, speaker=Speaker.CLIENT, text=shown(smtp.previous.command))
        reply = f"{smtp.previous.reply_code} {shown(smtp.previous.reply_text)}"
        yield Said(after=after, speaker=Speaker.UPSTREAM, text=reply)
    yield _at_fault(record, charge, after)
    if smtp.response:
        answer = f"{smtp.response.code} {smtp.response.enhanced} {smtp.response.text} [{tally.rule_id} {told.id}]"
        yield Said(after=after, speaker=Speaker.GUARD, text=shown(answer))


def _at_fault(record: FindingRecord, charge: Charge, after: float) -> Said:
    text = shown(record.smtp.line or "") or f"[{shown(record.smtp.command).lower()}]"
    return Said(after=after, speaker=Speaker.CLIENT, text=text, charges=(charge,))

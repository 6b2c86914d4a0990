"""The sessions of the audit under other rules: what was recorded, and what the proposed rules give.

A session whose transcript is whole is played; all others are looked up (see `replay`). A play that does not find what
was recorded is not believed, for then the transcript does not hold what mattered, and the session is looked up as well.
Facts about UPSTREAM and limits (SG5xx, SG6xx) are looked up in any case: no transcript holds what made them.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from smtpguard.evidence.judge.judge import Judged, Terms, judge, terms_of
from smtpguard.evidence.replay.replay import (
    Book,
    Played,
    Ruled,
    Ruling,
    Seen,
    ruled_by_table,
    ruling_of,
    widened,
    with_the_rest,
)
from smtpguard.evidence.replay.transcript import items_of
from smtpguard.evidence.store import Record, at
from smtpguard.record import FindingRecord, SessionEndRecord
from smtpguard.smtp import CATALOGUE, Section

OPEN_MAX: Final = 100_000
"""Sessions whose end was not read yet; a guard that was killed leaves some for ever."""

_LOOKED_UP: Final = frozenset({Section.UPSTREAM, Section.LIMITS})


@dataclass(slots=True)
class _Session:
    findings: list[FindingRecord] = field(default_factory=list)


class AuditSessions:
    """Reads events, and rules on each session anew when its end was read.

    Args:
        source: what the events are from, for messages.
        events: findings and ends, the findings of a session before its end.
        proposed: the other rules.
        listener: whose rules these are; empty: each session's own.
    """

    def __init__(self, source: str, events: Iterable[Record], proposed: Book, listener: str = "") -> None:
        self._source = source
        self._events = events
        self._proposed = proposed
        self._listener = listener
        self._open: OrderedDict[str, _Session] = OrderedDict()
        self._prepared: dict[str, Terms] = {}

    def __iter__(self) -> Iterator[Played]:
        """Yield each session."""
        for event in self._events:
            session_id = event.smtp.session.id
            if isinstance(event, SessionEndRecord):
                yield self._played(session_id, self._open.pop(session_id, _Session()), event)
            elif event.rule is not None:
                self._open.setdefault(session_id, _Session()).findings.append(event)
                if len(self._open) > OPEN_MAX:
                    yield self._played(*self._open.popitem(last=False), None)
        while self._open:
            yield self._played(*self._open.popitem(last=False), None)

    def _played(self, session_id: str, session: _Session, end: SessionEndRecord | None) -> Played:
        some: FindingRecord | SessionEndRecord = end or session.findings[0]
        listener = self._listener or some.observer.name
        now = _recorded(session.findings, end)
        seen, proposed = self._ruled(self._judged(session, end, listener), listener, now)
        began = at(some.timestamp) - (end.smtp.secs if end is not None else 0.0)
        return Played(
            source=self._source,
            name=session_id,
            host=some.source.ip,
            port=some.source.port,
            at=began,
            listener=listener,
            seen=seen,
            now=now,
            proposed=proposed,
        )

    def _ruled(self, judged: Judged | None, listener: str, now: Ruling) -> tuple[Seen, Ruling]:
        policy = self._proposed.policy(listener)
        if judged is None or not _tells(judged, now):
            return "by-table", Ruling(ruled_by_table(now.findings, policy), now.consequences)
        found = ruling_of(judged, policy)
        known = tuple(one for one in found.findings if not _is_looked_up(one))
        looked_up = ruled_by_table(filter(_is_looked_up, now.findings), policy)
        seen: Seen = "until-starttls" if judged.opaque_from is not None else "whole"
        return seen, Ruling((*known, *looked_up), found.consequences)

    def _judged(self, session: _Session, end: SessionEndRecord | None, listener: str) -> Judged | None:
        """Play the session's transcript, if there is a whole one."""
        if end is None or not end.smtp.transcript or end.smtp.omitted:
            return None
        ahead = {(_rule(finding), finding.smtp.line or "") for finding in session.findings if finding.smtp.pipelined}
        return judge(items_of(end.smtp.transcript, ahead), self._terms(listener), start=True)

    def _terms(self, listener: str) -> Terms:
        """Return the same rules with nothing off: what was recorded may be off now."""
        if listener not in self._prepared:
            self._prepared[listener] = terms_of(widened(self._proposed.policy(listener)))
        return self._prepared[listener]


def _recorded(findings: Iterable[FindingRecord], end: SessionEndRecord | None) -> Ruling:
    ruled, consequences = list[Ruled](), 0
    for finding in findings:
        if finding.smtp.consequence:
            consequences += 1
        else:
            smtp = finding.smtp
            ruled.append(Ruled(_rule(finding), smtp.verdict or "note", smtp.command_number, smtp.line or ""))
    kept = Counter(one.rule for one in ruled)
    counted = Counter(end.smtp.rules if end is not None else {})
    return Ruling(tuple(with_the_rest(ruled, counted - kept)), consequences)


def _rule(finding: FindingRecord) -> str:
    assert finding.rule is not None, "what a setting declined is not kept"
    return finding.rule.id


def _tells(judged: Judged, now: Ruling) -> bool:
    """Tell whether a play found at least what was recorded."""
    found = Counter(one.finding.rule.id for one in judged.findings if not one.finding.consequence)
    recorded = Counter(one.rule for one in now.findings if not _is_looked_up(one))
    return all(found[rule] >= count for rule, count in recorded.items())


def _is_looked_up(one: Ruled) -> bool:
    rule = CATALOGUE.get(one.rule)
    return rule is None or rule.section in _LOOKED_UP

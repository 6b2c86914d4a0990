"""What came of all replayed sessions, in sums: by host, rule and both verdicts.

Memory is bounded however many sessions there are: so many rows, so many changed sessions that are named; the counts go
on.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from smtpguard.evidence.replay.replay import OFF, UNREACHED, Change, Played, pairs
from smtpguard.smtp import CATALOGUE, Section

ROWS_MAX: Final = 50_000
"""Rows that are counted apart; what goes beyond is summed under `OTHERS`."""

CHANGES_KEPT: Final = 1000
"""Changed sessions that are named."""

OTHERS: Final = "others"


class Row(NamedTuple):
    """What is counted together."""

    host: str
    rule: str
    now: str
    proposed: str

    @property
    def changed(self) -> bool:
        """True if the verdicts differ."""
        return self.now != self.proposed


@dataclass(slots=True)
class Summary:
    """What came of all sessions; memory is bounded however many there are."""

    sessions: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """How far sessions were judged."""
    findings: Counter[Row] = field(default_factory=Counter)
    affected: Counter[Row] = field(default_factory=Counter)
    """Sessions that have such a finding."""
    consequences: int = 0
    """Under the proposed rules."""
    changed_sessions: int = 0
    changes: list[tuple[Played, tuple[Change, ...]]] = field(default_factory=list)
    """The first `CHANGES_KEPT` sessions with a changed verdict."""
    hosts: set[str] = field(default_factory=set)
    first: float | None = None
    last: float | None = None
    remarks: Counter[str] = field(default_factory=Counter)

    def add(self, played: Played) -> None:
        """Count one session."""
        self.sessions += 1
        self.seen[played.seen] += 1
        self.consequences += played.proposed.consequences
        if len(self.hosts) < ROWS_MAX:
            self.hosts.add(played.host)
        if played.at is not None:
            self.first = played.at if self.first is None else min(self.first, played.at)
            self.last = played.at if self.last is None else max(self.last, played.at)
        both = list(pairs(played))
        rows = Counter[Row]()
        for change in both:
            rows[self._row(played.host, change)] += change.times
        self.findings.update(rows)
        self.affected.update(rows.keys())
        changed = tuple(change for change in both if change.changed)
        if changed:
            self.changed_sessions += 1
            if len(self.changes) < CHANGES_KEPT:
                self.changes.append((played, changed))

    def _row(self, host: str, change: Change) -> Row:
        row = Row(host, change.proposed.rule, change.now.verdict, change.proposed.verdict)
        if row in self.findings or len(self.findings) < ROWS_MAX:
            return row
        return row._replace(host=OTHERS)

    def rows(self) -> list[Row]:
        """Return all rows, the changed ones first, then by findings."""
        return sorted(self.findings, key=lambda row: (not row.changed, -self.findings[row], row))

    @property
    def changed_findings(self) -> int:
        """Findings with another verdict."""
        return sum(count for row, count in self.findings.items() if row.changed)


def meets(summary: Summary, wanted: str) -> bool:
    """Tell whether something was found that `wanted` asks for: a rule's id, `change`, `violation` or `any`.

    Findings count by their proposed verdict; a violation is what is refused or closes, and blames CLIENT.
    """
    rows = [row for row in summary.findings if row.proposed not in (OFF, UNREACHED)]
    match wanted:
        case "change":
            return summary.changed_findings > 0
        case "any":
            return bool(rows)
        case "violation":
            return any(row.proposed in ("refuse", "close") and _blames(row.rule) for row in rows)
        case _:
            return any(row.rule == wanted for row in rows)


def _blames(rule_id: str) -> bool:
    rule = CATALOGUE.get(rule_id)
    return rule is not None and rule.section not in (Section.UPSTREAM, Section.LIMITS)

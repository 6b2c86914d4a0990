"""Hours of a report -> stretches of time that fit an axis and a table: hours, days or weeks of the wall clock."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from smtpguard.evidence.report.figures import Report

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

LONGEST_BY_HOUR: Final = timedelta(days=2)
LONGEST_BY_DAY: Final = timedelta(days=62)

PANELS: Final = 6
"""Rules that have a series of their own; the others have one together."""

OTHERS: Final = "other rules"


class Stretch(NamedTuple):
    """The sessions of one stretch of time."""

    name: str
    sessions: int
    affected: int

    @property
    def in_order(self) -> float | None:
        """Return the per cent in order; None: there was no session."""
        return 100 * (self.sessions - self.affected) / self.sessions if self.sessions else None


class Stretches(NamedTuple):
    """All of them, without a gap, and the findings of each by rule."""

    unit: str
    """hour, day or week."""
    sessions: tuple[Stretch, ...]
    rules: Mapping[str, tuple[int, ...]]
    """Rule id, the one with most findings first, or `OTHERS` -> findings in each stretch."""


def stretches(report: Report) -> Stretches:
    """Cut the time that the audit covers."""
    zone = report.scope.period.zone
    first, last = (datetime.fromtimestamp(at, zone).replace(tzinfo=None) for at in report.covered)
    unit, step = _unit(last - first)
    names = {begin: _name(begin, unit) for begin in _begins(first, last, step, unit)}
    sessions = dict.fromkeys(names, (0, 0))
    for hour in report.hours:
        begin = _floor(hour.begins, unit)
        known, affected = sessions.get(begin, (0, 0))
        sessions[begin] = (known + hour.sessions, affected + hour.affected)
        names.setdefault(begin, _name(begin, unit))
    order = sorted(sessions)
    return Stretches(
        unit,
        tuple(Stretch(names[begin], *sessions[begin]) for begin in order),
        _by_rule(report, unit, order),
    )


def week(report: Report) -> list[list[int]]:
    """Return the findings of each hour of each weekday, Monday first."""
    counts = [[0] * 24 for _ in range(7)]
    for hour in report.rule_hours:
        counts[hour.begins.weekday()][hour.begins.hour] += hour.findings
    return counts


def _by_rule(report: Report, unit: str, order: Sequence[datetime]) -> dict[str, tuple[int, ...]]:
    place = {begin: number for number, begin in enumerate(order)}
    totals: dict[str, int] = {}
    for hour in report.rule_hours:
        totals[hour.rule] = totals.get(hour.rule, 0) + hour.findings
    ranked = sorted(totals, key=lambda rule: (-totals[rule], rule))
    own = set(ranked if len(ranked) <= PANELS + 1 else ranked[:PANELS])
    series: dict[str, list[int]] = {rule: [0] * len(order) for rule in ranked if rule in own}
    for hour in report.rule_hours:
        at = place.get(_floor(hour.begins, unit))
        if at is not None:
            series.setdefault(hour.rule if hour.rule in own else OTHERS, [0] * len(order))[at] += hour.findings
    return {rule: tuple(counts) for rule, counts in series.items()}


def _unit(length: timedelta) -> tuple[str, timedelta]:
    if length <= LONGEST_BY_HOUR:
        return "hour", _HOUR
    return ("day", _DAY) if length <= LONGEST_BY_DAY else ("week", 7 * _DAY)


def _floor(time: datetime, unit: str) -> datetime:
    if unit == "hour":
        return time.replace(minute=0, second=0, microsecond=0)
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if unit == "day" else midnight - midnight.weekday() * _DAY


def _begins(first: datetime, last: datetime, step: timedelta, unit: str) -> Iterator[datetime]:
    begin = _floor(first, unit)
    while begin < last:
        yield begin
        begin += step


def _name(begin: datetime, unit: str) -> str:
    return begin.strftime("%m-%d %H:00" if unit == "hour" else "%Y-%m-%d")

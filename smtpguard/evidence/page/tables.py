"""The tables of the page: who and what, and, of rules and causes, what cures them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from smtpguard.evidence.report.figures import By, Report, Row
from smtpguard.evidence.report.words import HEADINGS, named, percent, remedy, rule_cure, situation, thousands, title
from smtpguard.evidence.wording import shown


class Head(NamedTuple):
    """The head of a column; `looks` is a class of the style sheet."""

    text: str
    looks: str = ""


class Grid(NamedTuple):
    """A table."""

    caption: str
    head: tuple[Head, ...]
    rows: Sequence[tuple[str, ...]]


class Part(NamedTuple):
    """A table with a heading."""

    id: str
    title: str
    text: str
    table: Grid
    cures: Sequence[tuple[str, str]] = ()
    """What is named, and what the sending side should do about it."""


_OWN_SESSIONS: Final = (By.HOST, By.NETWORK, By.HELO, By.LISTENER)
"""What has sessions of its own; a rule's share is of all sessions."""


def _rule_told(rule_id: str) -> str:
    return f"{situation(rule_id)} {rule_cure(rule_id)}".strip()


_TOLD: Final = (
    (By.RULE, "Rules, and what cures them", "", _rule_told),
    (By.CAUSE, "Likely causes", "Named where the session shows the pattern.", remedy),
)
"""The tables without a drawing: heading, a word about it, and what is to be said of each row below."""


def parts(report: Report) -> Iterator[Part]:
    """Yield the tables that have no drawing."""
    if report.totals.findings:
        for by, name, text, tell in _TOLD:
            rows = report.tables[by].rows
            cures = [(shown(title(by, row.name)), tell(row.name)) for row in rows]
            yield Part(by.value, name, text, grid(by, rows, report), [each for each in cures if each[1]])
    apart = list(_apart(report))
    if apart:
        head = (Head("what"), Head("findings", "n"), Head("sessions", "n"), Head("why nobody is blamed", "say"))
        yield Part("apart", "Not blamed", "Counted, and held against no client.", Grid("Not blamed", head, apart))


def grid(by: By, rows: Iterable[Row], report: Report) -> Grid:
    """Return the table of offenders or offences."""
    period = report.scope.period
    own = by is By.HOST
    head = (
        Head(by.value),
        Head("affected", "n"),
        Head("share", "n"),
        Head("findings", "n"),
        Head("rules") if own else Head("hosts", "n"),
        Head("first seen", "t"),
        Head("last seen", "t"),
        Head("trend", "t"),
    )
    told = [
        (
            shown(title(by, row.name)),
            thousands(row.affected) + (f" of {thousands(row.sessions)}" if by in _OWN_SESSIONS else ""),
            percent(row.share),
            thousands(row.findings),
            " ".join(row.rules) if own else thousands(row.hosts),
            period.shown(row.first_seen),
            period.shown(row.last_seen),
            f"{row.trend.word} ({thousands(row.trend.earlier)}, {thousands(row.trend.later)})",
        )
        for row in rows
    ]
    return Grid(HEADINGS[by], head, told)


def _apart(report: Report) -> Iterator[tuple[str, ...]]:
    totals = report.totals
    if totals.consequences:
        yield ("consequences", thousands(totals.consequences), "", "Pipelined behind a refusal (RFC 2920 §3.1).")
    if totals.declined:
        yield ("declined commands", thousands(totals.declined), "", "A setting of smtpguard answered them.")
    for each in (*totals.limits, *totals.upstream):
        yield (named(each.name), thousands(each.findings), thousands(each.sessions), situation(each.name))

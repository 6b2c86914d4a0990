"""A `Report` -> lines for a terminal: the period in a few numbers, then tables.

Laid out by rich, as wide as the terminal. What does not fit is left out column by column, the least telling first, and
a long name is folded; in a pipe there are 80 columns. Every figure has its word, so nothing is told by colour alone.
"""

import io
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from smtpguard.cli.screen import Style, styled
from smtpguard.evidence.report.words import HEADINGS, named, percent, several, thousands, title
from smtpguard.evidence.wording import shown

if TYPE_CHECKING:
    from smtpguard.evidence.report.figures import Apart, By, Report, Row, Table, Totals

NARROWEST: Final = 60
_GAP: Final = 2
_NAME: Final = 24
"""Columns that a name has before other columns are left out."""

_HOUR: Final = 3600


class Column(NamedTuple):
    """A column of a table of offenders."""

    title: str
    told: "Callable[[Row, Report], str]"
    rank: int
    """The greatest is left out first."""
    right: bool = False


def _moment(at: float, made: "Report") -> str:
    time = datetime.fromtimestamp(at, made.scope.period.zone)
    years = {datetime.fromtimestamp(each, made.scope.period.zone).year for each in made.covered}
    return time.strftime("%m-%d %H:%M" if len(years) == 1 else "%Y-%m-%d %H:%M")


def _sessions(row: "Row", made: "Report") -> str:
    """Say of how many; not where that is all sessions, as for every rule, cause and command."""
    of = "" if row.sessions == made.totals.sessions else f" of {thousands(row.sessions)}"
    return thousands(row.affected) + of


COLUMNS: Final = (
    Column("sessions", _sessions, 0, True),
    Column("share", lambda row, _: percent(row.share), 1, True),
    Column("findings", lambda row, _: thousands(row.findings), 6, True),
    Column("hosts", lambda row, _: thousands(row.hosts), 4, True),
    Column("first seen", lambda row, made: _moment(row.first_seen, made), 3),
    Column("last seen", lambda row, made: _moment(row.last_seen, made), 2),
    Column("trend", lambda row, _: row.trend.word, 4),
    Column("halves", lambda row, _: f"{thousands(row.trend.earlier)} > {thousands(row.trend.later)}", 7),
    Column("rules", lambda row, _: _first_of(row.rules), 5),
)


def _first_of(rules: Sequence[str]) -> str:
    return f"{rules[0]} +{len(rules) - 1}" if len(rules) > 1 else "".join(rules)


def lines(made: "Report", way: str | None) -> Iterator[str]:
    """Yield the report; one table where a way is named, else the overview."""
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    period = made.scope.period
    yield f"{styled('Report', Style.HEADING)} {period}{_scope(made)}"
    if made.covered[0] - period.since > _HOUR:
        yield styled(f"The audit begins at {period.shown(made.covered[0])}; trends compare its halves.", Style.FAINT)
    yield ""
    if not way:
        yield from _totals(made, width)
    for by, table in made.tables.items():
        if not way:
            yield ""
        yield from _table(by, table, made, width)
    yield ""
    yield from _foot(made)


def _scope(made: "Report") -> str:
    scope = made.scope
    host = f", only {scope.host.network_address if scope.host.num_addresses == 1 else scope.host}" if scope.host else ""
    return host + (f", only {named(scope.rule)}" if scope.rule else "")


def _totals(made: "Report", width: int) -> Iterator[str]:
    totals = made.totals
    whole = totals.sessions
    bad = f"with {made.scope.rule}" if made.scope.rule else "with a finding"
    good = f"without {made.scope.rule}" if made.scope.rule else "in order"
    rows = [("sessions", whole, f"from {several(totals.hosts, 'host')}")]
    rows += [(f"  {good}", totals.in_order, _share(totals.in_order, whole))]
    rows += [
        (f"  {bad}", totals.affected, f"{_share(totals.affected, whole)} from {several(totals.hosts_affected, 'host')}")
    ]
    rows += [(f"  {VISIBLE[name]}", count, _share(count, whole)) for name, count in _visible(totals.visible)]
    rows += [("findings", totals.findings, "")]
    if totals.other_protocol:
        where = f"from {several(totals.other_protocol_hosts, 'host')}; in no other figure here"
        rows += [("other protocol", totals.other_protocol, where)]
    rows += _not_blamed(totals)
    left = max(len(word) for word, _, _ in rows)
    right = max(len(thousands(count)) for _, count, _ in rows)
    for word, count, text in rows:
        first, *rest = textwrap.wrap(text, width - left - right - 2 * _GAP) or [""]
        yield f"{word:<{left}}  {thousands(count):>{right}}  {first}".rstrip()
        yield from (" " * (left + right + 2 * _GAP) + line for line in rest)


def _not_blamed(totals: "Totals") -> list[tuple[str, int, str]]:
    rows = [(f"  {each.name}", each.findings, _apart(each)) for each in (*totals.limits, *totals.upstream)]
    rows += [("  consequences", totals.consequences, "pipelined behind a refusal")] if totals.consequences else []
    rows += [("  declined", totals.declined, "by a setting")] if totals.declined else []
    return [("not blamed", sum(count for _, count, _ in rows), ""), *rows] if rows else []


VISIBLE: Final[Mapping[str, str]] = {
    "full": "read to the end",
    "until-starttls": "until STARTTLS only",
    "not-ended": "not ended yet",
}
"""`smtp.visible`, and what a person calls it."""


def _visible(visible: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    yield from ((name, visible[name]) for name in VISIBLE if visible.get(name))


def _apart(each: "Apart") -> str:
    return named(each.name).removeprefix(each.name).strip()


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else ""


def _table(by: "By", table: "Table", made: "Report", width: int) -> Iterator[str]:
    yield styled(HEADINGS[by], Style.HEADING)
    if not table.rows:
        yield "  none: every session was in order, as far as it could be read"
        return
    names = [shown(title(by, row.name)) for row in table.rows]
    kept = _fitting([each for each in COLUMNS if _tells(each, by)], max(map(len, names)), table, made, width)
    grid = Grid(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="")
    grid.add_column(by.value, overflow="fold", min_width=min(_NAME, *map(len, names)) if len(names) > 1 else None)
    for column in kept:
        grid.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for name, row in zip(names, table.rows, strict=True):
        grid.add_row(Text(name), *(Text(column.told(row, made)) for column in kept))
    head, *rows = _drawn(grid, width)
    yield styled(head, Style.FAINT)
    yield from rows
    if table.groups > len(table.rows):
        yield styled(f"{len(table.rows)} of {thousands(table.groups)}; --limit 0 shows all", Style.FAINT)


def _tells(column: Column, by: "By") -> bool:
    """Leave out what would say the same in every row."""
    return column.title != ("hosts" if by.value == "host" else "rules")


def _fitting(columns: list[Column], name: int, table: "Table", made: "Report", width: int) -> list[Column]:
    def wide(column: Column) -> int:
        return max(len(column.title), *(len(column.told(row, made)) for row in table.rows)) + _GAP

    while columns and min(name, _NAME) + _GAP + sum(map(wide, columns)) > width:
        columns.remove(max(columns, key=lambda each: each.rank))
    return columns


def _drawn(grid: Grid, width: int) -> Iterator[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False).print(grid)
    yield from (line.rstrip() for line in out.getvalue().splitlines())


def _foot(made: "Report") -> Iterator[str]:
    if not made.totals.findings:
        return
    texts = (
        "share: sessions affected, of the host's own, or of all sessions where a rule, cause or command is told.",
        "trend: findings of the second half of the period against the first.",
    )
    yield from (styled(text, Style.FAINT) for text in texts)
    first = next(iter(made.tables.values()))
    if first.rows and first.by.value == "host":
        yield f"Next: smtpguard show --host {shown(first.rows[0].name)}"

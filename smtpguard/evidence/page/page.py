"""A `Report` -> one self-contained HTML page: no script, no reference to anything outside, readable for years.

It opens from a disk or a mail, on a telephone and in print, light and dark. Beside every drawing stands a table with
its figures, so that nothing is told by shape or colour alone. `page.css` is its style, `page.html.jinja2` its order,
`charts` the drawings, `tables` and `host` what is in them, `palette` the colours.

All wire text is hostile: it passes `wording.shown`, which leaves printable ASCII, and jinja2's escaping, which is on
for everything but our own style sheet and drawings. A content security policy in the page forbids what would still get
through.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from smtpguard import __version__
from smtpguard.evidence.page import charts
from smtpguard.evidence.page.charts import Chart, Told
from smtpguard.evidence.page.host import host_told
from smtpguard.evidence.page.palette import DARK, LIGHT, variables
from smtpguard.evidence.page.stretches import OTHERS, Stretches, stretches, week
from smtpguard.evidence.page.tables import Grid, Head, grid, parts
from smtpguard.evidence.report.figures import By, Report, Row
from smtpguard.evidence.report.words import named, percent, several, situation, thousands
from smtpguard.evidence.store import Store
from smtpguard.evidence.wording import shown

_HOUR: Final = 3600
_CUT: Final = "The first and the last may be cut short by the period."
_WEEK: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Figure(NamedTuple):
    """A drawing with its table."""

    id: str
    title: str
    caption: str
    chart: Chart
    table: Grid


def page(report: Report, store: Store, *, full: bool = False) -> str:
    """Return the page.

    Args:
        report: made with `detailed`.
        store: where the transcripts of the hosts are.
        full: show mail addresses in transcripts.

    Raises:
        StoreError: a file cannot be read (74).
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    template = environment.from_string(_data("page.html.jinja2"))
    return template.render(**_told(report, store, full=full)) + "\n"


def _told(report: Report, store: Store, *, full: bool) -> dict[str, Any]:
    period = report.scope.period
    return {
        "css": Markup(_data("page.css").replace("LIGHT", variables(LIGHT)).replace("DARK", variables(DARK))),
        "period": str(period),
        "scope": _scope(report),
        "notices": list(_notices(report)),
        "short": list(_short(report)),
        "numbers": list(_numbers(report)),
        "charts": list(_figures(report)),
        "tables": list(parts(report)),
        "hosts": [host_told(host, place, report, store, full=full) for place, host in enumerate(report.hosts, 1)],
        "footer": _FOOTER,
    }


_FOOTER: Final = (
    "A session is affected if a finding in it counts against the client. Commands that a client had pipelined behind a "
    "refusal (RFC 2920), faults of the upstream and limits do not count, and sessions in another protocol are in no "
    "ranking and in no share. What was said after STARTTLS passed through unread unless smtpguard ended TLS itself.",
    f"Made by smtpguard {__version__} from its audit. Wire text is shown as printable ASCII, other octets as \\xNN.",
)


def _data(name: str) -> str:
    return (resources.files("smtpguard.evidence.page") / name).read_text(encoding="utf-8")


# --- the beginning ----------------------------------------------------------------------------------------------------


def _scope(report: Report) -> str:
    scope = report.scope
    host = ""
    if scope.host is not None:
        host = f", only {scope.host.network_address if scope.host.num_addresses == 1 else scope.host}"
    return host + (f", only {named(scope.rule)}" if scope.rule else "")


def _notices(report: Report) -> Iterator[str]:
    if report.unreadable:
        yield f"{several(report.unreadable, 'line')} of the audit could not be read, and nothing of it is counted here."
    period = report.scope.period
    if report.covered[0] - period.since > _HOUR:
        yield f"the audit begins at {period.shown(report.covered[0])}; before that there is nothing to tell."


def _short(report: Report) -> Iterator[str]:
    totals = report.totals
    if not totals.findings:
        yield f"No client sent a command out of order in {several(totals.sessions, 'session')}, as far as it was read."
        return
    share = percent(totals.affected / totals.sessions)
    yield (
        f"{thousands(totals.affected)} of {thousands(totals.sessions)} sessions ({share}) broke a rule, "
        f"from {thousands(totals.hosts_affected)} of {thousands(totals.hosts)} hosts."
    )
    rule, host = report.tables[By.RULE].rows[0], report.tables[By.HOST].rows[0]
    yield f"Most often: {named(rule.name)}, in {several(rule.affected, 'session')}. {situation(rule.name)}"
    yield (
        f"The host with most: {shown(host.name)}, {thousands(host.affected)} of its {thousands(host.sessions)} "
        f"sessions; last seen {report.scope.period.shown(host.last_seen)}, trend: {host.trend.word}."
    )


def _numbers(report: Report) -> Iterator[Mapping[str, str]]:
    totals = report.totals
    whole = totals.sessions

    def one(name: str, figure: int, more: str) -> Mapping[str, str]:
        return {"name": name, "figure": thousands(figure), "more": more}

    def share(part: int) -> str:
        return percent(part / whole) if whole else ""

    yield one("sessions", whole, f"from {several(totals.hosts, 'host')}")
    yield one("in order", totals.in_order, share(totals.in_order))
    yield one("affected", totals.affected, f"{share(totals.affected)}, {several(totals.findings, 'finding')}")
    yield one("read to the end", totals.visible.get("full", 0), share(totals.visible.get("full", 0)))
    opaque = totals.visible.get("until-starttls", 0)
    yield one("read until STARTTLS only", opaque, share(opaque))
    if running := totals.visible.get("not-ended", 0):
        yield one("not ended yet", running, share(running))
    yield one(
        "in another protocol",
        totals.other_protocol,
        f"from {several(totals.other_protocol_hosts, 'host')}, not counted elsewhere",
    )


# --- drawings ---------------------------------------------------------------------------------------------------------


def _figures(report: Report) -> Iterator[Figure]:
    cut = stretches(report)
    yield _order(cut)
    if report.totals.findings:
        yield _rules(cut)
        yield _hosts(report.tables[By.HOST].rows, report)
        yield _weekly(report)


def _order(cut: Stretches) -> Figure:
    shares = [(each.name, share) for each in cut.sessions if (share := each.in_order) is not None]
    worst = min(shares, key=lambda each: each[1], default=("", 100.0))
    axis = "; the axis does not begin at zero" if charts.axis_begins_at(shares) else ""
    caption = f"The share of sessions in order, by {cut.unit}{axis}. {_CUT}"
    text = f"A line over {several(len(shares), cut.unit)}. Lowest: {worst[1]:.1f} % on {worst[0]}." if shares else ""
    head = (Head(cut.unit), Head("sessions", "n"), Head("in order", "n"), Head("share in order", "n"))
    rows = [
        (
            each.name,
            thousands(each.sessions),
            thousands(each.sessions - each.affected),
            "-" if each.in_order is None else percent(each.in_order / 100),
        )
        for each in cut.sessions
    ]
    chart = charts.in_order(Told("order", "Sessions in order", text), shares)
    return Figure("in-order", "Sessions in order", caption, _marked(chart), Grid(f"Sessions by {cut.unit}", head, rows))


def _rules(cut: Stretches) -> Figure:
    names = [each.name for each in cut.sessions]
    series = {_called(rule): counts for rule, counts in cut.rules.items()}
    text = "; ".join(f"{name}: {sum(counts)}" for name, counts in series.items())
    head = (Head(cut.unit), *(Head(rule, "n") for rule in cut.rules))
    rows = [(name, *(thousands(counts[place]) for counts in cut.rules.values())) for place, name in enumerate(names)]
    chart = charts.by_rule(
        Told("rules", "Findings over time by rule", f"A panel of bars for each. {text}."), names, series
    )
    caption = (
        f"Findings by {cut.unit}, a panel for each rule with its name and its total; all have the same scale. {_CUT}"
    )
    return Figure(
        "rules-over-time",
        "Findings over time",
        caption,
        _marked(chart),
        Grid(f"Findings by {cut.unit} and rule", head, rows),
    )


def _called(rule: str) -> str:
    return rule if rule == OTHERS else named(rule)


def _hosts(rows: Sequence[Row], report: Report) -> Figure:
    bars = [(shown(row.name), row.affected) for row in rows]
    groups = report.tables[By.HOST].groups
    text = "; ".join(f"{name}: {count}" for name, count in bars)
    chart = charts.by_host(Told("hosts", "Sessions affected by host", f"A bar for each. {text}."), bars)
    caption = f"Sessions with a finding; {len(rows)} of {thousands(groups)} hosts that have one."
    return Figure("hosts", "Hosts", caption, _marked(chart), grid(By.HOST, rows, report))


def _weekly(report: Report) -> Figure:
    counts = week(report)
    most = max((count, day, hour) for day, hours in enumerate(counts) for hour, count in enumerate(hours))
    text = f"A square for each hour of each weekday. Most: {most[0]} on {_WEEK[most[1]]} from {most[2]}:00."
    head = (Head("weekday"), *(Head(f"{hour:02d}", "n") for hour in range(24)))
    rows = [(_WEEK[day], *(thousands(count) for count in hours)) for day, hours in enumerate(counts)]
    zone = report.scope.period.zone_name
    chart = charts.by_week(Told("week", "Findings by hour and weekday", text), counts)
    caption = f"Findings by hour and weekday in {zone}; the larger a square, the more."
    return Figure("week", "When in the week", caption, _marked(chart), Grid("Findings by weekday and hour", head, rows))


def _marked(chart: Chart) -> Chart:
    """Let the drawings through jinja2's escaping: they are ours, and what is in them was escaped when it was put in."""
    return Chart(Markup(chart.wide), Markup(chart.narrow))

"""`smtpguard report`: who breaks which rule how often, as tables, JSON, CSV or one HTML page.

What is counted, and how, is the business of `smtpguard.evidence.report`; this module reads options, and chooses the
form. A report over an audit that is not all readable is a report with a warning.
"""

import csv
import io
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli.evidence_options import (
    USAGE,
    AuditPlace,
    PeriodWords,
    audit_options,
    open_store,
    period_options,
    read_period,
    warn_unreadable,
)
from smtpguard.cli.screen import as_json, fail, say

if TYPE_CHECKING:
    from smtpguard.evidence.report.figures import Apart, Report, Row, Scope
    from smtpguard.evidence.store import Store

UNAVAILABLE: Final = 69
"""EX_UNAVAILABLE of sysexits.h: a package is missing."""

IO_ERROR: Final = 74

# The names of `report_figures.By`, written out so that `--help` imports no room.
WAYS: Final = ("host", "network", "rule", "cause", "command", "helo", "listener")

SHOWN: Final = 10
"""Rows of a table on a screen or a page, where --limit does not say."""

_TABLE_PACKAGES: Final = ("duckdb", "rich")
_PAGE_PACKAGES: Final = ("duckdb", "jinja2", "altair", "vl_convert")

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@click.command()
@audit_options
@period_options
@click.option("--host", metavar="ADDRESS", help="Only this client, or this network: 192.0.2.7, 2001:db8::/48.")
@click.option("--rule", metavar="RULE", help="Only findings of this rule: SG104, data-without-recipient.")
@click.option(
    "--by", "way", type=click.Choice(WAYS, case_sensitive=False), help="One table of these, not the overview."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Rows of a table, 0 for all; else {SHOWN} on a screen or a page, all in JSON and CSV.",
)
@click.option("--json", "json_wanted", is_flag=True, help="One JSON document.")
@click.option("--csv", "csv_wanted", is_flag=True, help="The table of --by as CSV.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write one self-contained page with charts and a transcript for each host; - is standard output.",
)
@click.option("--full", is_flag=True, help="In the page's transcripts show mail addresses in full, not masked.")
def report(  # noqa: PLR0913 - an option each
    audit: AuditPlace,
    period: PeriodWords,
    host: str | None,
    rule: str | None,
    way: str | None,
    limit: int | None,
    json_wanted: bool,
    csv_wanted: bool,
    page: Path | None,
    full: bool,
) -> None:
    """Tell who sends commands out of order, and how often.

    A session counts as affected if a finding in it counts against the client: consequences of a refusal, faults of the
    upstream and limits do not, and another protocol than SMTP is in no ranking. Needs the extra `report`.

    Exit codes: 0 good (a warning if some lines could not be read), 2 usage, 66 no audit, or nothing in the period or of
    the host, 69 the extra is missing, 74 cannot be read or written, 78 bad configuration.
    """
    _agree(way, json_wanted, csv_wanted, page, full)
    machine = json_wanted or csv_wanted
    scope = _scope(read_period(period), host, rule, limit if limit is not None else 0 if machine else SHOWN)
    _need(_PAGE_PACKAGES if page else _TABLE_PACKAGES)
    store = open_store(audit)
    made = _made(store, scope, way, page is not None)
    if page:
        _write(page, _page(made, store, full=full))
    elif csv_wanted:
        say(_as_csv(made), nl=False)
    elif json_wanted:
        as_json(_object(made, way))
    else:
        from smtpguard.cli.report_screen import lines  # noqa: PLC0415 - rich

        for line in lines(made, way):
            say(line)
    warn_unreadable(made.unreadable)


def _agree(way: str | None, json_wanted: bool, csv_wanted: bool, page: Path | None, full: bool) -> None:
    if sum((json_wanted, csv_wanted, page is not None)) > 1:
        raise click.UsageError("say one of --json, --csv and --html")
    if csv_wanted and not way:
        raise click.UsageError("--csv prints one table; say which: --by host, network, rule, cause, command, …")
    if page and way:
        raise click.UsageError("the page has all tables; leave out --by, or leave out --html")
    if full and not page:
        raise click.UsageError("--full is about the transcripts of --html")


def _scope(period: Any, host: str | None, rule: str | None, limit: int) -> "Scope":
    from smtpguard.evidence.report.figures import Scope  # noqa: PLC0415 - `--help` needs none

    return Scope(period=period, host=_network(host), rule=_rule(rule), limit=limit)


def _network(host: str | None) -> IPv4Network | IPv6Network | None:
    if host is None:
        return None
    try:
        return ip_network(host.strip().strip("[]"), strict=False)
    except ValueError:
        fail(f"--host: {host!r} is no address and no network; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/48", USAGE)


def _rule(word: str | None) -> str | None:
    if word is None:
        return None
    from smtpguard.evidence import UnknownRuleError, rule_called  # noqa: PLC0415 - `--help` needs none
    from smtpguard.evidence.store import blames, foreign  # noqa: PLC0415 - as above

    try:
        rule_id = rule_called(word).id
    except UnknownRuleError as error:
        fail(f"--rule: {error}", USAGE)
    if not blames(rule_id) or foreign(rule_id):
        fail(f"--rule: {rule_id} blames no client, so nobody is ranked by it; the overview counts it apart", USAGE)
    return rule_id


def _need(packages: tuple[str, ...]) -> None:
    if any(find_spec(package) is None for package in packages):
        fail("smtpguard report needs the extra \"report\": pip install 'smtpguard[report]'", UNAVAILABLE)


def _made(store: "Store", scope: "Scope", way: str | None, detailed: bool) -> "Report":
    from smtpguard.evidence.report.figures import By  # noqa: PLC0415 - as above
    from smtpguard.evidence.report.report import OVERVIEW, make_report  # noqa: PLC0415 - duckdb
    from smtpguard.evidence.store import StoreError  # noqa: PLC0415 - as above

    try:
        return make_report(store, scope, (By(way.lower()),) if way else OVERVIEW, detailed=detailed)
    except StoreError as error:
        fail(str(error), error.code)


# --- the page ---------------------------------------------------------------------------------------------------------


def _page(made: "Report", store: "Store", *, full: bool) -> str:
    from smtpguard.evidence.page.page import page  # noqa: PLC0415 - jinja2, altair
    from smtpguard.evidence.store import StoreError  # noqa: PLC0415 - as above

    try:
        return page(made, store, full=full)
    except StoreError as error:
        fail(str(error), error.code)


def _write(file: Path, text: str) -> None:
    if str(file) == "-":
        click.echo(text.encode(), nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"--html: {file}: cannot be written: {error.strerror or error}", IO_ERROR)
    say(f"written: {file} ({file.stat().st_size // 1024} KiB)", err=True)


# --- CSV --------------------------------------------------------------------------------------------------------------


def _as_csv(made: "Report") -> str:
    ((_, table),) = made.tables.items()
    rows = [_row(row, made) for row in table.rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([table.by.value, *_CSV_COLUMNS])
    for row in rows:
        writer.writerow([_cell(row["name"]), *(_cell(row[column]) for column in _CSV_COLUMNS)])
    return out.getvalue()


_CSV_COLUMNS: Final = (
    "findings",
    "affected",
    "sessions",
    "share",
    "hosts",
    "first_seen",
    "last_seen",
    "earlier",
    "later",
    "trend",
    "rules",
)


def _cell(value: object) -> object:
    """Return a cell; wire text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


# --- JSON -------------------------------------------------------------------------------------------------------------


def _object(made: "Report", way: str | None) -> dict[str, Any]:
    whole = {**_head(made), "totals": _totals(made)}
    if way:
        ((by, table),) = made.tables.items()
        return {**whole, "by": by.value, "groups": table.groups, "rows": [_row(row, made) for row in table.rows]}
    names = {by: f"{by.value}s" for by in made.tables}
    return {**whole, **{names[by]: [_row(row, made) for row in table.rows] for by, table in made.tables.items()}}


def _head(made: "Report") -> dict[str, Any]:
    scope = made.scope
    return {
        "period": {
            "since": _time(made, scope.period.since),
            "until": _time(made, scope.period.until),
            "timezone": scope.period.zone_name,
            "covered": [_time(made, at) for at in made.covered],
        },
        "host": str(scope.host) if scope.host else None,
        "rule": scope.rule,
        "unreadable": made.unreadable,
    }


def _totals(made: "Report") -> dict[str, Any]:
    totals = made.totals
    return {
        "sessions": totals.sessions,
        "in_order": totals.in_order,
        "affected": totals.affected,
        "share_in_order": round(totals.in_order / totals.sessions, 6) if totals.sessions else None,
        "visible": dict(totals.visible),
        "findings": totals.findings,
        "hosts": totals.hosts,
        "hosts_affected": totals.hosts_affected,
        "other_protocol": {"sessions": totals.other_protocol, "hosts": totals.other_protocol_hosts},
        "not_blamed": {
            "consequences": totals.consequences,
            "declined": totals.declined,
            "upstream": [_apart(each) for each in totals.upstream],
            "limits": [_apart(each) for each in totals.limits],
        },
    }


def _apart(each: "Apart") -> Mapping[str, Any]:
    return {"rule": each.name, "findings": each.findings, "sessions": each.sessions, "hosts": each.hosts}


def _row(row: "Row", made: "Report") -> dict[str, Any]:
    return {
        "name": row.name,
        "findings": row.findings,
        "affected": row.affected,
        "sessions": row.sessions,
        "share": round(row.share, 6),
        "hosts": row.hosts,
        "first_seen": _time(made, row.first_seen),
        "last_seen": _time(made, row.last_seen),
        "earlier": row.trend.earlier,
        "later": row.trend.later,
        "trend": row.trend.word,
        "rules": list(row.rules),
    }


def _time(made: "Report", at: float) -> str:
    from datetime import datetime  # noqa: PLC0415 - `--help` needs none

    return datetime.fromtimestamp(at, made.scope.period.zone).isoformat(timespec="milliseconds")

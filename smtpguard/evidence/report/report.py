"""The audit -> a `Report`: who broke which rule how often, and how many sessions were in order.

    figures   what comes out, as values          tables         segments -> tables, by DuckDB
    words     how figures are said               queries/*.sql  the questions

Blame follows `store.blamed`: consequences, facts about the upstream (SG5xx) and limits (SG6xx) are counted apart;
sessions in another protocol are in no ranking and in no share. Ranked is by sessions affected, then by findings: one
session of twenty findings is one broken conversation, not twenty.

Of what is only noted a guard keeps 20 events of a rule in a session; how many there were in truth the session's end
tells, and that is the number of findings. What goes beyond the events is counted with the last of them. Consequences
are counted as they were kept.

The number of probes is not in the audit, and so not here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from smtpguard.evidence.report.figures import (
    Apart,
    By,
    Host,
    Hour,
    Offence,
    Report,
    Row,
    RuleHour,
    Scope,
    Table,
    Totals,
    Trend,
)
from smtpguard.evidence.report.tables import Tables
from smtpguard.evidence.store import NO_INPUT, Store, StoreError

OVERVIEW: Final = (By.HOST, By.RULE, By.CAUSE)

_KEYS: Final = {
    By.HOST: ("by_session", "f.ip"),
    By.NETWORK: ("by_network", ""),
    By.HELO: ("by_session", "f.helo"),
    By.LISTENER: ("by_session", "f.listener"),
    By.RULE: ("by_finding", "f.rule"),
    By.CAUSE: ("by_finding", "f.cause"),
    By.COMMAND: ("by_finding", "f.command"),
}
"""Question, and the column that it is asked by."""


def make_report(store: Store, scope: Scope, wanted: Iterable[By] = OVERVIEW, *, detailed: bool = False) -> Report:
    """Read the audit and sum it up.

    Args:
        store: the audit.
        scope: period, host, rule, rows.
        wanted: the tables.
        detailed: also the hours and, of the hosts that are listed, all they did: what the page shows.

    Raises:
        StoreError: nothing in the period, or nothing of that host (66); a file cannot be read (74).
    """
    period = scope.period
    segments, span = store.segments(period.since, period.until), store.span()
    if not segments or span is None:
        raise _nothing(scope, span)
    covered = (max(period.since, span[0]), min(period.until, span[1]))
    with Tables() as tables:
        tables.load(segments, period, sum(covered) / 2)
        tables.only(scope.host, scope.rule)
        report = _summed_up(tables, scope, covered, tuple(wanted), detailed=detailed)
    totals = report.totals
    if not (totals.sessions or totals.other_protocol or totals.consequences or totals.declined or totals.limits):
        raise _nothing(scope, span)
    return report


def _summed_up(
    tables: Tables, scope: Scope, covered: tuple[float, float], wanted: Sequence[By], *, detailed: bool
) -> Report:
    totals = _totals(tables)
    found = {by: _table(tables, by, scope.limit, totals.sessions) for by in wanted}
    hosts: tuple[Host, ...] = ()
    if By.HOST in found:
        hosts = _hosts(tables, found[By.HOST].rows)
        found[By.HOST] = Table(by=By.HOST, rows=tuple(host.row for host in hosts), groups=found[By.HOST].groups)
    return Report(
        scope=scope,
        covered=covered,
        unreadable=tables.lost,
        totals=totals,
        tables=found,
        hours=tuple(Hour(*row) for row in tables.ask("sessions_by_hour").fetchall()) if detailed else (),
        rule_hours=_rule_hours(tables) if detailed else (),
        hosts=hosts if detailed else (),
    )


def _rule_hours(tables: Tables) -> tuple[RuleHour, ...]:
    return tuple(
        RuleHour(begins, rule, int(count)) for begins, rule, count in tables.ask("findings_by_hour").fetchall()
    )


def _table(tables: Tables, by: By, limit: int, sessions: int) -> Table:
    asked = tables.ask(*_KEYS[by])
    rows = asked.fetchmany(limit) if limit else asked.fetchall()
    return Table(by=by, rows=tuple(_row(row, sessions) for row in rows), groups=rows[0][-1] if rows else 0)


def _row(row: Sequence[Any], all_sessions: int) -> Row:
    name, findings, affected, hosts, first_seen, last_seen, late, sessions, _ = row
    return Row(
        name=name,
        findings=int(findings),
        affected=affected,
        sessions=int(sessions) or all_sessions,
        hosts=hosts,
        first_seen=_epoch(first_seen),
        last_seen=_epoch(last_seen),
        trend=Trend(int(findings) - int(late), int(late)),
    )


def _hosts(tables: Tables, rows: Sequence[Row]) -> tuple[Host, ...]:
    tables.list_hosts(row.name for row in rows)
    offences: dict[str, list[Offence]] = {row.name: [] for row in rows}
    for ip, rule, cause, findings, affected, first_seen, last_seen, session in tables.ask("offences").fetchall():
        offences[ip].append(
            Offence(
                rule=rule,
                cause=cause,
                findings=int(findings),
                affected=affected,
                first_seen=_epoch(first_seen),
                last_seen=_epoch(last_seen),
                session=session,
            )
        )
    helos: dict[str, dict[str, None]] = {row.name: {} for row in rows}
    listeners: dict[str, dict[str, None]] = {row.name: {} for row in rows}
    for ip, helo, listener, _ in tables.ask("names").fetchall():
        helos[ip].setdefault(helo)
        listeners[ip].setdefault(listener)
    return tuple(
        Host(
            row=_with_rules(row, offences[row.name]),
            offences=tuple(offences[row.name]),
            helos=tuple(helos[row.name]),
            listeners=tuple(listeners[row.name]),
        )
        for row in rows
    )


def _with_rules(row: Row, offences: Iterable[Offence]) -> Row:
    return replace(row, rules=tuple(dict.fromkeys(offence.rule for offence in offences)))


def _totals(tables: Tables) -> Totals:
    by_visibility = {name: numbers for name, *numbers in tables.ask("totals").fetchall()}
    ((findings, hosts_affected, hosts, others, other_hosts),) = tables.ask("counts").fetchall()
    consequences, declined, apart = _apart(tables)
    return Totals(
        sessions=sum(sessions for sessions, _ in by_visibility.values()),
        affected=sum(int(affected) for _, affected in by_visibility.values()),
        visible={name: sessions for name, (sessions, _) in sorted(by_visibility.items())},
        findings=int(findings),
        hosts=hosts,
        hosts_affected=hosts_affected,
        other_protocol=others,
        other_protocol_hosts=other_hosts,
        consequences=consequences,
        declined=declined,
        upstream=tuple(each for each in apart if each.name.startswith("SG5")),
        limits=tuple(each for each in apart if each.name.startswith("SG6")),
    )


def _apart(tables: Tables) -> tuple[int, int, list[Apart]]:
    """Return how many consequences and declined commands there are, and the rules that nobody is blamed for."""
    consequences = declined = 0
    rest = []
    for name, consequence, findings, sessions, hosts in tables.ask("set_apart").fetchall():
        if name == "declined":
            declined += findings
        elif consequence:
            consequences += findings
        else:
            rest.append(Apart(name, findings, sessions, hosts))
    return consequences, declined, rest


def _nothing(scope: Scope, span: tuple[float, float] | None) -> StoreError:
    period = scope.period
    who = ""
    if scope.host is not None:
        who = f" of {scope.host.network_address if scope.host.num_addresses == 1 else scope.host}"
    if span is None:
        return StoreError("the audit is empty: no event was written yet", NO_INPUT)
    held = f"{period.shown(span[0])} to {period.shown(span[1])}"
    return StoreError(f"nothing{who} from {period}; the audit holds {held}", NO_INPUT)


def _epoch(born: datetime) -> float:
    return born.replace(tzinfo=UTC).timestamp()

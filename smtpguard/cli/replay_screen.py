"""What `smtpguard replay` prints: a table by host and rule, the sessions that would change, or JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from smtpguard.cli.screen import Style, styled
from smtpguard.evidence.replay.replay import Change, Played, pairs
from smtpguard.evidence.replay.sums import Row, Summary
from smtpguard.smtp import CATALOGUE

ROWS_SHOWN: Final = 40
"""Rows of the table on a screen; JSON has all."""

CHANGES_SHOWN: Final = 20
"""Changed sessions on a screen; JSON has up to a thousand."""

_SEEN: Final = {
    "whole": "whole",
    "unfinished": "up to where the record ends",
    "until-starttls": "up to STARTTLS, then opaque",
    "until-hole": "up to a hole in the record",
    "mid-stream": "not from their beginning",
    "by-table": "by what was recorded only, for want of a whole transcript",
    "nothing": "not at all",
}

_LOOKS: Final = {"refuse": Style.WARNING, "close": Style.BAD, "off": Style.FAINT, "unreached": Style.FAINT}


# --- the screen -------------------------------------------------------------------------------------------------------


def screen(summary: Summary, sources: Sequence[str], zone: tzinfo, zone_name: str) -> Iterator[str]:
    """Lay the result out.

    Args:
        summary: what came of all sessions.
        sources: the kind of each source.
        zone: in which times are shown.
        zone_name: its name.
    """
    yield _head(summary, sources, zone, zone_name)
    yield styled("judged: " + _seen(summary), Style.FAINT)
    yield ""
    rows = summary.rows()
    if not rows:
        yield styled("No findings, now or proposed.", Style.GOOD)
    else:
        yield from _table(summary, rows)
    yield from _changes(summary, zone)
    if summary.consequences:
        yield f"{_counted(summary.consequences, 'consequence')} besides: pipelined behind a refusal, nobody's fault."


def _head(summary: Summary, sources: Sequence[str], zone: tzinfo, zone_name: str) -> str:
    kinds = ", ".join(_counted(count, kind) for kind, count in Counter(sources).items())
    hosts = len(summary.hosts - {""})
    who = f" of {_counted(hosts, 'host')}" if hosts else ""
    when = ""
    if summary.first is not None and summary.last is not None:
        when = f", {_clock(summary.first, zone)} to {_clock(summary.last, zone)} ({zone_name})"
    return styled(f"{kinds}: {_counted(summary.sessions, 'session')}{who}{when}", Style.HEADING)


def _seen(summary: Summary) -> str:
    parts = []
    for seen, words in _SEEN.items():
        if count := summary.seen[seen]:
            share = f" ({100 * count / summary.sessions:.1f} %)" if seen != "whole" else ""
            parts.append(f"{count:,} {words}{share}")
    return "; ".join(parts)


def _table(summary: Summary, rows: Sequence[Row]) -> Iterator[str]:
    shown = rows[:ROWS_SHOWN]
    hosts = max(len("host"), *(len(row.host or "-") for row in shown))
    names = max(len(_named(row.rule)) for row in shown)
    yield styled(f"{'host':{hosts}}  {'rule':{names}}  sessions  findings  now        proposed", Style.FAINT)
    for row in shown:
        left = f"{row.host or '-':{hosts}}  {styled(row.rule, Style.CODE)}{_named(row.rule)[5:]:{names - 5}}"
        counts = f"{summary.affected[row]:8,}  {summary.findings[row]:8,}"
        mark = "  changed" if row.changed else ""
        yield f"{left}  {counts}  {_verdict(row.now, 9)}  {_verdict(row.proposed, 9)}{mark}".rstrip()
    if len(rows) > len(shown):
        yield styled(f"... and {_counted(len(rows) - len(shown), 'more row')}; --json has all", Style.FAINT)


def _changes(summary: Summary, zone: tzinfo) -> Iterator[str]:
    total = summary.findings.total()
    yield ""
    if not summary.changed_findings:
        if total:
            yield "No verdict would change."
        return
    yield styled(
        f"{summary.changed_findings:,} of {_counted(total, 'finding')} would get another verdict, "
        f"in {_counted(summary.changed_sessions, 'session')}:",
        Style.WARNING,
    )
    for played, changes in summary.changes[:CHANGES_SHOWN]:
        yield f"  {_whose(played, zone)}"
        for change in changes[:5]:
            yield f"    {_change(change)}"
        if len(changes) > 5:
            yield styled(f"    ... and {len(changes) - 5} more", Style.FAINT)
    more = summary.changed_sessions - min(len(summary.changes), CHANGES_SHOWN)
    if more:
        yield styled(f"  ... and {_counted(more, 'more session')}; --json names a thousand", Style.FAINT)


def _whose(played: Played, zone: tzinfo) -> str:
    host = f"{_endpoint(played)} " if played.host else ""
    when = f" {_clock(played.at, zone)}" if played.at is not None else ""
    remark = f" ({played.remark})" if played.remark else ""
    return f"{host}{styled(played.name, Style.CODE)}{when}{remark}"


def _endpoint(played: Played) -> str:
    return f"[{played.host}]:{played.port}" if ":" in played.host else f"{played.host}:{played.port}"


def _change(change: Change) -> str:
    one = change.proposed
    place = f"command {one.command}" if one.command else "no command"
    verdicts = f"{_verdict(change.now.verdict)} -> {_verdict(one.verdict)}"
    times = f" ({change.times} times)" if change.times > 1 else ""
    return f"{styled(one.rule, Style.CODE)} {place}{times}: {verdicts}  {change.now.line or one.line}".rstrip()


def _verdict(word: str, width: int = 0) -> str:
    looks = _LOOKS.get(word)
    return (styled(word, looks) if looks else word) + " " * (width - len(word))


def _named(rule_id: str) -> str:
    rule = CATALOGUE.get(rule_id)
    return f"{rule_id} {rule.name}" if rule else rule_id


def _counted(count: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def _clock(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_object(summary: Summary, sources: Sequence[str]) -> dict[str, Any]:
    """Return the sums, all rows, and the first thousand sessions with another verdict."""
    return {
        "sources": dict(Counter(sources)),
        "sessions": summary.sessions,
        "hosts": len(summary.hosts - {""}),
        "first": _rfc3339(summary.first),
        "last": _rfc3339(summary.last),
        "judged": dict(summary.seen),
        "opaque_share": summary.seen["until-starttls"] / summary.sessions if summary.sessions else 0.0,
        "findings": summary.findings.total(),
        "changed_findings": summary.changed_findings,
        "changed_sessions": summary.changed_sessions,
        "consequences": summary.consequences,
        "rows": [_row_object(summary, row) for row in summary.rows()],
        "changes": [
            session_object(played) | {"findings": [_finding_object(change) for change in changes]}
            for played, changes in summary.changes
        ],
    }


def _row_object(summary: Summary, row: Row) -> dict[str, Any]:
    rule = CATALOGUE.get(row.rule)
    return {
        "host": row.host or None,
        "rule": row.rule,
        "name": rule.name if rule else None,
        "sessions": summary.affected[row],
        "findings": summary.findings[row],
        "now": row.now,
        "proposed": row.proposed,
        "changed": row.changed,
    }


def session_object(played: Played) -> dict[str, Any]:
    """Return one session with all its findings."""
    return {
        "source": played.source,
        "session": played.name,
        "host": played.host or None,
        "port": played.port or None,
        "began": _rfc3339(played.at),
        "listener": played.listener or None,
        "judged": played.seen,
        "remark": played.remark or None,
        "consequences": played.proposed.consequences,
        "findings": [_finding_object(change) for change in pairs(played)],
    }


def _finding_object(change: Change) -> dict[str, Any]:
    one = change.proposed
    return {
        "rule": one.rule,
        "now": change.now.verdict,
        "proposed": one.verdict,
        "command": one.command,
        "line": change.now.line or one.line,
        "times": change.times,
    }


def _rfc3339(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

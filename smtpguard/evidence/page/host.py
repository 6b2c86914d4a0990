"""One host of the page: when, how often, what it calls itself, each thing it did with the cure, and one session."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smtpguard.evidence.page.transcript import Shown, transcript
from smtpguard.evidence.report.figures import Host, Report
from smtpguard.evidence.report.words import named, percent, remedy, rule_cure, several, situation, thousands
from smtpguard.evidence.store import Store
from smtpguard.evidence.wording import shown


def host_told(host: Host, place: int, report: Report, store: Store, *, full: bool) -> Mapping[str, Any]:
    """Return what the template says of a host; `place` makes its id.

    Raises:
        StoreError: a file cannot be read (74).
    """
    row, period = host.row, report.scope.period
    worst = host.offences[0]
    return {
        "id": f"host-{place}",
        "name": shown(row.name),
        "summary": f"{thousands(row.affected)} of {thousands(row.sessions)} sessions ({percent(row.share)}), "
        f"most often {named(worst.rule)}",
        "facts": [
            ("first seen", period.shown(row.first_seen)),
            ("last seen", period.shown(row.last_seen)),
            ("findings", thousands(row.findings)),
            ("trend", f"{row.trend.word}: {row.trend.earlier} in the first half, {row.trend.later} in the second"),
            ("EHLO or HELO", _listed(host.helos)),
            ("listener", _listed(host.listeners)),
        ],
        "offences": [
            {
                "rule": named(each.rule),
                "figures": f"{several(each.findings, 'finding')} in {several(each.affected, 'session')}, "
                f"{period.shown(each.first_seen)} to {period.shown(each.last_seen)}",
                "text": " ".join(filter(None, (situation(each.rule), remedy(each.cause), rule_cure(each.rule)))),
            }
            for each in host.offences
        ],
        "transcript": _session(host, store, full=full),
    }


LISTED: Final = 5
"""Names that are shown of a host that has many."""


def _listed(names: Sequence[str]) -> str:
    told = ", ".join(shown(name) or "(none)" for name in names[:LISTED])
    return told + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _session(host: Host, store: Store, *, full: bool) -> Shown:
    """Return the latest session with what the host does in most sessions."""
    offence = host.offences[0]
    stored = store.session(offence.session)
    return transcript(stored, offence.session, offence.rule, full=full)

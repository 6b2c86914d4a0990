"""What `replay` must say of the day: of the guard's own audit, and of tcpdump's capture, which the guard never saw.

Each is compared with the live audit finding by finding: rule, verdict, number and text of the command at fault. (That
the live audit is what the truth says, `verify` has told.) Under unchanged rules nothing may change.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.against.day.truth import Planned
from tests.against.day.verify import Event

Key = tuple[str, int]

LINE_SHOWN = 150
"""Characters of a line that are compared: the two cut long ones at different lengths."""


class Finding(NamedTuple):
    """One finding, as the audit and `replay` both tell it."""

    rule: str
    verdict: str
    command: int
    line: str


class Session(NamedTuple):
    """One session."""

    findings: Counter[Finding]
    consequences: int


def live(audit: Iterable[Event]) -> dict[Key, Session]:
    """Gather what the guard said while it happened."""
    held = dict[Key, Session]()
    for event in audit:
        key, smtp = (event["source"]["ip"], event["source"]["port"]), event["smtp"]
        session = held.setdefault(key, Session(Counter(), 0))
        if "rule" not in event:
            held[key] = session._replace(consequences=smtp["counts"][5])
        elif not smtp["consequence"]:
            line = smtp.get("line", "")[:LINE_SHOWN]
            session.findings[Finding(event["rule"]["id"], smtp["verdict"], smtp["command_number"], line)] += 1
    return held


def disagreements(said: str, wanted: dict[Key, Session], planned: Iterable[Planned]) -> Iterator[str]:
    """Compare what `replay --json --sessions` prints, for these sessions and no others."""
    rows = [json.loads(line) for line in said.splitlines()]
    told = {(row["host"], row["port"]): row for row in rows[:-1]}
    if len(told) != len(rows) - 1:
        yield f"{len(rows) - 1} rows for {len(told)} sessions"
    titles = {(one.ip, one.port): one.title for one in planned}
    yield from (f"{key} is none of the day's sessions" for key in told.keys() - titles.keys())
    for key, title in titles.items():
        if key not in told:
            yield f"{key} ({title}): not replayed"
            continue
        session = wanted.get(key, Session(Counter(), 0))
        yield from (f"{key} ({title}): {point}" for point in _of_session(told[key], session))


def _of_session(row: dict[str, Any], session: Session) -> Iterator[str]:
    for side in ("now", "proposed"):
        came = Counter(
            Finding(found["rule"], found[side], found["command"], found["line"][:LINE_SHOWN])
            for found in row["findings"]
            # What this side has not.
            if found[side] != "off"
        )
        if came != session.findings:
            more, less = list(came - session.findings), list(session.findings - came)
            yield f"{side}, judged {row['judged']}: {more}, not {less}"
    if row["consequences"] != session.consequences:
        yield f"{row['consequences']} consequences, not {session.consequences}"

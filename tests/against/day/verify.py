"""The audit against the truth: session by session, to the last finding, cause and count.

This reads the files by itself: what the product's own reader says of them is compared with the truth in `verbs`.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.against.day.kinds import Found
from tests.against.day.truth import Planned, Truth

Event = dict[str, Any]

_NOT_BLAMED: Final = ("SG5", "SG6")


def seconds(timestamp: str) -> float:
    """Return an RFC 3339 time of the audit as seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


def segments(audit: Path) -> list[Path]:
    """Return the files of an audit, oldest first; of one that is there twice the plain one."""
    files = sorted(audit.glob("events/*/*.jsonl")) + sorted(audit.glob("events/*/*.jsonl.gz"))
    return sorted(file for file in files if file.suffix != ".gz" or not file.with_suffix("").exists())


def events(audit: Path) -> Iterator[Event]:
    """Yield all whole lines of an audit."""
    for file in segments(audit):
        octets = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        yield from (json.loads(line) for line in octets.split(b"\n")[:-1])


@dataclass
class Recorded:
    """What the audit holds of one session."""

    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(rule, cause) -> findings that CLIENT is blamed for."""
    consequences: Counter[tuple[str, str]] = field(default_factory=Counter)
    facts: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: int = 0
    """Events without a rule."""
    ends: list[Event] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Put one event where it belongs."""
        if event["event"]["action"] == "session-end":
            self.ends.append(event)
        elif "rule" not in event:
            self.others += 1
        else:
            rule, smtp = event["rule"]["id"], event["smtp"]
            where = self.consequences if smtp["consequence"] else self.found
            (self.facts if rule.startswith(_NOT_BLAMED) else where)[rule, smtp["cause"]] += 1


def recorded(audit: Iterable[Event]) -> dict[tuple[str, int], Recorded]:
    """Gather events by the session's address and port."""
    by_session = defaultdict[tuple[str, int], Recorded](Recorded)
    for event in audit:
        by_session[event["source"]["ip"], event["source"]["port"]].take(event)
    return by_session


def disagreements(truth: Truth, audit: Iterable[Event]) -> Iterator[str]:
    """Yield every point in which an audit is not what the truth says."""
    held = recorded(audit)
    for one in truth.kept():
        session = held.pop((one.ip, one.port), None)
        wrong = ["not in the audit"] if session is None else list(_of_session(one, session))
        yield from (f"session {one.number} ({one.title}), {one.ip}:{one.port}: {point}" for point in wrong)
    for (ip, port), session in held.items():
        yield f"in the audit and not in the truth: {ip}:{port}, {len(session.ends)} ends, {dict(session.found)}"


def _of_session(one: Planned, session: Recorded) -> Iterator[str]:
    kind = one.kind
    for what, wanted, came in (
        ("findings", kind.found, session.found),
        ("consequences", kind.consequences, session.consequences),
        ("facts", kind.facts, session.facts),
    ):
        if _counted(wanted) != came:
            yield f"{what} {dict(came)}, not {dict(_counted(wanted))}"
    if session.others or len(session.ends) != 1:
        yield f"{len(session.ends)} session-ends, {session.others} events without a rule"
        return
    smtp = session.ends[0]["smtp"]
    rules = {one.rule: one.count for one in (*kind.found, *kind.facts)}
    told: dict[str, tuple[object, object]] = {
        "rules": (smtp.get("rules", {}), rules),
        "visible": (smtp.get("visible", "full"), kind.visible),
        "close": (smtp["close"] if kind.close else "", kind.close),
        "messages": (smtp["counts"][2], kind.messages),
        "consequences counted": (smtp["counts"][5], sum(found.count for found in kind.consequences)),
    }
    yield from (f"{what}: {came}, not {wanted}" for what, (came, wanted) in told.items() if came != wanted)
    yield from _of_transcript(one, smtp)


def _of_transcript(one: Planned, smtp: Event) -> Iterator[str]:
    """Compare the rules that lines of the transcript are marked with."""
    kind, transcript = one.kind, smtp.get("transcript", [])
    wanted = Counter(_by_rule((*kind.found, *kind.consequences, *kind.facts)))
    marked = Counter(rule for line in transcript for rule in line.get("rules", ()))
    if marked != wanted:
        yield f"lines marked {dict(marked)}, not {dict(wanted)}"
    if transcript and not wanted and kind.close == "quit":
        yield "a session in order, with a transcript"


def _counted(found: Iterable[Found]) -> Counter[tuple[str, str]]:
    return Counter({(one.rule, one.cause): one.kept for one in found})


def _by_rule(found: Iterable[Found]) -> dict[str, int]:
    sums = Counter[str]()
    for one in found:
        sums[one.rule] += one.count
    return dict(sums)

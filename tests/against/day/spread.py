"""A copy of the audit whose minutes stand for a week, for what a report shows over time.

Each session's end moves by a linear map of the run's first and last second onto `DAYS` days that end where the run
ended; what else is said in a session keeps its distance from the end. Nothing but `@timestamp` and
`smtp.session.start` changes: `event.id` tells the real time still. `map.json` beside the copy records the map.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.against.day.truth import DAYS
from tests.against.day.verify import Event, events, seconds

SECONDS: Final = DAYS * 86400


def written(at: float) -> str:
    """Return seconds since the epoch as the audit writes them."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spread(audit: Path, copy: Path) -> dict[str, Any]:
    """Write the copy, and return the map."""
    whole = list(events(audit))
    ends = {one["smtp"]["session"]["id"]: seconds(one["@timestamp"]) for one in whole if _is_end(one)}
    first, last = min(ends.values()), max(ends.values())
    stretch = SECONDS / (last - first)
    shift = {session: (last - end) * (1 - stretch) for session, end in ends.items()}
    lines = dict[Path, list[tuple[float, bytes]]]()
    for one in whole:
        at = seconds(one["@timestamp"]) + shift[one["smtp"]["session"]["id"]]
        lines.setdefault(_segment(copy, at), []).append((at, _moved(one, at)))
    for segment, held in lines.items():
        segment.parent.mkdir(parents=True, exist_ok=True)
        segment.write_bytes(b"".join(line for _, line in sorted(held, key=lambda pair: pair[0])))
    told = {
        "what": "timestamps of a copy, not of the run: a session's end at t is told as last - (last - t) * stretch",
        "first": written(first), "last": written(last), "stretch": stretch, "days": DAYS,
    }  # fmt: skip
    (copy / "map.json").write_text(json.dumps(told, indent=1))
    return told


def _is_end(event: Event) -> bool:
    return bool(event["event"]["action"] == "session-end")


def _moved(event: Event, at: float) -> bytes:
    by = at - seconds(event["@timestamp"])
    event["@timestamp"] = written(at)
    session = event["smtp"]["session"]
    if "start" in session:
        session["start"] = written(seconds(session["start"]) + by)
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _segment(copy: Path, at: float) -> Path:
    moment = datetime.fromtimestamp(at, UTC)
    return copy / "events" / f"{moment:%Y-%m-%d}" / f"spread-w0-{moment:%H}.jsonl"

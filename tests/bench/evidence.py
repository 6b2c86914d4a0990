"""What smtpguard's audit says of the sessions of the bench: NDJSON segments, `events/*/*.jsonl`, whole or gzipped."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def actions(directory: Path) -> Counter[str]:
    """Count the events of an audit directory by `event.action`."""
    return Counter(json.loads(line)["event"]["action"] for line in _lines(directory))


def octets(directory: Path) -> int:
    """Return the size of all events, uncompressed."""
    return sum(map(len, _lines(directory)))


def _lines(directory: Path) -> Iterator[bytes]:
    for segment in sorted(directory.glob("events/*/*.jsonl*")):
        with gzip.open(segment) if segment.suffix == ".gz" else segment.open("rb") as lines:
            yield from lines

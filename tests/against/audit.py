"""The audit read back as its files say it: DIRECTORY/events/*/*.jsonl, one JSON object a line; older ones gzipped."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.against.deadline import wait_until

Event = dict[str, Any]


def rule_of(event: Event) -> str:
    """Return the rule's id, empty for an event that is no finding."""
    found = event.get("rule", {}).get("id", "")
    assert isinstance(found, str)
    return found


def _octets(file: Path) -> bytes:
    octets = file.read_bytes()
    return gzip.decompress(octets) if file.suffix == ".gz" else octets


class Audit:
    """What stands in one audit directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def events(self) -> list[Event]:
        """Return all whole lines so far, oldest first."""
        packed = {file.with_suffix(""): file for file in self.directory.glob("events/*/*.jsonl.gz")}
        files = packed | {file: file for file in self.directory.glob("events/*/*.jsonl")}
        lines = [line for _, file in sorted(files.items()) for line in _octets(file).split(b"\n")[:-1]]
        return [json.loads(line) for line in lines]

    def findings(self, client_port: int | None = None) -> list[Event]:
        """Return the findings, of the one session that a client's port had or of all."""
        found = [event for event in self.events() if rule_of(event)]
        return [event for event in found if client_port in (None, event["source"]["port"])]

    def ends(self) -> list[Event]:
        """Return the events that close a session."""
        return [event for event in self.events() if event["event"]["action"] == "session-end"]

    def wait_for_end(self, client_port: int, seconds: float = 20.0) -> Event:
        """Return the `session-end` of a client, when it has been written; its findings stand before it."""

        def ended() -> list[Event]:
            return [event for event in self.ends() if event["source"]["port"] == client_port]

        return wait_until(ended, f"the session-end of client port {client_port}", seconds)[0]

"""The running guard's log and audit, read back from the files that it writes.

Both are read as `tail -f` would: what has been read is not read again, and a line counts when its line end is there.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import trio

from smtpguard.demo.errors import DemoError

Event = dict[str, Any]
"""One line of the audit, as its JSON says it."""
Client = tuple[str, int]
"""Address and port, by which log and audit name a client."""

_DISCONNECT: Final = re.compile(r"\A\S+ \S+ \S+: disconnect from unknown\[([^\]]+)\]:([0-9]+)(?: |$)")
"""The line that closes a session; the lines of its findings stand before it."""

PAUSE: Final = 0.05
"""Seconds between two looks."""
PATIENCE: Final = 15.0
"""Seconds until the guard must have written what it saw; it writes once a second."""


class Tail:
    """A file that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[str]:
        """Return the whole lines that came since the last look; a file that is not there has none."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                octets = file.read()
        except FileNotFoundError:
            return []
        whole = octets[: octets.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode("utf-8", "replace").splitlines()


class Readback:
    """What the guard wrote so far: `lines` of its log, `events` of its audit, both oldest first."""

    def __init__(self, log: Path, audit: Path) -> None:
        self._log = Tail(log)
        self._audit = audit
        self._segments: dict[Path, Tail] = {}
        self.lines: list[str] = []
        self.events: list[Event] = []
        # Counted, for a port may come back within a run of many sessions.
        self._ended = Counter[Client]()
        self._disconnected = Counter[Client]()

    def look(self) -> list[str]:
        """Read what is new, and return the new lines of the log."""
        fresh = self._log.read()
        self.lines += fresh
        self._disconnected.update((gone[1], int(gone[2])) for line in fresh if (gone := _DISCONNECT.search(line)))
        for path in sorted(self._audit.glob("events/*/*.jsonl")):
            found = [json.loads(line) for line in self._segments.setdefault(path, Tail(path)).read()]
            self.events += found
            self._ended.update(client_of(each) for each in found if each["event"]["action"] == "session-end")
        return fresh

    async def wait_for(self, clients: Iterable[Client]) -> None:
        """Return when the sessions of these clients have ended in the audit and in the log, one for each time named.

        Raises:
            DemoError: not within `PATIENCE`.
        """
        wanted = Counter(clients)
        with trio.move_on_after(PATIENCE):
            while not (wanted <= self._ended and wanted <= self._disconnected):
                await trio.sleep(PAUSE)
                self.look()
            return
        raise DemoError(f"the guard has not written its evidence within {PATIENCE:g} s; is the disk full?", 69)

    def findings_of(self, clients: Iterable[Client]) -> list[Event]:
        """Return the findings about these clients."""
        wanted = set(clients)
        return [each for each in self.events if "rule" in each and client_of(each) in wanted]

    def log_of(self, clients: Iterable[Client]) -> list[str]:
        """Return the lines that tell a finding about these clients."""
        wanted = {f"unknown[{host}]:{port}" for host, port in clients}
        lines = (line for line in self.lines if " NOQUEUE: " in line)
        return [line for line in lines if _client_named(line) in wanted]

    def by_rule(self, clients: Iterable[Client]) -> Counter[tuple[str, str]]:
        """Count the findings about these clients by rule and host, those that are nobody's fault left out."""
        blamed = (each for each in self.findings_of(clients) if not each["smtp"].get("consequence"))
        return Counter((each["rule"]["id"], each["source"]["ip"]) for each in blamed)


def client_of(event: Event) -> Client:
    """Return host and port of the client that an event is about."""
    return event["source"]["ip"], event["source"]["port"]


def _client_named(line: str) -> str:
    """Return the client of a `NOQUEUE:` line: the third word behind it, `RCPT from unknown[192.0.2.1]:1025:`."""
    words = line.partition(" NOQUEUE: ")[2].split(" ", 4)
    return words[3].removesuffix(":") if len(words) > 3 else ""

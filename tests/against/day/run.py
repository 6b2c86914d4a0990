"""The day from its plan to what was recorded: the truth first, then the traffic."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import trio

from tests.against.day.house import house
from tests.against.day.players import Day
from tests.against.day.truth import Truth, plan
from tests.against.day.verify import events
from tests.against.deadline import RANDOM, wait_until

FIRST_PORTS: Final = (33_000, 55_000)
"""Where the clients' ports of a run begin."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run was."""

    sessions: int
    seconds: float
    """From the first octet to the end of the last session."""
    seconds_with_servers: float
    truth_sha256: str
    """Of `truth.json`, taken before the first octet."""
    capture: str
    """What tcpdump says of itself; empty without one."""
    otherwise: list[str]
    """Sessions that were not played as planned."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What a run leaves behind."""

    out: Path

    @property
    def truth(self) -> Path:
        """The truth, written first."""
        return self.out / "truth.json"

    @property
    def audit(self) -> Path:
        """`audit.directory` of the guard."""
        return self.out / "audit"

    @property
    def spread(self) -> Path:
        """The copy with a week's timestamps."""
        return self.out / "spread"

    @property
    def log(self) -> Path:
        """The operator log."""
        return self.out / "log"

    @property
    def capture(self) -> Path:
        """tcpdump's file."""
        return self.out / "capture.pcap"

    @property
    def ports(self) -> Path:
        """The listener's name -> its port, as JSON: what `replay --port` needs."""
        return self.out / "ports.json"

    @property
    def figures(self) -> Path:
        """`Figures` as JSON."""
        return self.out / "figures.json"


def day(out: Path, *, sessions: int, seed: int, capturing: bool) -> tuple[Truth, Figures]:
    """Plan, write the truth, play, and stop the servers, so that all is on the disk.

    Raises:
        FileExistsError: another day's audit is in `out`.
        RuntimeError: the guard did not end well.
    """
    if Folder(out).audit.exists():
        raise FileExistsError(f"{out} holds another day")
    folder, began = Folder(out), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    truth = Truth(seed, plan(seed, sessions, RANDOM.randrange(*FIRST_PORTS)))
    with house(out) as running:
        folder.ports.write_text(json.dumps(running.ports))
        capture = running.capture(folder.capture) if capturing else None
        truth.write(folder.truth)
        digest = hashlib.sha256(folder.truth.read_bytes()).hexdigest()
        played, first_octet = Day(truth, running.ports), time.monotonic()
        trio.run(played.play)
        _wait_for_ends(folder.audit, truth)
        seconds = time.monotonic() - first_octet
        said = capture.close() if capture else ""
        if code := running.guard.stop():
            raise RuntimeError(f"the guard ended with {code}: {running.guard.said()}")
    figures = Figures(sessions, seconds, time.monotonic() - began, digest, said, played.otherwise)
    folder.figures.write_text(json.dumps(asdict(figures), indent=1))
    return truth, figures


def _wait_for_ends(audit: Path, truth: Truth) -> None:
    """Return when the audit holds as many session-ends as there were sessions, or does not grow to that."""
    awaited = sum(1 for _ in truth.kept())

    def ended() -> bool:
        return sum(1 for event in events(audit) if event["event"]["action"] == "session-end") >= awaited

    try:
        wait_until(ended, "the last session-end", 20, pause=0.5)
    except TimeoutError:
        pass  # what is missing will be said session by session

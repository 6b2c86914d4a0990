"""The order of a bench: start all, warm up, rounds in random order, idle sessions, stop all, count.

Two counts are held against what the load program heard: messages and octets at the sink, after every load, and the
`session-end` events of smtpguard's audit, at the end. A difference is kept as a sentence in `Result.differences`.
"""

import random
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from tests.bench import evidence, meter, peers
from tests.bench.peers import DIRECT, SMTPGUARD, Place, Relay, running
from tests.bench.programs import Heard, Load, LoadFailed, Programs, Sink
from tests.bench.rows import LOADS, Measure, Row, Sample

T = TypeVar("T")

WARM_UP: Final = Load(sessions=200, parallel=20, lines=13)
FIRST: Final = Load(sessions=1, parallel=1, lines=1)

READY_SECONDS: Final = 15.0
"""Until a relay that listens serves: smtpguard answers 421 while it has not looked at its upstream."""

IDLE_ROUNDS: Final = 3
"""Memory hardly differs from round to round."""

IDLE_PARALLEL: Final = 64
"""Sessions opened at once on the way to all that stay idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do: rows, peers, rounds, the loads by name, how many sessions stay idle, and the Python to run."""

    rows: Sequence[Row]
    peers: Sequence[str]
    rounds: int
    loads: dict[str, Load]
    idle: int
    python: str

    @property
    def load_names(self) -> list[str]:
        """Name the loads that the rows want."""
        wanted = {name for row in self.rows for name in row.loads}
        return [name for name in LOADS if name in wanted]

    @property
    def wants_memory(self) -> bool:
        """Tell whether idle sessions are to be held."""
        return any(row.measure is Measure.MEMORY for row in self.rows)


@dataclass(slots=True)
class Result:
    """What came out: for each peer its samples by load, a mapping a round, and octets of memory per idle session."""

    samples: dict[str, list[dict[str, Sample]]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    counts: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def values(self, row: Row, peer: str) -> list[float]:
        """Return a row's figures of a peer, one a round; CPU of `direct`, which is nobody's, is none."""
        if row.measure is Measure.MEMORY:
            return [octets / 1024 for octets in self.memory[peer]]
        if peer == DIRECT and row.measure not in (Measure.RCPT_P50, Measure.RCPT_P99):
            return []
        return [row.value(samples) for samples in self.samples[peer]]


class Campaign:
    """One bench in a folder. `run` raises `LoadFailed` and `peers.StartFailed`."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._programs = Programs(folder)
        self._result = Result()
        self._audits: list[Audit] = []

    def run(self) -> Result:
        """Measure everything and stop everything."""
        with self._programs.sink() as sink:
            with ExitStack() as stack:
                relays = [stack.enter_context(running(name, self._place(name, sink))) for name in self._plan.peers]
                for relay in relays:
                    self._result.commands[relay.name] = relay.command
                    self._warm_up(relay, sink)
                for number in range(self._plan.rounds):
                    self._say(f"round {number + 1} of {self._plan.rounds}")
                    self._round(relays, sink)
            for number in range(min(self._plan.rounds, IDLE_ROUNDS) if self._plan.wants_memory else 0):
                self._say(f"{self._plan.idle} idle sessions, {number + 1}")
                for name in _shuffled([name for name in self._plan.peers if name != DIRECT]):
                    self._hold(name, sink)
            taken = sink.taken()
        self._result.counts.append(f"sink: {taken.messages} messages, {taken.octets} octets of content")
        self._count_evidence()
        return self._result

    def _place(self, name: str, sink: Sink, use: str = "rounds") -> Place:
        """Choose where a relay runs; `direct` is the sink's own place."""
        return Place(
            port=sink.port if name == DIRECT else _free_port(),
            upstream=sink.port,
            folder=self._folder / f"{name}-{use}",
            sessions=peers.carried(self._plan.idle + 1000),
            python=self._plan.python,
        )

    def _warm_up(self, relay: Relay, sink: Sink) -> None:
        """Wait until the relay serves, then let it run itself in; its sessions in the audit count from here on."""
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._programs.run(FIRST, relay.place.port)
                break
            except LoadFailed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        if relay.name == SMTPGUARD:
            time.sleep(2 * relay.tick)
            self._audits.append(Audit(relay.place.audit, evidence.actions(relay.place.audit)["session-end"]))
        self._sample(relay, WARM_UP, sink)

    def _round(self, relays: Sequence[Relay], sink: Sink) -> None:
        samples: dict[str, dict[str, Sample]] = {relay.name: {} for relay in relays}
        for name in _shuffled(self._plan.load_names):
            for relay in _shuffled(relays):
                samples[relay.name][name] = self._sample(relay, self._plan.loads[name], sink)
        for peer, by_load in samples.items():
            self._result.samples[peer].append(by_load)

    def _sample(self, relay: Relay, load: Load, sink: Sink) -> Sample:
        """Put one load on one relay, and hold the sink's counts against it."""
        before_taken, before = sink.taken(), _cpu(relay)
        heard = self._programs.run(load, relay.place.port)
        if relay.pid is not None:
            meter.wait_quiet(relay.pid, tick=relay.tick)
        spent, taken = _cpu(relay) - before, sink.taken()
        self._compare(f"{relay.name}, messages at the sink", heard.messages, taken.messages - before_taken.messages)
        self._compare(f"{relay.name}, octets at the sink", heard.octets, taken.octets - before_taken.octets)
        self._told(relay, heard)
        return Sample(spent, heard)

    def _hold(self, name: str, sink: Sink) -> None:
        """Measure idle sessions in a fresh process: one that has served has free memory that would hide the growth."""
        count = self._plan.idle
        with running(name, self._place(name, sink, f"idle-{len(self._result.memory[name])}")) as relay:
            assert relay.pid is not None
            self._warm_up(relay, sink)
            before = meter.pss(relay.pid)
            load = Load(sessions=count, parallel=IDLE_PARALLEL, messages=0, lines=0)
            with self._programs.held(load, relay.place.port) as ends:
                meter.wait_quiet(relay.pid, tick=relay.tick)
                self._result.memory[name].append((meter.pss(relay.pid) - before) / count)
            self._told(relay, ends[0])

    def _told(self, relay: Relay, heard: Heard) -> None:
        """Remember the sessions that the relay's audit must hold."""
        for audit in self._audits:
            if audit.directory == relay.place.audit:
                audit.sessions += heard.sessions

    def _count_evidence(self) -> None:
        for audit in self._audits:
            counted = evidence.actions(audit.directory)
            ends = counted.pop("session-end", 0) - audit.before
            size = evidence.octets(audit.directory) // max(1, ends + audit.before + counted.total())
            others = ", ".join(f"{count} {action}" for action, count in counted.items()) or "nothing else"
            where = audit.directory.parent.name
            self._result.counts.append(f"{where}: {ends} session-end of {size} octets in the mean, {others}")
            self._compare(f"{where}, session-end in the audit", audit.sessions, ends)

    def _compare(self, what: str, heard: int, counted: int) -> None:
        """Keep a count that is not what the load program heard."""
        if heard != counted:
            self._result.differences.append(f"{what}: {counted}, where the load had {heard}")


@dataclass(slots=True)
class Audit:
    """An audit directory: its `session-end` events before the counted sessions, and those sessions."""

    directory: Path
    before: int
    sessions: int = 0


def _cpu(relay: Relay) -> int:
    return 0 if relay.pid is None else meter.cpu(relay.pid)


def _shuffled(things: Sequence[T]) -> list[T]:
    return random.sample(things, len(things))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

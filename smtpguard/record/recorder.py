"""The record room's one object: events in, operator log and audit out, and no session waits for either.

`observe` appends to a list and returns. Once a second `run` makes lines and audit objects of the list, in slices,
between which the loop is free, and hands each sink's octets to one thread call. While a thread is out its lane waits,
up to 16 MiB, then drops and counts. What was dropped is said in the operator log, at most once a minute for each
sink.

Whatever a client does, a session writes at most 20 lines about findings and 100 audit events; the rest is in the sums
at its end. A probe (no command, or only QUIT) is counted, and nothing else at level info.

All methods are called on the loop's thread.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import trio

from smtpguard import __version__
from smtpguard.record import lines
from smtpguard.record.audit import Auditor
from smtpguard.record.clock import hour_of
from smtpguard.record.lane import Lane
from smtpguard.record.lines import Level, Line
from smtpguard.record.log import LogSettings, OperatorLog, note, stack
from smtpguard.record.segments import Segments
from smtpguard.smtp import (
    Declined,
    Event,
    Finding,
    InspectionEnded,
    Link,
    SessionEnded,
    SessionStarted,
    Verb,
    Verdict,
)

TICK: Final = 1.0
"""Seconds between two batches."""

SLICE: Final = 200
"""Events made into text before the loop gets its turn: some 3 ms."""

LINES_PER_SESSION: Final = 20
"""Lines of one session about what was only noted, or was a consequence."""

EVENTS_PER_SESSION: Final = 100
"""Audit events of one session about the same."""

ANSWERED_PER_SESSION: Final = 200
"""Lines and events of one session about refusals, which no note may crowd out; a close is always written. Sessions end
after `limits.violations` of them, so the bound is met only where that is switched off."""

LOSSES_SAID_EVERY: Final = 60.0
"""Seconds between two warnings about one sink."""

TALLIES: Final = 65536
"""Sessions with findings that are remembered at once; sessions end, so it is a safety net."""

Observation = tuple[Link, float, Event] | Line


@dataclass(slots=True)
class _Tally:
    """What one session was given so far."""

    lines: int = 0
    events: int = 0
    answered_lines: int = 0
    answered_events: int = 0
    noticed: bool = False
    held_back: dict[str, int] = field(default_factory=dict)

    def admits_line(self, finding: Finding) -> bool:
        """Count a line about a finding, and tell whether it is written."""
        if _is_answered(finding):
            self.answered_lines += 1
            return self.answered_lines <= ANSWERED_PER_SESSION or finding.verdict is Verdict.CLOSE
        self.lines += 1
        return self.lines <= LINES_PER_SESSION

    def admits_event(self, event: Finding | Declined) -> bool:
        """Count an audit event, and tell whether it is kept."""
        if isinstance(event, Finding) and _is_answered(event):
            self.answered_events += 1
            return self.answered_events <= ANSWERED_PER_SESSION or event.verdict is Verdict.CLOSE
        self.events += 1
        return self.events <= EVENTS_PER_SESSION


def _is_check(link: Link, ended: SessionEnded) -> bool:
    """Tell whether a balancer looked if we are well: its own connection, no mail, and nothing to complain of."""
    return link.via == "local" and Verb.MAIL not in ended.commands and not ended.rules


def _is_answered(finding: Finding) -> bool:
    return finding.answer is not None and not finding.consequence


_NONE: Final = _Tally()


class Recorder:
    """The recorder of one process."""

    def __init__(
        self,
        log: LogSettings | None = None,
        *,
        audit_directory: Path | None = None,
        hostname: str = "localhost",
        worker: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the sinks and take loguru over.

        Args:
            log: where the operator log goes.
            audit_directory: where `events/` is made; None: no audit.
            hostname: short name of this machine, for prefixes, events and file names.
            worker: number of this process.
            clock: seconds since the epoch.

        Raises:
            OSError: the log's target cannot be opened. A bad audit directory is a warning: mail goes on.
        """
        self._clock = clock
        self._log = OperatorLog(log or LogSettings(), hostname=hostname)
        self._debugging = self._log.threshold <= Level.DEBUG
        self._auditor = Auditor(hostname=hostname, version=__version__)
        self._segments = Segments(audit_directory, hostname, worker) if audit_directory else None
        self._audit = Lane(self._segments.write) if self._segments else None
        self._observed: list[Observation] = []
        self._tallies: dict[str, _Tally] = {}
        self._unreachable: dict[tuple[str, str], int] = {}
        self._said: dict[str, float] = {}
        self.probes = 0
        """Sessions without a command, or with QUIT only, since the start."""
        self._prepare()

    def _prepare(self) -> None:
        if self._segments:
            try:
                self._segments.prepare()
            except OSError as error:
                self.note(
                    "warning", f"audit: {error.filename}: {error.strerror}; events are dropped until this is mended"
                )

    @property
    def boot(self) -> str:
        """The id of this run, which every audit event carries."""
        return self._auditor.numbering.boot

    @property
    def dropped(self) -> dict[str, int]:
        """Sink -> lines lost since the start."""
        return {name: lane.dropped for name, lane in self._lanes()}

    # --- in: never waits ---------------------------------------------------------------------------------------------

    def observe(self, link: Link, at: float, event: Event) -> None:
        """Take what happened: who, when (seconds since the epoch), what."""
        self._observed.append((link, at, event))

    def note(self, level: str, text: str) -> None:
        """Write an operational line: debug, info, warning or error.

        Raises:
            KeyError: there is no such level.
        """
        self._observed.append(note(self._clock(), Level[level.upper()], text))

    def bug(self, where: str, error: BaseException) -> None:
        """Write the stack of a bug of ours; `where` says in which session or task."""
        at = self._clock()
        self._observed += (note(at, Level.ERROR, f"{where}: internal error"), *stack(at, error))

    # --- out ---------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what was observed, every second, until cancelled; `close` writes the rest."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                await trio.sleep(TICK)
                await self._digest()
                for _, lane in self._lanes():
                    if lane.waiting and not lane.busy:
                        nursery.start_soon(lane.drain)

    async def _digest(self) -> None:
        """Make text of what was observed so far; what is observed meanwhile is for the next tick."""
        remaining = len(self._observed)
        while remaining > 0:
            taken = self._take(min(remaining, SLICE))
            remaining -= len(taken) or remaining
            self._record(taken)
            await trio.lowlevel.checkpoint()
        self._conclude()

    def flush_now(self) -> None:
        """Write all that was observed and wait for it, 5 s at most for each sink: for the end, and for tests."""
        self._record(self._take(len(self._observed)))
        self._conclude()
        for _, lane in self._lanes():
            lane.drain_now()

    def close(self) -> None:
        """Flush, say what was lost, close the sinks and give loguru back."""
        self.flush_now()
        self._said.clear()
        self._conclude()
        self._log.close()
        if self._segments:
            self._segments.close()

    # --- events into text --------------------------------------------------------------------------------------------

    def _take(self, count: int) -> list[Observation]:
        taken = self._observed[:count]
        del self._observed[:count]
        return taken

    def _record(self, observations: list[Observation]) -> None:
        written: list[Line] = []
        for one in observations:
            if isinstance(one, Line):
                written.append(one)
                continue
            link, at, event = one
            match event:
                case SessionStarted():
                    if self._debugging:
                        written.append(lines.started(link, at))
                case SessionEnded():
                    written += self._ended(link, at, event)
                case Finding():
                    written += self._found(link, at, event)
                case Declined():
                    written.append(lines.declined(link, at, event))
                    self._keep(link, at, event)
                case InspectionEnded():
                    written.append(lines.inspection_ended(link, at))
        self._log.put(written)

    def _found(self, link: Link, at: float, finding: Finding) -> Iterator[Line]:
        self._keep(link, at, finding)
        rule_id = finding.rule.id
        if rule_id == lines.SUMMED:
            key = link.upstream, finding.detail
            self._unreachable[key] = self._unreachable.get(key, 0) + 1
        line = lines.found(link, at, finding)
        if line.level < self._log.threshold:
            return
        tally = self._tally(link)
        tally.noticed = tally.noticed or line.level >= Level.INFO
        if tally.admits_line(finding):
            yield line
        else:
            tally.held_back[rule_id] = tally.held_back.get(rule_id, 0) + 1

    def _ended(self, link: Link, at: float, ended: SessionEnded) -> Iterator[Line]:
        tally = self._tallies.pop(link.session_id, _NONE)
        if _is_check(link, ended):
            ended = replace(ended, probe=True)
        if ended.probe:
            self.probes += 1
        elif self._audit:
            self._audit.offer(hour_of(at), self._auditor.session_end(link, at, ended))
        yield from lines.ended(
            link, at, ended, threshold=self._log.threshold, noticed=tally.noticed, held_back=tally.held_back
        )

    def _keep(self, link: Link, at: float, event: Finding | Declined) -> None:
        """Queue an audit event, within the bounds of its session."""
        if not self._audit:
            return
        if self._tally(link).admits_event(event):
            self._audit.offer(hour_of(at), self._auditor.line(link, at, event))

    def _tally(self, link: Link) -> _Tally:
        tally = self._tallies.get(link.session_id)
        if tally is None:
            if len(self._tallies) >= TALLIES:
                del self._tallies[next(iter(self._tallies))]
            tally = self._tallies[link.session_id] = _Tally()
        return tally

    # --- what a tick says about itself -------------------------------------------------------------------------------

    def _conclude(self) -> None:
        at = self._clock()
        summed = self._unreachable.items()
        said = [lines.unreachable(at, upstream, detail, count) for (upstream, detail), count in summed]
        self._unreachable = {}
        self._log.put([*said, *self._losses(at)])

    def _losses(self, at: float) -> Iterator[Line]:
        for name, lane in self._lanes():
            if at - self._said.get(name, -LOSSES_SAID_EVERY) < LOSSES_SAID_EVERY:
                continue
            loss = lane.take_losses()
            if loss.lines:
                self._said[name] = at
                yield note(at, Level.WARNING, f"{loss.lines} {name} lines dropped: {loss.reason}")

    def _lanes(self) -> tuple[tuple[str, Lane], ...]:
        return (("log", self._log.lane), ("audit", self._audit)) if self._audit else (("log", self._log.lane),)

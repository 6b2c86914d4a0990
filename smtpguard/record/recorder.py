"""The record room's one object: events in, operator log and audit out, and no session waits for either.

`observe` appends to a list and returns. Once a second `run` makes lines and audit objects of the list, in slices,
between which the loop is free, and hands each sink's octets to one thread call. While a thread is out its lane waits,
up to 16 MiB, then drops and counts. What was dropped is said in the operator log, at most once a minute for each
sink. While the audit cannot be written it is tried once a second, and `audit_failing` says why.

At the start and behind each hour `archive` keeps the audit's files in order, in a thread of its own.

Whatever a client does, a session writes at most 20 lines about findings and 100 audit events; the rest is in the sums
at its end. A probe (no command, or only QUIT) is counted, and nothing else at level info.

All methods are called on the loop's thread.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import trio

from smtpguard import __version__
from smtpguard.record import lines
from smtpguard.record.archive import RETENTION, Archive, Retention
from smtpguard.record.audit import Auditor
from smtpguard.record.clock import hour_of
from smtpguard.record.lane import Lane
from smtpguard.record.lines import Level, Line
from smtpguard.record.log import LogSettings, OperatorLog, note, stack
from smtpguard.record.privacy import PRIVACY, Privacy
from smtpguard.record.segments import Segments
from smtpguard.record.tally import Tally
from smtpguard.smtp import (
    Declined,
    Event,
    Finding,
    InspectionEnded,
    Link,
    SessionEnded,
    SessionStarted,
    Verb,
)

TICK: Final = 1.0
"""Seconds between two batches."""

SLICE: Final = 200
"""Events made into text before the loop gets its turn: some 3 ms."""

LOSSES_SAID_EVERY: Final = 60.0
"""Seconds between two warnings about one sink."""

TALLIES: Final = 65536
"""Sessions with findings that are remembered at once; sessions end, so it is a safety net."""

Observation = tuple[Link, float, Event] | Line


def _is_check(link: Link, ended: SessionEnded) -> bool:
    """Tell whether a balancer looked if we are well: its own connection, no mail, and nothing to complain of."""
    return link.via == "local" and Verb.MAIL not in ended.commands and not ended.rules


_NONE: Final = Tally()


class Recorder:
    """The recorder of one process."""

    def __init__(  # noqa: PLR0913 - each is decided elsewhere
        self,
        log: LogSettings | None = None,
        *,
        audit_directory: Path | None = None,
        retention: Retention = RETENTION,
        privacy: Privacy = PRIVACY,
        hostname: str = "localhost",
        worker: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the sinks and take loguru over.

        Args:
            log: where the operator log goes.
            audit_directory: where `events/` is made; None: no audit.
            retention: how much of the audit is kept.
            privacy: what of clients and their mail the audit does not hold.
            hostname: short name of this machine, for prefixes, events and file names.
            worker: number of this process.
            clock: seconds since the epoch.

        Raises:
            OSError: the log's target cannot be opened. A bad audit directory is a warning: mail goes on.
        """
        self._clock = clock
        self._log = OperatorLog(log or LogSettings(), hostname=hostname)
        self._debugging = self._log.threshold <= Level.DEBUG
        self._auditor = Auditor(hostname=hostname, version=__version__, privacy=privacy)
        self._segments = Segments(audit_directory, hostname, worker) if audit_directory else None
        self._audit = _audit_lane(self._segments, clock) if self._segments else None
        self._archive = Archive(self._segments.root, self._segments.stem, retention) if self._segments else None
        self._renewed = trio.Event()
        self._observed: list[Observation] = []
        self._tallies: dict[str, Tally] = {}
        self._unreachable: dict[tuple[str, str], int] = {}
        self._said: dict[str, float] = {}
        self.probes = 0
        """Sessions without a command, or with QUIT only, since the start."""
        self._prepare()

    def _prepare(self) -> None:
        if self._segments and self._audit:
            try:
                self._segments.prepare(hour_of(self._clock()))
            except OSError as error:
                self._audit.failing = error.strerror or str(error)
                where = error.filename or self._segments.root
                self.note("warning", f"audit: {where}: {error.strerror}; events are dropped until this is mended")

    @property
    def boot(self) -> str:
        """The id of this run, which every audit event carries."""
        return self._auditor.numbering.boot

    @property
    def dropped(self) -> dict[str, int]:
        """Sink -> lines lost since the start."""
        return {name: lane.dropped for name, lane in self._lanes()}

    @property
    def audit_failing(self) -> str:
        """Why the audit cannot be written; empty while it can, or where there is none."""
        return self._audit.failing if self._audit else ""

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

    def renew(self) -> None:
        """Have log and audit leave the files that are open for those of their names: at once, if `run` runs."""
        self._renewed.set()

    # --- out ---------------------------------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what was observed, every second, until cancelled; `close` writes the rest."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            nursery.start_soon(self._keep_house)
            while True:
                with trio.move_on_after(TICK):
                    await self._renewed.wait()
                await self._digest()
                renewed, self._renewed = self._renewed.is_set(), trio.Event()
                for _, lane in self._lanes():
                    if lane.waiting and not lane.busy:
                        nursery.start_soon(lane.drain)
                    if renewed:
                        nursery.start_soon(lane.renew)

    async def _keep_house(self) -> None:
        """Have the archive tidy up when an hour is over, for ever."""
        while self._archive and self._audit:
            at = self._clock()
            if self._archive.due(at):
                try:
                    # The lane's open file may be that of an hour that is over, so it is left first.
                    await trio.to_thread.run_sync(self._audit.renew_now, abandon_on_cancel=True)
                    troubles = await trio.to_thread.run_sync(self._archive.tidy, at, abandon_on_cancel=True)
                    for trouble in troubles:
                        self.note("warning", f"audit: {trouble}")
                except Exception as error:
                    self.bug("audit: archive", error)
            await trio.sleep(TICK)

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

    def _tally(self, link: Link) -> Tally:
        tally = self._tallies.get(link.session_id)
        if tally is None:
            if len(self._tallies) >= TALLIES:
                del self._tallies[next(iter(self._tallies))]
            tally = self._tallies[link.session_id] = Tally()
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


def _audit_lane(segments: Segments, clock: Callable[[], float]) -> Lane:
    return Lane(segments.write, renew=segments.close, probe=lambda: segments.probe(hour_of(clock())))

"""A lane carries lines from the loop to a sink that may stall: bounded, counted, one thread call at a time.

`offer` is called in the loop and never waits. `drain` hands all that has come to the writer in one thread call;
meanwhile lines wait, up to 16 MiB, then they are dropped and counted. `drain_now` is for the end: it waits, but only
so long.

A lane that lost lines is `failing` until lines are written again. Where a sink can be probed, a drain with no line to
write does that, so that it is found to be mended without a line being put at risk."""

import threading
from collections.abc import Callable
from typing import Final

import trio

from smtpguard.record.append import NO_LOSS, Loss

CAPACITY: Final = 16 * 1024 * 1024
"""Octets that may wait while the thread is out."""

PATIENCE: Final = 5.0
"""Seconds that the end of the program waits for a stalled sink. systemd kills after 90."""

STALLED: Final = "the sink is stalled"

Batch = list[tuple[int, bytes]]
"""Lines with their hours; one entry may be several lines."""


class Lane:
    """The way to one sink."""

    __slots__ = (
        "_batch", "_capacity", "_handed", "_limiter", "_lock", "_lost", "_probe", "_reason", "_renew", "_renewing",
        "_size", "_write", "busy", "dropped", "failing",
    )  # fmt: skip

    def __init__(
        self,
        write: Callable[[Batch], Loss],
        *,
        renew: Callable[[], None] | None = None,
        probe: Callable[[], str] | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        """Make a lane to a sink. The callables block, and are called from one thread at a time.

        Args:
            write: writes lines, and returns what was lost.
            renew: leaves the file that is open, for the one of its name.
            probe: says why lines could not be written now; empty if they could.
            capacity: octets that may wait.
        """
        self._write = write
        self._renew = renew
        self._probe = probe
        self._capacity = capacity
        self._limiter = trio.CapacityLimiter(1)
        self._lock = threading.Lock()
        self._batch: Batch = []
        self._handed: list[Batch] = []
        self._size = 0
        self._lost = 0
        self._reason = ""
        self._renewing = False
        self.busy = False
        self.dropped = 0
        """Lines lost since the start."""
        self.failing = ""
        """Why the last lines were lost; empty if they were written."""

    @property
    def waiting(self) -> bool:
        """True if there is something to drain, or to find out."""
        return bool(self._batch) or (self._probe is not None and bool(self.failing))

    def offer(self, hour: int, lines: bytes) -> None:
        """Queue whole lines, or drop and count them."""
        if self._size + len(lines) > self._capacity:
            self._lose(Loss(lines.count(b"\n"), STALLED))
            return
        self._batch.append((hour, lines))
        self._size += len(lines)

    async def drain(self) -> None:
        """Have one thread write all that waits; the caller sees to it that the lane is not busy."""
        self.busy = True
        self._hand_over()
        try:
            # Abandoned on cancel: a reader of our pipe that hangs must not keep the program from ending. If the cancel
            # comes before the thread begins, the batch stays handed over, and `drain_now` writes it.
            loss = await trio.to_thread.run_sync(self._write_handed, abandon_on_cancel=True, limiter=self._limiter)
            self._written(loss)
        finally:
            self.busy = False

    async def renew(self) -> None:
        """Have the sink leave the file that is open, behind what is being written; the next lines go to a new one."""
        if self._renew is None or self._renewing:
            return
        self._renewing = True
        try:
            await trio.to_thread.run_sync(self.renew_now, abandon_on_cancel=True, limiter=self._limiter)
        finally:
            self._renewing = False

    def renew_now(self) -> None:
        """Do the same; blocks, so called from threads only."""
        with self._lock:
            if self._renew is not None:
                self._renew()

    def drain_now(self, patience: float = PATIENCE) -> None:
        """Write all that waits, behind what a thread is still writing, or give it up after `patience` seconds."""
        self._hand_over()
        losses: list[Loss] = []
        # A daemon thread, so that a sink that never comes back does not keep the interpreter either.
        thread = threading.Thread(target=lambda: losses.append(self._write_handed()), daemon=True)
        thread.start()
        thread.join(patience)
        if thread.is_alive():
            given_up = sum(lines.count(b"\n") for batch in self._handed for _, lines in batch)
            self._handed.clear()
            self._lose(Loss(given_up, STALLED))
        for loss in losses:
            self._written(loss)

    def take_losses(self) -> Loss:
        """Return the losses since the last call."""
        loss = Loss(self._lost, self._reason)
        self._lost, self._reason = 0, ""
        return loss

    def _hand_over(self) -> None:
        if self._batch:
            self._handed.append(self._batch)
            self._batch, self._size = [], 0

    def _write_handed(self) -> Loss:
        """In a thread. The lock keeps batches in order when an abandoned thread is still at work."""
        loss = NO_LOSS
        with self._lock:
            if not self._handed and self._probe and self.failing:
                return Loss(0, self._probe())
            while self._handed:
                one = self._write(self._handed.pop(0))
                loss = Loss(loss.lines + one.lines, one.reason or loss.reason)
        return loss

    def _written(self, loss: Loss) -> None:
        """Take the word of the writer, or of the probe: a reason without a line is the probe's."""
        if loss.lines:
            self._lose(loss)
        self.failing = loss.reason

    def _lose(self, loss: Loss) -> None:
        self.failing = loss.reason
        self.dropped += loss.lines
        self._lost += loss.lines
        self._reason = loss.reason or self._reason

"""A lane carries lines from the loop to a sink that may stall: bounded, counted, one thread call at a time.

`offer` is called in the loop and never waits. `drain` hands all that has come to the writer in one thread call;
meanwhile lines wait, up to 16 MiB, then they are dropped and counted. `drain_now` is for the end: it waits, but only
so long."""

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
        "_batch", "_capacity", "_handed", "_limiter", "_lock", "_lost", "_reason", "_size", "_write", "busy", "dropped",
    )  # fmt: skip

    def __init__(self, write: Callable[[Batch], Loss], *, capacity: int = CAPACITY) -> None:
        """`write` blocks and is called from one thread at a time."""
        self._write = write
        self._capacity = capacity
        self._limiter = trio.CapacityLimiter(1)
        self._lock = threading.Lock()
        self._batch: Batch = []
        self._handed: list[Batch] = []
        self._size = 0
        self._lost = 0
        self._reason = ""
        self.busy = False
        self.dropped = 0
        """Lines lost since the start."""

    @property
    def waiting(self) -> bool:
        """True if there is something to drain."""
        return bool(self._batch)

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
            self._lose(loss)
        finally:
            self.busy = False

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
            self._lose(loss)

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
            while self._handed:
                one = self._write(self._handed.pop(0))
                loss = Loss(loss.lines + one.lines, one.reason or loss.reason)
        return loss

    def _lose(self, loss: Loss) -> None:
        self.dropped += loss.lines
        self._lost += loss.lines
        self._reason = loss.reason or self._reason

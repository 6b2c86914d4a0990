"""The way to a sink that may stall: bounded, in order, nothing lost at the end."""

import threading

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from smtpguard.record.append import NO_LOSS, Loss
from smtpguard.record.lane import Batch, Lane


class Sink:
    """Takes batches when it is let; a stalled one waits for `opened`."""

    def __init__(self, *, stalled: bool = False) -> None:
        self.lines: list[bytes] = []
        self._turn = threading.Lock()
        self.entered = threading.Event()
        self.opened = threading.Event()
        if not stalled:
            self.opened.set()

    def write(self, batch: Batch) -> Loss:
        """Keep the lines; two threads at a time are a fault of the lane."""
        if not self._turn.acquire(blocking=False):
            return Loss(len(batch), "two threads at a time")
        self.entered.set()
        self.opened.wait(30)
        self.lines += [lines for _, lines in batch]
        self._turn.release()
        return NO_LOSS


async def test_stalled_sink_is_bounded() -> None:
    """While the thread is out lines wait up to the capacity; the rest is dropped and counted, and nobody waits."""
    sink = Sink(stalled=True)
    lane = Lane(sink.write, capacity=10)
    lane.offer(0, b"first\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.drain)
        assert await trio.to_thread.run_sync(sink.entered.wait, 30)
        for lines in (b"2345\n", b"7890\n", b"x\n", b"y\nz\n"):
            lane.offer(0, lines)
        assert lane.busy
        assert lane.dropped == 3
        sink.opened.set()
    await lane.drain()
    assert sink.lines == [b"first\n", b"2345\n", b"7890\n"]
    assert lane.take_losses() == Loss(3, "the sink is stalled")
    assert lane.take_losses() == NO_LOSS
    assert lane.dropped == 3


async def test_losses_of_the_writer_are_counted() -> None:
    """What the writer says was lost adds up."""
    lane = Lane(lambda batch: Loss(len(batch), "No space left on device"))
    lane.offer(0, b"one\n")
    await lane.drain()
    lane.offer(0, b"two\n")
    lane.drain_now()
    assert lane.take_losses() == Loss(2, "No space left on device")


async def test_end_comes_behind_a_thread_that_is_out() -> None:
    """A cancel abandons the thread, yet its batch is written first, and whole, by the end of the program."""
    sink = Sink(stalled=True)
    lane = Lane(sink.write)
    lane.offer(0, b"one\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.drain)
        assert await trio.to_thread.run_sync(sink.entered.wait, 30)
        nursery.cancel_scope.cancel()
    lane.offer(0, b"two\n")
    sink.opened.set()
    lane.drain_now(patience=30)
    assert sink.lines == [b"one\n", b"two\n"]


async def test_cancel_before_the_thread_begins() -> None:
    """A batch that was handed over to a thread that never came is not lost."""
    sink = Sink()
    lane = Lane(sink.write)
    lane.offer(0, b"one\n")
    with trio.CancelScope() as scope:
        scope.cancel()
        await lane.drain()
    assert sink.lines == []
    assert not lane.busy
    lane.offer(0, b"two\n")
    lane.drain_now()
    assert sink.lines == [b"one\n", b"two\n"]


def test_end_does_not_wait_for_ever() -> None:
    """A sink that never comes back costs the program its patience, no more, and what waited is counted."""
    sink = Sink(stalled=True)
    lane = Lane(sink.write)
    lane.offer(0, b"one\n")
    lane.drain_now(patience=0.01)
    lane.offer(0, b"two\nthree\n")
    lane.drain_now(patience=0.01)
    assert lane.take_losses() == Loss(2, "the sink is stalled")
    sink.opened.set()


@pytest.mark.parametrize("count", [0, 3])
def test_nothing_waits_after_the_end(count: int) -> None:
    """`waiting` tells whether a thread is worth starting."""
    lane = Lane(Sink().write)
    for _ in range(count):
        lane.offer(0, b"x\n")
    assert lane.waiting is (count > 0)
    lane.drain_now()
    assert not lane.waiting


# --- a sink that fails -----------------------------------------------------------------------------------------------


class Trouble:
    """A sink with a reason not to write, which a test sets."""

    def __init__(self) -> None:
        self.reason = ""
        self.lines = 0
        self.probes = 0
        self.renewed = 0

    def write(self, batch: Batch) -> Loss:
        """Take the batch, or lose it."""
        self.lines += len(batch)
        return Loss(len(batch), self.reason) if self.reason else NO_LOSS

    def probe(self) -> str:
        """Say what is wrong."""
        self.probes += 1
        return self.reason

    def renew(self) -> None:
        """Count."""
        self.renewed += 1


async def test_a_failing_sink_is_probed() -> None:
    """Without a line to write it is asked at each drain, and never with one; then it is told to be well."""
    sink = Trouble()
    lane = Lane(sink.write, probe=sink.probe)
    await lane.drain()
    assert (lane.failing, lane.waiting, sink.probes) == ("", False, 0)
    sink.reason = "No space left on device"
    lane.offer(0, b"lost\n")
    await lane.drain()
    assert (lane.failing, lane.waiting) == (sink.reason, True)
    sink.reason = "Read-only file system"
    await lane.drain()
    assert (lane.failing, sink.probes, lane.dropped) == (sink.reason, 1, 1)
    sink.reason = ""
    await lane.drain()
    assert (lane.failing, lane.waiting, sink.probes) == ("", False, 2)
    assert lane.take_losses() == Loss(1, "No space left on device")


async def test_lines_tell_too_that_a_sink_is_well() -> None:
    """A write that loses nothing is as good as a probe."""
    sink = Trouble()
    lane = Lane(sink.write, probe=sink.probe)
    lane.failing = "it could not be opened"
    lane.offer(0, b"one\n")
    await lane.drain()
    assert (lane.failing, sink.lines, sink.probes) == ("", 1, 0)


def test_a_sink_that_cannot_be_probed() -> None:
    """Nobody asks it, so nothing is waiting for an answer."""
    sink = Trouble()
    lane = Lane(sink.write)
    sink.reason = "Broken pipe"
    lane.offer(0, b"lost\n")
    lane.drain_now()
    assert (lane.failing, lane.waiting) == ("Broken pipe", False)


def test_a_stalled_sink_is_failing() -> None:
    """What does not fit while the thread is out is lost, so the lane fails from then on."""
    lane = Lane(Trouble().write, capacity=3)
    lane.offer(0, b"too long\n")
    assert lane.failing == "the sink is stalled"
    lane.offer(0, b"ok\n")
    lane.drain_now()
    assert lane.failing == ""


async def test_renewed_behind_what_is_being_written() -> None:
    """The sink is renewed by a thread, once however often it was asked for meanwhile, behind the batch that is out."""
    sink, trouble = Sink(stalled=True), Trouble()
    lane = Lane(sink.write, renew=trouble.renew)
    lane.offer(0, b"one\n")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.drain)
        assert await trio.to_thread.run_sync(sink.entered.wait, 30)
        for _ in range(3):
            nursery.start_soon(lane.renew)
        await wait_all_tasks_blocked()
        assert trouble.renewed == 0
        sink.opened.set()
    assert trouble.renewed == 1
    await lane.renew()
    assert trouble.renewed == 2
    await Lane(sink.write).renew()

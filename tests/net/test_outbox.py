"""The outbox: one order, whichever task puts; a rest is drained by one task while others wait for it."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.net.outbox import SLICE, Outbox
from tests.net.streams import MemoryStream, lockstep_pair, memory_pair


def _outbox(capacity: int) -> tuple[Outbox, MemoryStream, MemoryStream]:
    near, far = memory_pair(far=capacity)
    return Outbox(near), near, far


async def test_what_goes_at_once_leaves_nothing() -> None:
    """Octets that the peer takes are gone when `put` returns, in one piece of several."""
    outbox, _, far = _outbox(100)
    outbox.put((b"one", memoryview(b"two"), b"three"))
    assert not outbox
    assert await far.receive_some(100) == b"onetwothree"


async def test_a_rest_waits_in_order() -> None:
    """What the peer does not take waits, and later octets behind it, although they would fit by themselves."""
    outbox, _, far = _outbox(4)
    outbox.put((b"first",))
    assert outbox
    assert await far.receive_some(100) == b"firs"
    outbox.put((b"ab",))
    assert far.unread == 0
    await outbox.flush()
    assert not outbox
    assert await far.receive_some(100) == b"tab"


async def test_two_tasks_flush_and_both_wait_to_the_end(autojump_clock: MockClock) -> None:
    """One drains, the other waits until it is empty, also of what was put meanwhile."""
    outbox, _, far = _outbox(3)
    done: list[str] = []

    async def flush(name: str) -> None:
        await outbox.flush()
        assert not outbox
        done.append(name)

    outbox.put((b"0123456789",))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush, "one")
        nursery.start_soon(flush, "two")
        await wait_all_tasks_blocked()
        outbox.put((b"abc",))
        came = b""
        while len(came) < 13:
            assert not done
            came += await far.receive_some(3)
            await wait_all_tasks_blocked()
    assert came == b"0123456789abc"
    assert sorted(done) == ["one", "two"]


async def test_progress_grows_by_slices(autojump_clock: MockClock) -> None:
    """A peer that takes a slice makes progress, one that takes a part of it does not."""
    outbox, _, far = _outbox(10)
    outbox.put((bytes(10 + 3 * SLICE),))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.flush)
        await wait_all_tasks_blocked()
        assert outbox.progress == 0
        seen = []
        while outbox:
            await far.receive_some(SLICE // 4)
            await wait_all_tasks_blocked()
            seen.append(outbox.progress)
    assert seen[0] == 0
    assert seen[-1] == 3
    assert seen == sorted(seen)


async def test_a_lost_peer_is_told_to_put_and_flush(autojump_clock: MockClock) -> None:
    """Both raise BrokenResourceError; a second task that waits is woken, and nobody spins."""
    outbox, near, far = _outbox(3)
    outbox.put((b"012345",))
    ended: list[str] = []

    async def flush() -> None:
        try:
            await outbox.flush()
        except trio.BrokenResourceError:
            outbox.abandon()
            ended.append("broken")
        else:
            ended.append("woken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush)
        nursery.start_soon(flush)
        await wait_all_tasks_blocked()
        far.cut()
        await wait_all_tasks_blocked()
    assert sorted(ended) == ["broken", "woken"]
    assert not outbox
    with pytest.raises(trio.BrokenResourceError):
        Outbox(near).put((b"x",))


async def test_abandoned_it_drops_everything() -> None:
    """What waited is gone and what comes is dropped, without an error."""
    outbox, _, far = _outbox(3)
    outbox.put((b"012345",))
    outbox.abandon()
    assert not outbox
    outbox.put((b"more",))
    await outbox.flush()
    assert not outbox
    assert far.unread == 3


async def test_abandoned_while_it_drains(autojump_clock: MockClock) -> None:
    """The draining task is not left in a loop: it ends when its stream does."""
    outbox, near, _ = _outbox(3)
    outbox.put((b"012345",))
    ended = False

    async def flush() -> None:
        nonlocal ended
        with pytest.raises(trio.ClosedResourceError):
            await outbox.flush()
        ended = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(flush)
        await wait_all_tasks_blocked()
        outbox.abandon()
        near.close()
    assert ended
    assert not outbox


async def test_a_stream_without_a_buffer(autojump_clock: MockClock) -> None:
    """`send_now` takes nothing there: everything goes by `flush`, whole and in order."""
    near, far = lockstep_pair()
    outbox = Outbox(near)
    outbox.put((b"0123",))
    outbox.put((b"4567",))
    came = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.flush)
        while len(came) < 8:
            came += await far.receive_some(3)
    assert came == b"01234567"

"""The outbox: one order, whichever task puts; a rest is drained by one task while others wait for it."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.net.outbox import SLICE, Outbox
from tests.net.streams import MemoryStream, lockstep_pair, memory_pair


def _outbox(capacity: int) -> tuple[Outbox, MemoryStream, MemoryStream]:
    near, far = memory_pair(far=capacity)
    return Outbox(near), near, far


async def test_what_goes_at_once_leaves_nothing() -> None:
    """Octets that the peer takes are gone when `put` returns, in one piece of several, and nothing is to be drained."""
    outbox, _, far = _outbox(100)
    assert outbox.put((b"one", memoryview(b"two"), b"three")) is False  # type: ignore[arg-type]
    assert not outbox.behind
    await outbox.wait_empty()
    assert await far.receive_some(100) == b"onetwothree"


async def test_a_rest_waits_in_order() -> None:
    """The first rest is to be drained; later octets wait behind it, although they would fit by themselves."""
    outbox, _, far = _outbox(4)
    assert outbox.put((b"first",)) is True
    assert outbox.behind
    assert await far.receive_some(100) == b"firs"
    assert outbox.put((b"ab",)) is False
    assert far.unread == 0
    await outbox.drain()
    assert not outbox.behind
    assert await far.receive_some(100) == b"tab"


async def test_two_tasks_wait_to_the_end(autojump_clock: MockClock) -> None:
    """Who waits is woken when all is out, also what was put meanwhile, and not before."""
    outbox, _, far = _outbox(3)
    done: list[str] = []

    async def wait(name: str) -> None:
        await outbox.wait_empty()
        assert not outbox.behind
        done.append(name)

    async with trio.open_nursery() as nursery:
        assert outbox.put((b"0123456789",))
        nursery.start_soon(outbox.drain)
        nursery.start_soon(wait, "one")
        nursery.start_soon(wait, "two")
        await wait_all_tasks_blocked()
        outbox.put((b"abc",))
        came = b""
        while len(came) < 10:
            assert not done
            came += await far.receive_some(3)
            await wait_all_tasks_blocked()
        came += await far.receive_some(3)
    assert came == b"0123456789abc"
    assert sorted(done) == ["one", "two"]


async def test_progress_is_a_slice(autojump_clock: MockClock) -> None:
    """A peer that takes a whole slice makes progress, one that takes a part of it does not."""
    outbox, _, far = _outbox(10)
    async with trio.open_nursery() as nursery:
        assert outbox.put((bytes(10 + 3 * SLICE),))
        nursery.start_soon(outbox.drain)
        await wait_all_tasks_blocked()
        stalled = outbox.progress
        for _ in range(SLICE // 10 - 1):
            await far.receive_some(10)
            await wait_all_tasks_blocked()
        assert outbox.progress == stalled
        while outbox.behind:
            await far.receive_some(10)
            await wait_all_tasks_blocked()
        assert outbox.progress >= stalled + 3


async def test_a_lost_peer_is_seen_and_not_raised(autojump_clock: MockClock) -> None:
    """The drain ends, who waits is woken, `broken` says why, and what comes later is dropped."""
    outbox, near, far = _outbox(3)
    async with trio.open_nursery() as nursery:
        assert outbox.put((b"012345",))
        nursery.start_soon(outbox.drain)
        nursery.start_soon(outbox.wait_empty)
        await wait_all_tasks_blocked()
        far.cut()
    assert outbox.broken
    assert not outbox.behind
    assert outbox.put((b"more",)) is False
    await outbox.wait_empty()
    other = Outbox(near)
    assert other.put((b"x",)) is False
    assert other.broken


async def test_closed_by_us_while_it_drains(autojump_clock: MockClock) -> None:
    """The draining task is not left behind, nor in a loop, when its stream is closed."""
    outbox, near, far = _outbox(3)
    async with trio.open_nursery() as nursery:
        assert outbox.put((b"012345",))
        nursery.start_soon(outbox.drain)
        nursery.start_soon(outbox.wait_empty)
        await wait_all_tasks_blocked()
        near.close()
    assert outbox.broken
    assert not outbox.behind
    assert far.unread == 3


async def test_a_stream_without_a_buffer(autojump_clock: MockClock) -> None:
    """`send_now` takes nothing there: everything goes by `drain`, whole and in order."""
    near, far = lockstep_pair()
    outbox = Outbox(near)
    came = b""
    async with trio.open_nursery() as nursery:
        assert outbox.put((b"0123",))
        nursery.start_soon(outbox.drain)
        outbox.put((b"4567",))
        while len(came) < 8:
            came += await far.receive_some(3)
    assert came == b"01234567"

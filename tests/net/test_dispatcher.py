"""The dispatcher: who is ready is called, who was forgotten is not, whatever the batch and the numbers."""

import socket
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from smtpguard.net.dispatcher import BATCH, Dispatcher
from tests.net.loopback import descriptors

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Hand out four connected pairs."""
    made = [socket.socketpair() for _ in range(4)]
    yield made
    for near, far in made:
        near.close()
        far.close()


async def test_who_is_ready_is_called(pairs: list[Pair]) -> None:
    """Level-triggered: until the socket is read out, or forgotten; and only who is ready."""
    before = descriptors()
    dispatcher = Dispatcher()
    called: list[int] = []

    def handler(number: int) -> None:
        called.append(number)
        pairs[number][0].recv(1)

    for number, (near, _) in enumerate(pairs):
        dispatcher.watch(near.fileno(), lambda number=number: handler(number))  # type: ignore[misc]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run)
        pairs[2][1].send(b"three")
        pairs[0][1].send(b"x")
        await wait_all_tasks_blocked(0.01)
        assert sorted(called) == [0, 2, 2, 2, 2, 2]
        for near, _ in pairs:
            dispatcher.forget(near.fileno())
        pairs[1][1].send(b"y")
        await wait_all_tasks_blocked(0.01)
        assert len(called) == 6
        assert len(dispatcher) == 0
        nursery.cancel_scope.cancel()
    assert descriptors() == before


async def test_forgotten_within_the_batch(pairs: list[Pair]) -> None:
    """The first handler ends the other sessions: their octets, which are ready, too, are nobody's any more."""
    dispatcher = Dispatcher()
    called: list[int] = []

    def handler(number: int) -> None:
        called.append(number)
        for near, _ in pairs:
            dispatcher.forget(near.fileno())
            near.close()

    for number, (near, far) in enumerate(pairs):
        dispatcher.watch(near.fileno(), lambda number=number: handler(number))  # type: ignore[misc]
        far.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run)
        await wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert len(called) == 1


async def test_nothing_is_watched_within_a_batch(pairs: list[Pair]) -> None:
    """A number freed in the batch must not mean another session in it, so registering there is a bug."""
    dispatcher = Dispatcher()
    raised: list[AssertionError] = []
    (near, far), (other, _), *_ = pairs

    def handler() -> None:
        near.recv(1)
        try:
            dispatcher.watch(other.fileno(), handler)
        except AssertionError as error:
            raised.append(error)

    dispatcher.watch(near.fileno(), handler)
    far.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run)
        await wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert len(raised) == 1
    dispatcher.forget(near.fileno())
    assert len(dispatcher) == 0


async def test_a_reset_is_ready(pairs: list[Pair]) -> None:
    """A socket whose peer is gone is handed to its handler, or nobody would ever find out."""
    dispatcher = Dispatcher()
    ends: list[bytes] = []
    near, far = pairs[0]

    def handler() -> None:
        ends.append(near.recv(1))
        dispatcher.forget(near.fileno())

    dispatcher.watch(near.fileno(), handler)
    far.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run)
        await wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert ends == [b""]


async def test_other_tasks_get_their_turn(pairs: list[Pair]) -> None:
    """A socket that is always ready does not keep the loop to itself."""
    dispatcher = Dispatcher()
    near, far = pairs[0]
    calls = 0

    def handler() -> None:
        nonlocal calls
        calls += 1

    dispatcher.watch(near.fileno(), handler)
    far.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dispatcher.run)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        assert 0 < calls <= 100 * BATCH
        nursery.cancel_scope.cancel()
    dispatcher.forget(near.fileno())

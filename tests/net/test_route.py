"""Of several upstreams the first that can be reached; one that could not rests for a while."""

import socket

import pytest
import trio
from trio.testing import MockClock

from smtpguard.net import Door, Gate, Route, TcpStream, Unreachable, Upstream, listen
from smtpguard.net.route import REST
from smtpguard.smtp import SessionEnded, policy_for
from tests.net.house import serving
from tests.net.loopback import Client


class Mx(Upstream):
    """An upstream that takes connections while it is `up`, and counts who dialled it."""

    def __init__(self, host: str, *, up: bool = True) -> None:
        super().__init__(host, 25)
        self.up = up
        self.dialled = 0

    async def dial(self) -> TcpStream:
        """Give out one end of a pair, or say why not."""
        self.dialled += 1
        if not self.up:
            raise Unreachable("connection refused")
        near, far = socket.socketpair()
        far.close()
        return TcpStream(near)


async def reached(route: Route) -> str:
    """Dial, and return the host that took the connection."""
    stream, upstream = await route.dial()
    stream.close()
    return upstream.host


async def test_the_first(autojump_clock: MockClock) -> None:
    """While the first can be reached nobody else is dialled."""
    one, two = Mx("one"), Mx("two")
    route = Route([one, two])
    assert [await reached(route), await reached(route)] == ["one", "one"]
    assert (one.dialled, two.dialled) == (2, 0)
    assert route.first is one


async def test_the_next(autojump_clock: MockClock) -> None:
    """Where the first cannot be reached the next is dialled, and the first is left in peace for a while."""
    one, two = Mx("one", up=False), Mx("two")
    route = Route([one, two])
    assert [await reached(route), await reached(route)] == ["two", "two"]
    assert one.dialled == 1
    assert route.first is two
    one.up = True
    await trio.sleep(REST)
    assert route.first is one
    assert await reached(route) == "one"


async def test_none(autojump_clock: MockClock) -> None:
    """All rest: they are dialled all the same, in their order, and the reasons of all are told."""
    one, two = Mx("one", up=False), Mx("two", up=False)
    route = Route([one, two])
    for _ in range(2):
        with pytest.raises(Unreachable) as raised:
            await route.dial()
        assert raised.value.reason == "one:25: connection refused; two:25: connection refused"
    assert (one.dialled, two.dialled) == (2, 2)


async def test_only_one(autojump_clock: MockClock) -> None:
    """A single upstream is dialled for each session, and its reason stands alone."""
    one = Mx("one", up=False)
    route = Route([one])
    for _ in range(2):
        with pytest.raises(Unreachable) as raised:
            await route.dial()
        assert raised.value.reason == "connection refused"
    assert one.dialled == 2


async def test_back_at_once(autojump_clock: MockClock) -> None:
    """One that rests is the first again as soon as a dial, of a time when no other could be had, reached it."""
    one, two = Mx("one", up=False), Mx("two", up=False)
    route = Route([one, two])
    with pytest.raises(Unreachable):
        await route.dial()
    one.up = True
    assert await reached(route) == "one"
    assert route.first is one


async def test_events_name_the_one_that_was_reached() -> None:
    """The session's events say where it went, not where it was meant to go."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = Upstream("127.0.0.1", closed.getsockname()[1])
        await nobody.resolve()
        async with serving(gate=Gate(10, 10)) as house:
            house.door = Door("two", Route([nobody, house.upstream]), policy_for())
            async with trio.open_nursery() as sessions, trio.open_nursery() as doors:
                listener = listen("127.0.0.1", 0)
                doors.start_soon(house.server.accept, listener, house.door, sessions)
                client = await Client.dial(listener.getsockname()[1])
                await client.hears(b"220")
                await client.say(b"QUIT")
                await client.hears(b"221", b"")
                client.close()
                doors.cancel_scope.cancel()
            listener.close()
    (link,) = [link for link, event in house.seen if isinstance(event, SessionEnded)]
    assert (link.upstream, link.listener) == (str(house.upstream), "two")

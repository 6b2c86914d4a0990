"""Of several upstreams the first that can be reached, or one by the client; who the client is, is said first."""

import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from smtpguard.config import Choice, Send
from smtpguard.net import Door, Gate, Place, Route, TcpStream, Unreachable, Upstream, listen
from smtpguard.net.health import DOWN_AFTER, PAUSE, UP_AFTER
from smtpguard.smtp import TLS_OF_SOME_KIND, Link, SessionEnded, policy_for
from tests.net.house import serving
from tests.net.loopback import Client


def link_of(client_ip: str = "192.0.2.7") -> Link:
    """Return the link of a client."""
    return Link(
        session_id="0123456789AB", started=0.0, client_ip=client_ip, client_port=1025, local_ip="192.0.2.1",
        local_port=25, listener="test", upstream="",
    )  # fmt: skip


OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


class Mx(Upstream):
    """An upstream that takes connections while it is `up`, greets them, and counts who dialled it."""

    def __init__(self, host: str, *, up: bool = True, takes: float = 0.0) -> None:
        super().__init__(host, 25)
        self.up = up
        self.takes = takes
        self.dialled = 0
        self.shares: list[float | None] = []
        self.far: list[socket.socket] = []

    async def connect(self, place: Place | None = None) -> TcpStream:
        """Be dialled by a probe."""
        return await self.dial()

    async def dial(self, *, within: float | None = None, source: str = "") -> TcpStream:
        """Give out one end of a pair, or say why not."""
        self.dialled += 1
        self.shares.append(within)
        if self.takes:
            await trio.sleep(min(self.takes, within or self.takes))
        if not self.up:
            raise Unreachable("connection refused")
        near, far = socket.socketpair()
        near.setblocking(False)
        far.sendall(b"220 mx\r\n221 bye\r\n")
        self.far.append(far)
        OPEN.extend((near, far))
        return TcpStream(near)


async def reached(route: Route, client_ip: str = "192.0.2.7") -> str:
    """Dial, and return the host that took the connection."""
    dialled = await route.dial(link_of(client_ip))
    dialled.stream.close()
    return dialled.upstream.partition(":")[0]


async def test_the_first(autojump_clock: MockClock) -> None:
    """While the first can be reached nobody else is dialled."""
    one, two = Mx("one"), Mx("two")
    route = Route([one, two])
    assert [await reached(route), await reached(route)] == ["one", "one"]
    assert (one.dialled, two.dialled) == (2, 0)
    assert route.first("192.0.2.7") is one


async def test_the_next_and_back_again(autojump_clock: MockClock) -> None:
    """Where the first cannot be reached the next is dialled; down it is left alone, and well twice it is back."""
    told: list[str] = []
    one, two = Mx("one", up=False), Mx("two")
    route = Route([one, two], told=lambda upstream, up, reason: told.append(f"{upstream.host} {up} {reason}"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.health.watch)
        assert [await reached(route) for _ in range(4)] == ["two"] * 4
        assert one.dialled == DOWN_AFTER
        assert route.first("192.0.2.7") is two
        assert told == ["one False connection refused"]
        one.up = True
        await trio.sleep(PAUSE * UP_AFTER - 0.5)
        assert await reached(route) == "two"
        await trio.sleep(1)
        assert await reached(route) == "one"
        assert told == ["one False connection refused", "one True "]
        nursery.cancel_scope.cancel()


async def test_one_stumble(autojump_clock: MockClock) -> None:
    """A single failure goes on to the next, and changes nothing for the client behind."""
    one, two = Mx("one", up=False), Mx("two")
    route = Route([one, two])
    assert await reached(route) == "two"
    one.up = True
    assert await reached(route) == "one"
    assert not route.health.any_down


async def test_one_that_flickers(autojump_clock: MockClock) -> None:
    """Well once is not enough."""
    one, two = Mx("one", up=False), Mx("two")
    route = Route([one, two])
    for _ in range(DOWN_AFTER):
        await reached(route)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.health.watch)
        await trio.sleep(PAUSE / 2)
        for up in (True, False, True, False):
            one.up = up
            await trio.sleep(PAUSE)
            assert route.health.is_down(one)
        nursery.cancel_scope.cancel()


async def test_probes_introduce_themselves(autojump_clock: MockClock) -> None:
    """Where a header is awaited a probe of ours begins with one: for an address of nobody."""
    one, two = Mx("one", up=False), Mx("two")
    route = Route([one, two], send=Send.PROXY_V1)
    for _ in range(DOWN_AFTER):
        await reached(route)
    one.up = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.health.watch)
        await trio.sleep(PAUSE + 1)
        nursery.cancel_scope.cancel()
    assert one.far[0].recv(100) == b"PROXY TCP4 192.0.2.1 192.0.2.1 25 25\r\nQUIT\r\n"


async def test_a_client_of_another_family_harms_nobody(autojump_clock: MockClock) -> None:
    """An UPSTREAM that has no address for a client is not down for the others."""
    four, six = Upstream("127.0.0.1", 9), Mx("six")
    await four.resolve()
    route = Route([four, six], send=Send.TRANSPARENT)
    assert [await reached(route, "2001:db8::7") for _ in range(3)] == ["six"] * 3
    assert not route.health.any_down
    with pytest.raises(Unreachable, match="no address for a client of 2001:db8::7"):
        await Route([four], send=Send.TRANSPARENT).dial(link_of("2001:db8::7"))


async def test_none(autojump_clock: MockClock) -> None:
    """All are down: they are dialled all the same, in their order, and the reasons of all are told."""
    one, two = Mx("one", up=False), Mx("two", up=False)
    route = Route([one, two])
    for _ in range(DOWN_AFTER + 1):
        with pytest.raises(Unreachable) as raised:
            await route.dial(link_of())
        assert raised.value.reason == "one:25: connection refused; two:25: connection refused"
    assert (one.dialled, two.dialled) == (3, 3)


async def test_only_one(autojump_clock: MockClock) -> None:
    """A single upstream is dialled for each session, and its reason stands alone."""
    one = Mx("one", up=False)
    route = Route([one])
    for _ in range(3):
        with pytest.raises(Unreachable) as raised:
            await route.dial(link_of())
        assert raised.value.reason == "connection refused"
    assert not route.health.any_down


async def test_one_deadline_for_all(autojump_clock: MockClock) -> None:
    """One that swallows the request takes its share of the deadline, not the others'."""
    one, two = Mx("one", up=False, takes=100), Mx("two")
    began = trio.current_time()
    assert await reached(Route([one, two], connect_deadline=8)) == "two"
    assert trio.current_time() - began == pytest.approx(4)
    assert one.shares == [4]
    assert two.shares == pytest.approx([4])


async def test_spread(autojump_clock: MockClock) -> None:
    """Clients are spread over all, each always to the same one; those of one that is down go to the others."""
    mxs = [Mx(name) for name in ("one", "two", "three")]
    route = Route(mxs, choice=Choice.SPREAD)
    clients = [f"198.51.100.{number}" for number in range(200)]
    before = {client: await reached(route, client) for client in clients}
    assert before == {client: await reached(route, client) for client in clients}
    assert min(Counter(before.values()).values()) > 40
    mxs[0].up = False
    after = {client: await reached(route, client) for client in clients}
    assert "one" not in after.values()
    assert all(after[client] == host for client, host in before.items() if host != "one")


async def test_spread_by_client(autojump_clock: MockClock) -> None:
    """An IPv6 /64 is one client."""
    route = Route([Mx(name) for name in ("one", "two", "three")], choice=Choice.SPREAD)
    assert len({await reached(route, f"2001:db8:1:2::{number:x}") for number in range(1, 60)}) == 1


@pytest.mark.parametrize("send", [Send.PROXY_V1, Send.PROXY_V2])
async def test_the_header_goes_first(send: Send) -> None:
    """The first octets are a PROXY header with the client, and what it dialled."""
    one = Mx("one")
    dialled = await Route([one], send=send).dial(link_of())
    came = one.far[0].recv(1000)
    dialled.stream.close()
    if send is Send.PROXY_V1:
        assert came == b"PROXY TCP4 192.0.2.7 192.0.2.1 1025 25\r\n"
    else:
        assert came.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
        assert b"0123456789AB" in came


async def test_tls_is_handed_on() -> None:
    """What a balancer said of the client's TLS UPSTREAM hears too, where there is a version to tell."""
    one = Mx("one")
    for before, told in (("TLSv1.3", True), (TLS_OF_SOME_KIND, False), ("", False)):
        dialled = await Route([one], send=Send.PROXY_V2).dial(replace(link_of(), tls_before=before))
        assert (b"TLSv1.3" in one.far[-1].recv(1000)) is told
        dialled.stream.close()


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

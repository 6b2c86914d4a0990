"""Who the client is: a PROXY header from peers that must send one, and from no others."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
import trio
from trio.testing import MockClock

from smtpguard.config import Arrival
from smtpguard.net import Door, Gate, Route, TcpStream, listen
from smtpguard.net.identify import HEADER_DEADLINE, destination
from smtpguard.net.proxy import header_v1, header_v2
from smtpguard.smtp import Finding, SessionEnded, policy_for
from tests.net.headers import v2
from tests.net.house import House, serving
from tests.net.loopback import Client, connected
from tests.net.stage import LINK

CLIENT, DIALLED = ("198.51.100.7", 4711), ("203.0.113.25", 25)
V1 = header_v1(CLIENT, DIALLED)
V2 = header_v2(CLIENT, DIALLED, session_id="unique")
LOCAL = v2(0x20, 0x00)


@asynccontextmanager
async def balanced(networks: str = "127.0.0.0/8", gate: Gate | None = None) -> AsyncIterator[tuple[House, int]]:
    """Run a house whose door takes PROXY headers from these networks, and give out its port."""
    async with serving(gate=gate) as house:
        door = Door("balanced", Route([house.upstream]), policy_for(), balancers=(ip_network(networks),))
        with listen("127.0.0.1", 0) as listener:
            async with trio.open_nursery() as sessions, trio.open_nursery() as doors:
                doors.start_soon(house.server.accept, listener, door, sessions)
                yield house, listener.getsockname()[1]
                doors.cancel_scope.cancel()


async def begun(port: int, *pieces: bytes) -> Client:
    """Connect, and send these pieces, each in a segment of its own."""
    client = await Client.dial(port)
    for piece in pieces:
        await client.stream.send_all(piece)
    return client


def rules(house: House) -> set[str]:
    """Return the rules that were broken; that the octets came before the greeting does not count here."""
    return {event.rule.id for _, event in house.seen if isinstance(event, Finding)} - {"SG201"}


@pytest.mark.parametrize(
    ("header", "via"),
    [(V1, "proxy-v1"), (V2, "proxy-v2")],
    ids=["v1", "v2"],
)
@pytest.mark.parametrize("size", [1000, 7, 1])
async def test_the_client_of_the_header(jumping_clock: MockClock, header: bytes, via: str, size: int) -> None:
    """The session is the client's: link, address dialled, and the peer beside it; the octets behind are SMTP."""
    async with balanced() as (house, port):
        pieces = [header[at : at + size] for at in range(0, len(header), size)]
        client = await begun(port, *pieces, b"QUIT\r\n")
        await client.hears(b"220", b"221", b"")
        client.close()
    (link,) = [link for link, event in house.seen if isinstance(event, SessionEnded)]
    assert (link.client_ip, link.client_port, link.local_ip, link.local_port) == (*CLIENT, *DIALLED)
    assert (link.peer_ip, link.via) == ("127.0.0.1", via)
    assert link.peer_port > 0
    assert house.warnings == []


async def test_what_else_the_header_tells(jumping_clock: MockClock) -> None:
    """The balancer's id of the connection, and the TLS that ends there, are kept."""
    header = header_v2(CLIENT, DIALLED, session_id="unique", tls_version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    async with balanced() as (house, port):
        client = await begun(port, header, b"QUIT\r\n")
        await client.hears(b"220", b"221", b"")
        client.close()
    (link,) = [link for link, event in house.seen if isinstance(event, SessionEnded)]
    assert (link.unique_id, link.tls_before) == (b"unique", "TLSv1.3")


async def test_a_check_of_the_balancer(jumping_clock: MockClock) -> None:
    """LOCAL: the connection is the balancer's own."""
    async with balanced() as (house, port):
        client = await begun(port, LOCAL, b"QUIT\r\n")
        await client.hears(b"220", b"221", b"")
        client.close()
    (link,) = [link for link, event in house.seen if isinstance(event, SessionEnded)]
    assert (link.client_ip, link.via, link.peer_ip) == ("127.0.0.1", "local", "")


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"EHLO client.example\r\n", "no PROXY header"),
        (b"GET / HTTP/1.1\r\n", "no PROXY header"),
        (b"PROXY TCP4 198.51.100.7 203.0.113.25 043122 25\r\n", "PROXY v1 header"),
        (V2[:14] + b"\xff\xff" + V2[16:], "PROXY v2 header"),
        (V1[:9], f"half a PROXY header within {HEADER_DEADLINE:g} s"),
        (V2[:40], f"half a PROXY header within {HEADER_DEADLINE:g} s"),
        (b"", f"no PROXY header within {HEADER_DEADLINE:g} s"),
    ],
    ids=["SMTP", "HTTP", "sloppy", "absurd-length", "half-of-v1", "half-of-v2", "silence"],
)
async def test_no_header_no_session(jumping_clock: MockClock, octets: bytes, reason: str) -> None:
    """A peer that must say who the client is and does not hears 421; nothing is dialled, one warning names it."""
    async with balanced() as (house, port):
        client = await begun(port, octets)
        await client.hears(b"421 4.3.0 No PROXY header", b"")
        client.close()
        assert house.upstreams == 0
    assert house.seen == []
    (warning,) = house.warnings
    assert warning.startswith(f"127.0.0.1: {reason}")


async def test_half_a_header_then_the_end(jumping_clock: MockClock) -> None:
    """The same where it says so by closing."""
    async with balanced() as (house, port):
        client = await begun(port, V1[:20])
        await client.stream.send_eof()
        await client.hears(b"421 4.3.0", b"")
        client.close()
    assert house.warnings == ["127.0.0.1: half a PROXY header, then the end"]


async def test_a_check_of_the_bare_port(jumping_clock: MockClock) -> None:
    """Who connects and goes has said nothing wrong."""
    async with balanced() as (house, port):
        client = await begun(port)
        await client.stream.send_eof()
        await client.hears(b"")
        client.close()
        assert house.upstreams == 0
    assert (house.seen, house.warnings) == ([], [])


async def test_a_header_of_anybody_else(jumping_clock: MockClock) -> None:
    """From a peer that is not named it is SG404: the session is the peer's, and the header never gets through."""
    async with balanced("192.0.2.0/24") as (house, port):
        client = await begun(port, V1, b"EHLO c\r\n")
        await client.hears(b"220", b"554 5.5.1", b"")
        client.close()
    assert rules(house) == {"SG404"}
    assert {link.client_ip for link, _ in house.seen} == {"127.0.0.1"}


@pytest.mark.parametrize("second", [V1, V2], ids=["v1", "v2"])
async def test_a_second_header(jumping_clock: MockClock, second: bytes) -> None:
    """Behind the balancer's own header another one is the client's, so a forgery."""
    async with balanced() as (house, port):
        client = await begun(port, V2 + second)
        await client.hears(b"220", b"554 5.5.1", b"")
        client.close()
    assert rules(house) == {"SG404"}
    assert {link.client_ip for link, _ in house.seen} == {CLIENT[0]}


async def test_a_header_in_the_middle(jumping_clock: MockClock) -> None:
    """Later it is a forbidden verb."""
    async with balanced() as (house, port):
        client = await begun(port, V2)
        await client.hears(b"220")
        await client.say(b"EHLO c")
        await client.hears(b"250")
        await client.stream.send_all(V1)
        await client.hears(b"502 5.5.1")
        await client.say(b"QUIT")
        await client.hears(b"221", b"")
        client.close()
    assert rules(house) == {"SG405"}


async def test_caps_are_the_client_s(jumping_clock: MockClock) -> None:
    """Sessions of one client are counted by the address that the balancer names; the balancer has no cap of its own."""
    async with balanced(gate=Gate(100, 1)) as (house, port):
        first = await begun(port, V1)
        await first.hears(b"220")
        again = await begun(port, V2)
        await again.hears(b"421 4.7.0", b"")
        others = [await begun(port, header_v1((f"198.51.100.{number}", 1), DIALLED)) for number in range(10, 15)]
        for client in others:
            await client.hears(b"220")
        for client in (first, again, *others):
            client.close()
    assert house.warnings == ["limits.sessions-per-client"]


def test_what_was_dialled() -> None:
    """Without translation it is the socket's own name, whatever way connections come."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()[:2]):
        accepted, _ = listener.accept()
        with accepted:
            here = accepted.getsockname()
            assert destination(accepted, Arrival.DIRECT) == ("direct", here)
            assert destination(accepted, Arrival.REDIRECT) == ("direct", here)
            assert destination(accepted, Arrival.TPROXY) == ("tproxy", here)


async def test_a_balancer_is_never_limited(jumping_clock: MockClock) -> None:
    """Its own connections have no cap but that on all sessions."""
    async with balanced(gate=Gate(3, 1)) as (house, port):
        checks = [await begun(port, LOCAL) for _ in range(3)]
        for check in checks:
            await check.hears(b"220")
        over = await begun(port, LOCAL)
        await over.hears(b"421 4.7.0", b"")
        for check in (*checks, over):
            check.close()
    assert house.warnings == ["limits.sessions"]


async def test_the_service_ends_while_a_header_is_awaited(autojump_clock: MockClock) -> None:
    """The connection is closed, not left to the garbage collector."""
    async with serving() as house, trio.open_nursery() as nursery:
        door = Door("balanced", Route([house.upstream]), policy_for(), balancers=(ip_network("127.0.0.0/8"),))
        with connected() as (near, far):
            with trio.move_on_after(1):
                await house.server._identify(TcpStream(near), LINK, door, nursery)
            assert far.recv(1) == b""

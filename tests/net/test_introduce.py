"""How UPSTREAM learns who the client is: XCLIENT, word by word, and what is done where it does not take it."""

import pytest
import trio
from trio.testing import MockClock

from smtpguard.config import Send
from smtpguard.net import Unreachable, introduce, offered
from smtpguard.net.introduce import xclient
from smtpguard.smtp import Link, Reply
from tests.net.streams import memory_pair
from tests.net.test_route import link_of

GREETING = b"220 mx ESMTP\r\n"
HELLO = b"250-mx\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n250 SIZE\r\n"
AGAIN = b"220 mx ESMTP, again\r\n"
SAID = b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=1025 DESTADDR=192.0.2.1 DESTPORT=25"


async def spoken(*replies: bytes, link: Link | None = None) -> tuple[bytes | str, list[bytes]]:
    """Introduce a client to an UPSTREAM that says these replies; return what came of it, and what it was told."""
    near, far = memory_pair()
    lines: list[bytes] = []
    heard: bytes | str = ""

    async def answer() -> None:
        for place, reply in enumerate(replies):
            await far.send_all(reply)
            if place < len(replies) - 1:
                lines.append((await far.receive_some(4096)).rstrip())
        far.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        try:
            heard = await introduce(Send.XCLIENT, near, link or link_of())
        except Unreachable as error:
            heard = error.reason
        nursery.cancel_scope.cancel()
    return heard, lines


async def test_the_second_greeting_is_the_session_s(autojump_clock: MockClock) -> None:
    """EHLO and XCLIENT are ours; what UPSTREAM greets with behind them is the client's greeting."""
    heard, lines = await spoken(GREETING, HELLO, AGAIN)
    assert heard == AGAIN
    assert lines[0].startswith(b"EHLO ")
    assert lines[1:] == [SAID]


@pytest.mark.parametrize("behind", [b"", b"421 gone\r\n", b"4"])
async def test_no_service(autojump_clock: MockClock, behind: bytes) -> None:
    """A greeting that is none is the client's to hear, and what came behind it; nothing is said to it."""
    assert await spoken(b"554 go away\r\n" + behind) == (b"554 go away\r\n" + behind, [])


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ((GREETING, b"250-mx\r\n250 SIZE\r\n"), "it offers us no XCLIENT with ADDR"),
        ((GREETING, b"250-mx\r\n250 XCLIENT NAME PORT\r\n"), "it offers us no XCLIENT with ADDR"),
        ((GREETING, b"502 no\r\n"), "it offers us no XCLIENT with ADDR"),
        ((GREETING, HELLO, b"550 insufficient authorization\r\n"), "it answers XCLIENT with 550"),
        ((GREETING, HELLO, b"250 ok\r\n"), "it answers XCLIENT with 250"),
        ((GREETING, HELLO, AGAIN + b"250 and more\r\n"), "it says more than its greeting behind XCLIENT"),
        ((GREETING, b"nonsense\r\n"), "it went before its greeting"),
        ((GREETING, HELLO + AGAIN, AGAIN), "it says more than its reply to our EHLO"),
        ((GREETING + b"250 mx\r\n", HELLO, AGAIN), "it offers us no XCLIENT with ADDR"),
        ((b"",), "it went before its greeting"),
        ((GREETING,), "it went before its greeting"),
    ],
)
async def test_a_client_that_would_not_arrive(
    autojump_clock: MockClock, replies: tuple[bytes, ...], reason: str
) -> None:
    """Where UPSTREAM would take the session for ours there is none."""
    heard, _ = await spoken(*replies)
    assert isinstance(heard, str)
    assert heard.startswith(reason)


async def test_too_many_of_that_client(autojump_clock: MockClock) -> None:
    """A 421 is the client's own: it is its greeting."""
    heard, _ = await spoken(GREETING, HELLO, b"421 4.7.0 too many connections from 192.0.2.7\r\n")
    assert heard == b"421 4.7.0 too many connections from 192.0.2.7\r\n"


def test_ipv6() -> None:
    """Addresses of IPv6 have the prefix that XCLIENT_README gives them."""
    line = xclient(frozenset({b"ADDR", b"DESTADDR"}), link_of("2001:db8::7"))
    assert line == b"XCLIENT ADDR=IPV6:2001:db8::7 DESTADDR=192.0.2.1"


def test_what_is_offered() -> None:
    """Attributes in any case; the first line is no keyword, whatever it says."""
    assert offered(Reply(b"250-mx\r\n250 xclient Addr port\r\n", 250)) == {b"ADDR", b"PORT"}
    assert offered(Reply(b"250-XCLIENT ADDR\r\n250 XCLIENTS ADDR\r\n", 250)) == frozenset()


@pytest.mark.parametrize("send", [Send.NONE, Send.TRANSPARENT])
async def test_nothing_is_said(autojump_clock: MockClock, send: Send) -> None:
    """Without an introduction not an octet goes out."""
    near, far = memory_pair()
    assert await introduce(send, near, link_of()) == b""
    assert far.unread == 0


async def test_gone_before_the_header(autojump_clock: MockClock) -> None:
    """An UPSTREAM that resets the connection at once is unreachable."""
    near, far = memory_pair()
    far.cut()
    with pytest.raises(Unreachable, match="it went before its greeting"):
        await introduce(Send.PROXY_V1, near, link_of())

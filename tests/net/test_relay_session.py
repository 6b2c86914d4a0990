"""Whole sessions through one relay: octets, order, half-close, and no deadlock where nothing is buffered."""

import pytest
import trio
from trio.testing import MockClock

from smtpguard.net import Stream, Unreachable
from tests.net.stage import HELLO, Peer, Stage, staged
from tests.net.streams import lockstep_pair, memory_pair


async def test_a_whole_session_passes_octet_for_octet(autojump_clock: MockClock) -> None:
    """EHLO to QUIT with one message: each side hears the other's own octets, and both are closed at the end."""
    async with staged() as stage:
        await stage.verdict()
        await stage.upstream.say(b"250 queued as 1")
        await stage.client.hears(b"250 queued as 1")
        await stage.quit()
    assert stage.findings == []
    assert stage.end == "quit"


async def test_a_violation_is_answered_and_never_forwarded(autojump_clock: MockClock) -> None:
    """RCPT without MAIL hears our 503; the session goes on and UPSTREAM never saw it."""
    async with staged() as stage:
        await stage.identified()
        await stage.client.say(b"RCPT TO:<c@d>")
        await stage.client.hears(b"503 5.5.1")
        await stage.command(b"NOOP", b"250 ok")
        await stage.quit()
    assert stage.findings == ["SG102"]


async def test_a_pipelined_session_keeps_the_order(autojump_clock: MockClock) -> None:
    """A whole group in one segment: one command in flight but for RCPTs, our 503 in its place among the replies."""
    async with staged() as stage:
        await stage.identified()
        await stage.client.say(
            b"MAIL FROM:<a@b>", b"RCPT TO:<1@d>", b"RCPT TO:<2@d>", b"MAIL FROM:<x@y>", b"RSET", b"QUIT"
        )
        await stage.upstream.hears(b"MAIL")
        await stage.upstream.say(b"250 mail")
        await stage.upstream.hears(b"RCPT TO:<1@d>", b"RCPT TO:<2@d>")
        await stage.upstream.say(b"250 one", b"550 two")
        await stage.upstream.hears(b"RSET")
        await stage.upstream.say(b"250 reset")
        await stage.upstream.hears(b"QUIT")
        await stage.upstream.say(b"221 bye")
        await stage.client.hears(b"250 mail", b"250 one", b"550 two", b"503 5.5.1", b"250 reset", b"221 bye", b"")
        stage.client.stream.close()
    assert stage.findings == ["SG105"]


@pytest.mark.parametrize("ahead", [1, 5, 6, 7, 8])
async def test_a_greeting_that_was_heard_ahead(autojump_clock: MockClock, ahead: int) -> None:
    """Behind XCLIENT the greeting, or its beginning, is there already: CLIENT hears it once, and what follows it."""
    greeting = b"220 mx\r\n"
    async with staged(heard=greeting[:ahead]) as stage:
        await stage.upstream.stream.send_all(greeting[ahead:])
        await stage.client.hears(b"220 mx")
        await stage.command(b"EHLO c", *HELLO)
        await stage.quit()
    assert (stage.findings, stage.end) == ([], "quit")


async def test_a_refusal_that_was_heard_ahead(autojump_clock: MockClock) -> None:
    """UPSTREAM greets the client that it was told of with 421: CLIENT hears that, and the end."""
    async with staged(heard=b"421 4.7.0 too many of you\r\n") as stage:
        await stage.client.hears(b"421 4.7.0 too many of you", b"")
        stage.client.stream.close()
        stage.upstream.stream.close()
    assert stage.findings == []


async def test_nothing_is_forwarded_before_the_greeting(autojump_clock: MockClock) -> None:
    """CLIENT talks early: UPSTREAM gets it only behind its greeting."""
    async with staged() as stage:
        await stage.client.say(b"EHLO early")
        with trio.move_on_after(5) as silence:
            await stage.upstream.line()
        assert silence.cancelled_caught
        await stage.greeted()
        await stage.upstream.hears(b"EHLO early")
        await stage.upstream.say(*HELLO)
        await stage.client.hears(*HELLO)
        await stage.quit()
    assert stage.findings == ["SG201"]


async def test_half_close_is_answered_to_the_end(autojump_clock: MockClock) -> None:
    """CLIENT shuts its side behind a pipelined group: all of it is forwarded and answered, then both close."""
    async with staged() as stage:
        await stage.identified()
        await stage.client.say(b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"RSET")
        stage.client.stream.send_eof()
        for verb in (b"MAIL", b"RCPT", b"RSET"):
            await stage.upstream.hears(verb)
            await stage.upstream.say(b"250 " + verb)
        await stage.client.hears(b"250 MAIL", b"250 RCPT", b"250 RSET", b"")
        # No QUIT is invented.
        assert await stage.upstream.rest() == b""
    assert stage.end == "client-gone"


async def test_half_close_behind_the_dot_hears_the_verdict(autojump_clock: MockClock) -> None:
    """FIN right behind the dot: the verdict is handed on, and UPSTREAM's side was not shut while it owed it."""
    async with staged() as stage:
        await stage.verdict()
        stage.client.stream.send_eof()
        await trio.sleep(100)
        assert not stage.near_upstream.ended
        await stage.upstream.say(b"250 queued")
        await stage.client.hears(b"250 queued", b"")
    assert stage.findings == []


async def test_unreachable_is_said_with_the_session_id(autojump_clock: MockClock) -> None:
    """UPSTREAM cannot be had: 421 4.3.2 with the session id, then an orderly end."""

    async def dial() -> Stream:
        raise Unreachable("connection refused")

    async with staged(dial=dial) as stage:
        assert await stage.client.line() == b"421 4.3.2 Service not available, try again later [SG501 0123456789AB]"
        await stage.client.hears(b"")
        stage.client.stream.close()
    assert stage.findings == ["SG501"]
    assert stage.end == "unreachable"


async def test_opaque_octets_pass_both_ways(autojump_clock: MockClock) -> None:
    """Behind STARTTLS and a TLS record nothing is looked at any more; either side's end is the end."""
    async with staged() as stage:
        await stage.identified()
        await stage.command(b"STARTTLS", b"220 go")
        await stage.client.stream.send_all(b"\x16\x03\x01hello")
        assert await stage.upstream.stream.receive_some(100) == b"\x16\x03\x01hello"
        await stage.upstream.stream.send_all(b"\0RCPT\n.")
        assert await stage.client.stream.receive_some(100) == b"\0RCPT\n."
        stage.upstream.stream.close()
        await stage.client.hears(b"")
        stage.client.stream.close()


async def _answer_everything(upstream: Peer) -> None:
    """Be an UPSTREAM that reads what there is, and answers it line by line."""
    await upstream.say(b"220 mx")
    in_content = False
    while line := await upstream.line():
        if in_content:
            in_content = line != b"."
            if not in_content:
                await upstream.say(b"250 queued")
        elif line == b"DATA":
            in_content = True
            await upstream.say(b"354 go")
        else:
            await upstream.say(*(HELLO if line.startswith(b"EHLO") else (b"250 " + line,)))
            if line == b"QUIT":
                return


async def _many_recipients(stage: Stage, count: int) -> None:
    rcpts = [b"RCPT TO:<%d@d>" % number for number in range(count)]

    async def speak() -> None:
        await stage.client.say(b"EHLO c")
        await stage.client.say(b"MAIL FROM:<a@b>", *rcpts, b"DATA")

    async with trio.open_nursery() as peers:
        peers.start_soon(_answer_everything, stage.upstream)
        await stage.client.hears(b"220")
        peers.start_soon(speak)
        await stage.client.hears(*HELLO, b"250 MAIL", *(b"250 " + rcpt for rcpt in rcpts), b"354 go")
        await stage.client.say(b"text", b".", b"QUIT")
        await stage.client.hears(b"250 queued", b"250 QUIT", b"")
        stage.client.stream.close()


async def test_two_thousand_recipients_need_no_buffer(autojump_clock: MockClock) -> None:
    """Lockstep on both sides, a client that reads while it writes: 2,000 pipelined RCPTs, every reply, no deadlock."""
    began = trio.current_time()
    async with staged(client=lockstep_pair(), upstream=lockstep_pair()) as stage:
        await _many_recipients(stage, 2000)
        assert trio.current_time() - began < 1


@pytest.mark.parametrize(("room", "count"), [(1, 100), (64, 500), (512, 2000)])
async def test_an_upstream_with_little_room_is_no_deadlock(autojump_clock: MockClock, room: int, count: int) -> None:
    """UPSTREAM reads a few octets at a time and answers each line before it reads on: RFC 2920 §3.1 has us read it."""
    began = trio.current_time()
    async with staged(client=memory_pair(), upstream=memory_pair(room, room)) as stage:
        await _many_recipients(stage, count)
        assert trio.current_time() - began < 1

"""Each deadline of rule 20 at its default: not a second early, and late by the sweeper's resolution at most."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from smtpguard.net import Deadlines
from tests.net.stage import Stage, staged
from tests.net.streams import memory_pair

RESOLUTION = 2
"""Seconds: one until the sweeper sees that a deadline began, one until it sees that it fell."""


async def _falls(stage: Stage, seconds: float, answer: bytes, since: float | None = None) -> None:
    """Expect `answer` after `seconds`, and then the end."""
    began = trio.current_time() if since is None else since
    await stage.client.hears(answer)
    took = trio.current_time() - began
    assert seconds <= took <= seconds + RESOLUTION, f"{answer!r} after {took} s, not {seconds}"
    await stage.client.hears(b"")
    stage.client.stream.close()


def test_the_defaults_are_those_of_the_design() -> None:
    """Rule 20 and notes/security.md §4."""
    assert Deadlines() == Deadlines(
        greeting=300, command=300, reply=330, content=180, verdict=900, write=180, session=3600, opaque=600
    )


async def test_greeting(autojump_clock: MockClock) -> None:
    """UPSTREAM says nothing for 300 s: 421 4.3.2."""
    async with staged() as stage:
        await _falls(stage, 300, b"421 4.3.2")
    assert (stage.findings, stage.end) == (["SG501"], "unreachable")


@pytest.mark.parametrize("climb", [Stage.greeted, Stage.recipients, Stage.authenticating])
async def test_command(autojump_clock: MockClock, climb: Callable[[Stage], Awaitable[None]]) -> None:
    """CLIENT sends no line for 300 s: 421 4.4.2."""
    async with staged() as stage:
        await climb(stage)
        await _falls(stage, 300, b"421 4.4.2")
    assert (stage.findings, stage.end) == (["SG603"], "deadline")


async def test_octets_do_not_extend_a_command(autojump_clock: MockClock) -> None:
    """An octet every ten seconds is no line: the deadline stands where it stood."""
    async with staged() as stage:
        await stage.identified()
        began = trio.current_time()

        async def drip() -> None:
            for _ in range(29):
                await stage.client.stream.send_all(b"N")
                await trio.sleep(10)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            await _falls(stage, 300, b"421 4.4.2", began)
    assert stage.findings == ["SG603"]


async def test_a_line_in_time_starts_anew(autojump_clock: MockClock) -> None:
    """A command at 299 s is served, and the next one has 300 s from its reply."""
    async with staged() as stage:
        await stage.identified()
        await trio.sleep(299)
        await stage.command(b"NOOP", b"250 ok")
        await _falls(stage, 300, b"421 4.4.2")


async def test_our_answer_starts_the_command_anew(autojump_clock: MockClock) -> None:
    """A 503 of ours is a reply: CLIENT has 300 s from it."""
    async with staged() as stage:
        await stage.identified()
        await trio.sleep(250)
        await stage.client.say(b"DATA")
        await stage.client.hears(b"503")
        await _falls(stage, 300, b"421 4.4.2")


async def test_reply(autojump_clock: MockClock) -> None:
    """UPSTREAM leaves a command unanswered for 330 s: 421 4.3.0; half a reply extends nothing."""
    async with staged() as stage:
        await stage.identified()
        began = trio.current_time()
        await stage.client.say(b"NOOP")
        await trio.sleep(200)
        await stage.upstream.stream.send_all(b"250-half\r\n")
        await _falls(stage, 330, b"421 4.3.0", began)
    assert (stage.findings, stage.end) == (["SG503"], "deadline")


async def test_clients_clock_stands_while_upstream_owes(autojump_clock: MockClock) -> None:
    """A reply after 320 s is in time although CLIENT's 300 s are over, and CLIENT's begin at that reply."""
    async with staged() as stage:
        await stage.identified()
        await stage.client.say(b"NOOP")
        await trio.sleep(320)
        await stage.upstream.say(b"250 ok")
        await stage.client.hears(b"250 ok")
        await _falls(stage, 300, b"421 4.4.2")


@pytest.mark.parametrize("climb", [Stage.content, Stage.chunk])
async def test_content(autojump_clock: MockClock, climb: Callable[[Stage], Awaitable[None]]) -> None:
    """No octet of content or chunk for 180 s: 421 4.4.2, UPSTREAM is reset."""
    async with staged() as stage:
        await climb(stage)
        await _falls(stage, 180, b"421 4.4.2")
        assert stage.near_upstream.was_cut
    assert (stage.findings, stage.end) == (["SG604"], "deadline")


async def test_each_block_of_content_has_its_time(autojump_clock: MockClock) -> None:
    """4 KiB every 170 s go on for an hour; less than 4 KiB, dripping, has 180 s and no more."""
    async with staged() as stage:
        await stage.content()
        for _ in range(20):
            await trio.sleep(170)
            await stage.client.stream.send_all(b"x" * 4094 + b"\r\n")
        began = trio.current_time()

        async def drip() -> None:
            for _ in range(17):
                await stage.client.stream.send_all(b"x" * 200)
                await trio.sleep(10)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            await _falls(stage, 180, b"421 4.4.2", began)
    assert stage.findings == ["SG604"]


@pytest.mark.parametrize("size", [10, 4095, 5000, 9000, 13000])
async def test_verdict(autojump_clock: MockClock, size: int) -> None:
    """UPSTREAM keeps its verdict for 900 s from the dot, however long the content took before it: 421 4.3.0."""
    async with staged() as stage:
        await stage.content()
        await stage.client.stream.send_all(b"x" * size)
        await trio.sleep(170)
        began = trio.current_time()
        await stage.client.say(b"", b".")
        await _falls(stage, 900, b"421 4.3.0", began)
    assert (stage.findings, stage.end) == (["SG503"], "deadline")


async def test_verdict_with_client_gone(autojump_clock: MockClock) -> None:
    """Nobody is left to hear it: after 900 s UPSTREAM is left too, delivery uncertain."""
    async with staged() as stage:
        await stage.verdict()
        began = trio.current_time()
        stage.client.stream.cut()
        await stage.closed.wait()
        assert 900 <= trio.current_time() - began <= 900 + 2 + RESOLUTION
    assert "SG504" in stage.findings


async def test_write_to_upstream(autojump_clock: MockClock) -> None:
    """UPSTREAM takes no octet of content for 180 s: reset, 421 4.3.0."""
    async with staged(upstream=memory_pair(far=1000)) as stage:
        await stage.content()
        began = trio.current_time()
        await stage.client.stream.send_all(b"x" * 5000)
        await _falls(stage, 180, b"421 4.3.0", began)
        assert stage.near_upstream.was_cut
    assert stage.findings == ["SG503"]


async def test_write_to_client(autojump_clock: MockClock) -> None:
    """CLIENT takes no octet of a reply for 180 s: it is gone."""
    async with staged(client=memory_pair(far=100)) as stage:
        await stage.greeted()
        await stage.client.say(b"HELP")
        await stage.upstream.hears(b"HELP")
        began = trio.current_time()
        await stage.upstream.say(b"214 " + b"x" * 1000)
        assert await stage.upstream.rest() == b""
        assert 180 <= trio.current_time() - began <= 180 + RESOLUTION
    assert stage.end == "client-gone"


async def test_a_slow_reader_is_not_given_up(autojump_clock: MockClock) -> None:
    """A peer that takes 16 KiB within 180 s is slow, not stalled: nothing is lost however long it takes."""
    async with staged(upstream=memory_pair(far=1024)) as stage:
        await stage.content()
        sent = b"x" * 100_000 + b"\r\n.\r\n"
        stage.client.stream.send_now(sent)
        came = b""
        while not came.endswith(b"\r\n.\r\n"):
            came += await stage.upstream.stream.receive_some(1024)
            await trio.sleep(10)
        assert came == sent
        await stage.upstream.say(b"250 queued")
        await stage.client.hears(b"250 queued")
        await stage.quit()
    assert stage.findings == []


async def _noops(stage: Stage, seconds: float) -> None:
    until = trio.current_time() + seconds
    while trio.current_time() < until:
        await trio.sleep(min(200, until - trio.current_time()))
        # RSET outside a transaction is no progress of mail, VRFY none of a transaction.
        await stage.command(b"ETRN x", b"250 ok")


async def test_session_outside_a_transaction(autojump_clock: MockClock) -> None:
    """3600 s after the start, at a command boundary: 421 4.4.2."""
    async with staged() as stage:
        await stage.identified()
        await _noops(stage, 3590)
        await _falls(stage, 3600, b"421 4.4.2", 0)
    assert (stage.findings, stage.end) == (["SG605"], "deadline")


async def test_session_inside_a_transaction(autojump_clock: MockClock) -> None:
    """With a transaction open it strikes after twice its time, not before."""
    async with staged() as stage:
        await stage.recipients()
        await _noops(stage, 7190)
        await _falls(stage, 7200, b"421 4.4.2", 0)
    assert "SG605" in stage.findings


async def test_session_never_strikes_in_content(autojump_clock: MockClock) -> None:
    """Content that takes three hours arrives whole; the session ends behind its verdict."""
    async with staged() as stage:
        await stage.content()
        while trio.current_time() < 10_800:
            await stage.client.stream.send_all(b"x" * 4096)
            assert await stage.upstream.stream.receive_some(8192)
            await trio.sleep(150)
        await stage.client.say(b"", b".")
        await stage.upstream.hears(b"", b".")
        await stage.upstream.say(b"250 queued")
        await stage.client.hears(b"250 queued")
        await _falls(stage, 0, b"421 4.4.2")
    assert stage.findings == ["SG605"]


async def test_opaque(autojump_clock: MockClock) -> None:
    """600 s without an octet end an opaque session without a word; octets of either side start it anew."""
    async with staged() as stage:
        await stage.identified()
        await stage.command(b"STARTTLS", b"220 go")
        await stage.client.stream.send_all(b"\x16hello")
        await trio.sleep(590)
        await stage.upstream.stream.send_all(b"hello")
        await trio.sleep(590)
        await stage.client.stream.send_all(b"!")
        began = trio.current_time()
        assert await stage.client.rest() == b"hello"
        assert 600 <= trio.current_time() - began <= 600 + RESOLUTION
        stage.client.stream.close()
    assert stage.end == "deadline"

"""A peer that stalls stops the other one, and what is held stays bounded (rule 17)."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.smtp import policy_for
from tests.net.stage import Stage, staged
from tests.net.streams import MemoryStream, memory_pair

KIB = 1024
MIB = 1024 * KIB
READ = 256 * KIB
HELD = 64 * KIB


async def _send_and_count(sender: object, near: object, data: bytes) -> int:
    """Put octets into the relay's receive buffer and return how many of them it takes while the other side stalls."""
    assert isinstance(sender, MemoryStream)
    assert isinstance(near, MemoryStream)
    before = near.taken
    assert sender.send_now(data) == len(data)
    await wait_all_tasks_blocked()
    await trio.sleep(10)
    return near.taken - before


async def _take_all(stage: Stage, size: int) -> bytes:
    came = b""
    while len(came) < size:
        came += await stage.upstream.stream.receive_some(64 * KIB)
    return came


async def test_a_stalled_upstream_stops_content(autojump_clock: MockClock) -> None:
    """CLIENT has 4 MiB to send, UPSTREAM takes none: one read and the held input are in here, no more."""
    async with staged(client=memory_pair(near=8 * MIB), upstream=memory_pair(far=KIB)) as stage:
        await stage.content()
        content = b"x" * (4 * MIB) + b"\r\n.\r\n"
        assert await _send_and_count(stage.client.stream, stage.near_client, content) <= READ + HELD
        assert await _take_all(stage, len(content)) == content
        await stage.upstream.say(b"250 queued")
        await stage.client.hears(b"250 queued")
        await stage.quit()


async def test_a_stalled_upstream_stops_a_chunk(autojump_clock: MockClock) -> None:
    """The same for BDAT: the payload waits in the kernel and arrives whole."""
    async with staged(client=memory_pair(near=8 * MIB), upstream=memory_pair(far=KIB)) as stage:
        await stage.recipients()
        chunk = b"BDAT %d LAST\r\n" % (4 * MIB) + bytes(4 * MIB)
        assert await _send_and_count(stage.client.stream, stage.near_client, chunk) <= READ + HELD
        assert await _take_all(stage, len(chunk)) == chunk
        await stage.upstream.say(b"250 queued")
        await stage.client.hears(b"250 queued")
        await stage.quit()


async def test_held_input_is_bounded(autojump_clock: MockClock) -> None:
    """UPSTREAM owes a reply: 64 KiB of what CLIENT pipelined are read, no more, and all of it is served in the end."""
    async with staged(client=memory_pair(near=8 * MIB)) as stage:
        await stage.identified()
        rcpts = [b"RCPT TO:<%06d@example.net>" % number for number in range(10_000)]
        lines = b"".join(line + b"\r\n" for line in [b"MAIL FROM:<a@b>", *rcpts])
        forwarded = lines.index(b"\n") + 1
        assert await _send_and_count(stage.client.stream, stage.near_client, lines) <= HELD + forwarded
        assert stage.session.window == 0

        async def answer() -> None:
            for _ in range(len(rcpts) + 1):
                await stage.upstream.line()
                await stage.upstream.say(b"250 ok")

        async with trio.open_nursery() as peers:
            peers.start_soon(answer)
            for _ in range(len(rcpts) + 1):
                await stage.client.hears(b"250 ok")
        await stage.quit()


async def test_a_stalled_client_stops_upstream(autojump_clock: MockClock) -> None:
    """CLIENT reads nothing: UPSTREAM is not read on, and everything arrives when CLIENT reads again."""
    async with staged(upstream=memory_pair(near=8 * MIB)) as stage:
        await stage.identified()
        await stage.command(b"STARTTLS", b"220 go")
        await stage.client.stream.send_all(b"\x16hello")
        await stage.upstream.stream.receive_some(100)
        stage.client.stream.capacity = KIB  # type: ignore[attr-defined]
        octets = bytes(range(256)) * (16 * KIB)
        assert await _send_and_count(stage.upstream.stream, stage.near_upstream, octets) <= READ
        came = b""
        while len(came) < len(octets):
            came += await stage.client.stream.receive_some(64 * KIB)
        assert came == octets
        stage.upstream.stream.close()
        await stage.client.hears(b"")
        stage.client.stream.close()


async def test_a_client_that_reads_no_replies_is_not_read(autojump_clock: MockClock) -> None:
    """Pipelining without reading: while replies wait for CLIENT none of its further commands is taken."""
    async with staged(client=memory_pair(near=8 * MIB)) as stage:
        await stage.recipients()
        stage.client.stream.capacity = 10  # type: ignore[attr-defined]
        await stage.client.say(b"ETRN x")
        await stage.upstream.hears(b"ETRN x")
        await stage.upstream.say(b"250 " + b"x" * 100)
        await wait_all_tasks_blocked()
        # One read may be under way already.
        assert await _send_and_count(stage.client.stream, stage.near_client, b"RSET\r\n" * 100_000) <= HELD
        before = stage.near_upstream.taken  # type: ignore[union-attr]
        await stage.upstream.hears(b"RSET")
        await stage.upstream.say(b"250 " + b"y" * 100)
        await wait_all_tasks_blocked()
        assert stage.near_upstream.taken == before  # type: ignore[union-attr]
        stage.client.stream.cut()


@pytest.mark.parametrize("stalled", ["client", "upstream"])
async def test_memory_does_not_grow_with_a_stall(autojump_clock: MockClock, stalled: str) -> None:
    """Opaque octets flood both ways, one side stalls: not more than a read in each direction is in here."""
    async with staged(
        client=memory_pair(near=8 * MIB), upstream=memory_pair(near=8 * MIB), policy=policy_for()
    ) as stage:
        await stage.identified()
        await stage.command(b"STARTTLS", b"220 go")
        await stage.client.stream.send_all(b"\x16hello")
        await stage.upstream.stream.receive_some(100)
        getattr(stage, stalled).stream.capacity = 0
        up = await _send_and_count(stage.client.stream, stage.near_client, bytes(4 * MIB))
        down = await _send_and_count(stage.upstream.stream, stage.near_upstream, bytes(MIB))
        through = stage.upstream.stream.unread + stage.client.stream.unread  # type: ignore[attr-defined]
        assert up + down - through <= 2 * READ
        stage.upstream.stream.cut()
        stage.client.stream.cut()

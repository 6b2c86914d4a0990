"""The relay as it runs in the service: over sockets, read by the dispatcher, and by tasks once a peer is behind."""

import hashlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.net.dispatcher import Dispatcher
from tests.net import test_relay_end, test_relay_gone, test_relay_session
from tests.net.loopback import descriptors
from tests.net.stage import Stage, staged
from tests.net.streams import SocketStream, socket_pair

MIB = 1024 * 1024

Played = Callable[..., Coroutine[Any, Any, None]]

ENDS = ("send_eof", "cut")
SAME: list[Played] = [
    test_relay_session.test_a_whole_session_passes_octet_for_octet,
    test_relay_session.test_a_violation_is_answered_and_never_forwarded,
    test_relay_session.test_a_pipelined_session_keeps_the_order,
    test_relay_session.test_nothing_is_forwarded_before_the_greeting,
    test_relay_session.test_half_close_is_answered_to_the_end,
    test_relay_session.test_half_close_behind_the_dot_hears_the_verdict,
    test_relay_session.test_opaque_octets_pass_both_ways,
    *(
        partial(test_relay_gone.test_client_gone_between_commands, climb=climb, end=end)
        for climb in (Stage.greeted, Stage.recipients)
        for end in ENDS
    ),
    *(
        partial(test_relay_gone.test_client_gone_in_a_message_cuts_upstream, climb=climb, end=end)
        for climb in (Stage.content, Stage.chunk, Stage.authenticating)
        for end in ENDS
    ),
    *(
        partial(test_relay_gone.test_upstream_gone_with_nothing_owed, climb=climb, end=end)
        for climb in (Stage.greeted, Stage.recipients)
        for end in ENDS
    ),
    *(
        partial(test_relay_gone.test_upstream_gone_with_something_owed, climb=climb, end=end)
        for climb in (Stage.content, Stage.verdict)
        for end in ENDS
    ),
    *(partial(test_relay_gone.test_upstream_gone_before_its_greeting, end=end) for end in ENDS),
    test_relay_gone.test_content_without_its_end_is_never_ended_by_us,
    test_relay_gone.test_upstream_gone_with_a_command_out,
    test_relay_gone.test_client_reset_and_no_verdict,
    partial(test_relay_gone.test_client_reset_behind_the_dot, verdict=b"250 queued", detail="accepted"),
    partial(test_relay_gone.test_client_reset_behind_the_dot, verdict=b"550 no", detail=None),
    test_relay_end.test_short_linger_by_time,
    test_relay_end.test_a_client_that_closes_ends_the_linger,
    test_relay_end.test_content_linger_by_time,
    test_relay_end.test_a_hidden_end_cuts_upstream,
    *(
        partial(test_relay_end.test_dismissed, climb=climb)
        for climb in (Stage.greeted, Stage.recipients, Stage.content, Stage.verdict)
    ),
]


def _name(played: Played) -> str:
    if not isinstance(played, partial):
        return getattr(played, "__name__", "")
    words = (getattr(value, "__name__", str(value)) for value in played.keywords.values())
    return "-".join([played.func.__name__, *words])


@asynccontextmanager
async def dispatched(**settings: Any) -> AsyncIterator[Stage]:
    """Be `staged`, over sockets and with a dispatcher; the peers' ends are closed at the end."""
    before = descriptors()
    client, upstream = socket_pair(), socket_pair()
    try:
        async with staged(client=client, upstream=upstream, dispatcher=Dispatcher(), **settings) as stage:
            yield stage
    finally:
        for stream in client + upstream:
            stream.close()
    assert descriptors() == before


@pytest.fixture
def quick_clock() -> MockClock:
    """Virtual time that jumps early, because every second of it is a jump."""
    return MockClock(autojump_threshold=0.001)


@pytest.mark.parametrize("played", SAME, ids=_name)
async def test_the_same_over_sockets(quick_clock: MockClock, monkeypatch: pytest.MonkeyPatch, played: Played) -> None:
    """What holds for tasks over memory streams holds for the dispatcher over sockets."""
    function = played.func if isinstance(played, partial) else played
    monkeypatch.setattr(sys.modules[function.__module__], "staged", dispatched)
    await played(quick_clock)


async def _read(stream: object, size: int) -> str:
    assert isinstance(stream, SocketStream)
    digest, left = hashlib.sha256(), size
    while left:
        data = await stream.receive_some(min(left, MIB))
        assert data
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


async def test_from_the_dispatcher_to_tasks_in_content(jumping_clock: MockClock) -> None:
    """UPSTREAM stalls in the middle of a large message: it arrives whole, and the session goes on to its end."""
    async with dispatched() as stage:
        await stage.content()
        content = bytes(range(1, 256)).replace(b".", b"").replace(b"\n", b"").replace(b"\r", b"") * (48 * 1024)
        async with trio.open_nursery() as peers:
            peers.start_soon(stage.client.stream.send_all, content + b"\r\n.\r\n")
            await wait_all_tasks_blocked(0.02)
            assert await _read(stage.upstream.stream, len(content)) == hashlib.sha256(content).hexdigest()
        await stage.upstream.hears(b"", b".")
        await stage.upstream.say(b"250 queued")
        await stage.client.hears(b"250 queued")
        await stage.command(b"NOOP", b"250 ok")
        await stage.quit()
    assert stage.findings == []


async def test_from_the_dispatcher_to_tasks_with_held_input(jumping_clock: MockClock) -> None:
    """Held input fills its room while a reply is owed: nothing is lost or turned round when the replies come."""
    rcpts = [b"RCPT TO:<%06d@example.net>" % number for number in range(5000)]
    async with dispatched() as stage:
        await stage.identified()
        seen: list[bytes] = []

        async def answer() -> None:
            await stage.upstream.hears(b"MAIL")
            await wait_all_tasks_blocked(0.02)
            assert stage.session.window == 0
            await stage.upstream.say(b"250 mail")
            while len(seen) < len(rcpts):
                seen.append(await stage.upstream.line())
                await stage.upstream.say(b"250 " + seen[-1][-19:])

        async with trio.open_nursery() as peers:
            peers.start_soon(answer)
            peers.start_soon(stage.client.say, b"MAIL FROM:<a@b>", *rcpts)
            await stage.client.hears(b"250 mail", *(b"250 " + rcpt[-19:] for rcpt in rcpts))
        assert seen == rcpts
        await stage.quit()


async def test_from_the_dispatcher_to_tasks_with_a_stalled_client(jumping_clock: MockClock) -> None:
    """CLIENT stalls in an opaque session: what UPSTREAM sent arrives whole when it reads again."""
    octets = bytes(range(256)) * (48 * 1024)
    async with dispatched() as stage:
        await stage.identified()
        await stage.command(b"STARTTLS", b"220 go")
        await stage.client.stream.send_all(b"\x16hello")
        assert await stage.upstream.stream.receive_some(100) == b"\x16hello"
        async with trio.open_nursery() as peers:
            peers.start_soon(stage.upstream.stream.send_all, octets)
            await wait_all_tasks_blocked(0.02)
            assert await _read(stage.client.stream, len(octets)) == hashlib.sha256(octets).hexdigest()
        await stage.client.stream.send_all(b"back")
        assert await stage.upstream.stream.receive_some(100) == b"back"
        stage.client.stream.close()


async def test_a_refusal_while_a_large_message_is_stalled(jumping_clock: MockClock) -> None:
    """UPSTREAM stops reading, says 552 and is reset; CLIENT is read to the end of its message and hears it."""
    async with dispatched() as stage:
        await stage.content()
        async with trio.open_nursery() as peers:
            peers.start_soon(stage.client.stream.send_all, b"x" * (20 * MIB))
            await wait_all_tasks_blocked(0.02)
            await stage.upstream.say(b"552 too much")
        stage.client.stream.send_eof()
        await stage.client.hears(b"552 too much", b"")
    assert stage.near_upstream.was_cut
    assert stage.end == "content-refused"

"""FIN and RST of either side in every phase: what the other side hears, how UPSTREAM is left, what is recorded."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.smtp import SHUTTING_DOWN, Close
from tests.net.stage import Stage, staged
from tests.net.streams import MemoryStream

Climb = Callable[[Stage], Awaitable[None]]

ENDS = [pytest.param("send_eof", id="FIN"), pytest.param("cut", id="RST")]
BOUNDARY = [pytest.param(Stage.greeted, id="greeted"), pytest.param(Stage.recipients, id="recipients")]
STREAMED = [
    pytest.param(Stage.content, id="content"),
    pytest.param(Stage.chunk, id="chunk"),
    pytest.param(Stage.authenticating, id="auth"),
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("climb", BOUNDARY)
async def test_client_gone_between_commands(autojump_clock: MockClock, climb: Climb, end: str) -> None:
    """UPSTREAM is closed, nothing is invented, and within a second."""
    async with staged() as stage:
        await climb(stage)
        getattr(stage.client.stream, end)()
        with trio.fail_after(1):
            assert await stage.upstream.rest() == b""
    assert (stage.findings, stage.end) == ([], "client-gone")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("climb", STREAMED)
async def test_client_gone_in_a_message_cuts_upstream(autojump_clock: MockClock, climb: Climb, end: str) -> None:
    """In content, a chunk or AUTH, FIN is gone too: UPSTREAM is reset and gets no octet more."""
    async with staged() as stage:
        await climb(stage)
        getattr(stage.client.stream, end)()
        with trio.fail_after(1):
            assert (await stage.upstream.until_reset()).strip(b"0123456789") == b""
        assert stage.near_upstream.was_cut
    assert (stage.findings, stage.end) == ([], "client-gone")


async def test_content_without_its_end_is_never_ended_by_us(autojump_clock: MockClock) -> None:
    """CLIENT is reset behind half a message: UPSTREAM gets what came, no dot, and a reset."""
    async with staged() as stage:
        await stage.content()
        await stage.client.say(b"half", b"a message")
        await stage.upstream.hears(b"half")
        stage.client.stream.cut()
        assert b"." not in await stage.upstream.until_reset()
    assert stage.near_upstream.was_cut


@pytest.mark.parametrize("climb", BOUNDARY)
@pytest.mark.parametrize("end", ENDS)
async def test_upstream_gone_with_nothing_owed(autojump_clock: MockClock, climb: Climb, end: str) -> None:
    """UPSTREAM's close is passed on as a close, silently."""
    async with staged() as stage:
        await climb(stage)
        getattr(stage.upstream.stream, end)()
        with trio.fail_after(1):
            await stage.client.hears(b"")
        stage.client.stream.close()
    assert (stage.findings, stage.end) == ([], "upstream-gone")


@pytest.mark.parametrize("end", ENDS)
async def test_upstream_gone_before_its_greeting(autojump_clock: MockClock, end: str) -> None:
    """Without a greeting CLIENT hears 421 4.3.0."""
    async with staged() as stage:
        getattr(stage.upstream.stream, end)()
        await stage.client.hears(b"421 4.3.", b"")
        stage.client.stream.close()
    assert stage.end == "upstream-gone"


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("climb", [pytest.param(Stage.content, id="content"), pytest.param(Stage.chunk, id="chunk"),
                                   pytest.param(Stage.verdict, id="verdict")])  # fmt: skip
async def test_upstream_gone_with_something_owed(autojump_clock: MockClock, climb: Climb, end: str) -> None:
    """A command or a message unanswered: CLIENT hears 421 4.3.0, never a 2yz, and an orderly end."""
    async with staged() as stage:
        await climb(stage)
        getattr(stage.upstream.stream, end)()
        await stage.client.hears(b"421 4.3.0", b"")
        stage.client.stream.close()
    assert (stage.findings, stage.end) == (["SG503"], "upstream-gone")


async def test_upstream_gone_with_a_command_out(autojump_clock: MockClock) -> None:
    """RST instead of a reply, with half a reply before it: 421 4.3.0, and the half is never handed on."""
    async with staged() as stage:
        await stage.identified()
        await stage.client.say(b"NOOP")
        await stage.upstream.hears(b"NOOP")
        await stage.upstream.stream.send_all(b"250-half")
        stage.upstream.stream.cut()
        await stage.client.hears(b"421 4.3.0", b"")
        stage.client.stream.close()
    assert stage.findings == ["SG503"]


async def test_last_words_behind_a_verdict_are_a_close(autojump_clock: MockClock) -> None:
    """UPSTREAM says 250 to the message and closes right behind it: CLIENT hears the 250, then the end."""
    async with staged() as stage:
        await stage.verdict()
        await stage.upstream.say(b"250 queued")
        stage.upstream.stream.cut()
        await stage.client.hears(b"250 queued", b"")
        stage.client.stream.close()
    assert stage.findings == []


@pytest.mark.parametrize(("verdict", "detail"), [(b"250 queued", "accepted"), (b"550 no", None)])
async def test_client_reset_behind_the_dot(autojump_clock: MockClock, verdict: bytes, detail: str | None) -> None:
    """RFC 1047: UPSTREAM is kept for its verdict; only where it accepted is the delivery uncertain."""
    async with staged() as stage:
        await stage.verdict()
        stage.client.stream.cut()
        await trio.sleep(600)
        assert not stage.near_upstream.closed
        await stage.upstream.say(verdict)
        assert await stage.upstream.rest() == b""
    assert stage.findings == (["SG504"] if detail else [])
    assert stage.end == "client-gone"


async def test_client_reset_and_no_verdict(autojump_clock: MockClock) -> None:
    """CLIENT is gone and UPSTREAM closes without its verdict: delivery uncertain, once."""
    async with staged() as stage:
        await stage.verdict()
        stage.client.stream.cut()
        await trio.sleep(1)
        stage.upstream.stream.close()
    assert stage.findings == ["SG504"]


async def test_a_verdict_that_cannot_be_written(autojump_clock: MockClock) -> None:
    """CLIENT half-closed behind the dot and is gone when the verdict comes: the write fails, SG504 says so."""
    async with staged() as stage:
        await stage.verdict()
        stage.client.stream.send_eof()
        await trio.sleep(1)
        stage.client.stream.cut()
        await stage.upstream.say(b"250 queued")
        assert await stage.upstream.rest() == b""
    assert stage.findings == ["SG504"]


async def test_a_verdict_half_written(autojump_clock: MockClock) -> None:
    """CLIENT takes a part of its 250 and is reset: it could not be told, SG504 says so."""
    async with staged() as stage:
        await stage.verdict()
        stage.client.stream.capacity = 5  # type: ignore[attr-defined]
        await stage.upstream.say(b"250 queued")
        await wait_all_tasks_blocked()
        stage.client.stream.cut()
        assert await stage.upstream.rest() == b""
    assert stage.findings == ["SG504"]


async def test_a_verdict_is_awaited_for_a_client_given_up(autojump_clock: MockClock) -> None:
    """CLIENT does not take the 354, sends its message all the same and is given up: the verdict is read yet."""
    async with staged() as stage:
        await stage.recipients()
        stage.client.stream.capacity = 5  # type: ignore[attr-defined]
        await stage.client.say(b"DATA")
        await stage.upstream.hears(b"DATA")
        await stage.upstream.say(b"354 go")
        await wait_all_tasks_blocked()
        await stage.client.say(b"text", b".")
        await stage.upstream.hears(b"text", b".")
        await trio.sleep(200)
        assert stage.near_client.closed
        assert not stage.near_upstream.closed
        await stage.upstream.say(b"250 queued")
        with trio.fail_after(1):
            assert await stage.upstream.rest() == b""
    assert stage.findings == ["SG504"]


async def test_a_verdict_not_taken_before_a_shutdown(autojump_clock: MockClock) -> None:
    """The service ends while the 250 waits for CLIENT to take it: if it is dropped, SG504 says so."""
    async with staged() as stage:
        await stage.verdict()
        stage.client.stream.capacity = 5  # type: ignore[attr-defined]
        await stage.upstream.say(b"250 queued")
        await wait_all_tasks_blocked()
        stage.relay.dismiss(SHUTTING_DOWN, Close.SHUTDOWN)
    assert stage.findings == ["SG504"]


class _Deaf(MemoryStream):
    """An UPSTREAM connection on which every write fails, while what UPSTREAM said can still be read, as on Linux."""

    failing = False

    def send_now(self, data: bytes | memoryview) -> int:
        """Fail once `failing` is set."""
        if self.failing:
            raise trio.BrokenResourceError("reset by peer")
        return super().send_now(data)


def _deaf_pair() -> tuple[_Deaf, MemoryStream]:
    near, far = _Deaf(), MemoryStream()
    near.peer, far.peer = far, near
    return near, far


async def test_a_verdict_comes_before_the_loss_of_upstream(autojump_clock: MockClock) -> None:
    """UPSTREAM accepts the message and is reset, with a command held: the verdict first, our 421 behind it."""
    near, far = _deaf_pair()
    async with staged(upstream=(near, far)) as stage:
        await stage.content()
        await stage.client.say(b"text", b".", b"MAIL FROM:<a@b>")
        await stage.upstream.hears(b"text", b".")
        near.failing = True
        await stage.upstream.say(b"250 queued")
        far.cut()
        await stage.client.hears(b"250 queued", b"421 4.3.0", b"")
        stage.client.stream.close()


async def test_what_upstream_said_before_a_failed_write_is_handed_on(autojump_clock: MockClock) -> None:
    """UPSTREAM refuses the content and resets: the next write fails, its 552 is read and handed on."""
    for _ in range(10):  # trio wakes the two readers in either order
        near, far = _deaf_pair()
        async with staged(upstream=(near, far)) as stage:
            await stage.content()
            near.failing = True
            far.send_now(b"552 too much\r\n")
            stage.client.stream.send_now(b"more\r\n")
            far.cut()
            await stage.client.hears(b"552 too much", b"")
            stage.client.stream.close()
        assert stage.end == "content-refused"

"""The end of a session: last words reach CLIENT (rule 21), UPSTREAM is cut where it must be, bugs end one session."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.smtp import SHUTTING_DOWN, Close, Output, Session, Side
from tests.net.stage import Stage, staged
from tests.net.streams import memory_pair

KIB = 1024
MIB = 1024 * KIB


async def _hears_the_end(stage: Stage, answer: bytes) -> None:
    """Expect the answer and then FIN, while the relay still reads."""
    await stage.client.hears(answer, b"")
    assert stage.near_client.ended
    assert not stage.near_client.closed


async def _still_sends(stage: Stage, octets: int) -> None:
    """Send until the relay closes, or so many octets are taken."""
    while octets > 0:
        await stage.client.stream.send_all(b"x" * min(octets, MIB))
        octets -= MIB
        await wait_all_tasks_blocked()


async def test_short_linger_by_time(autojump_clock: MockClock) -> None:
    """CLIENT hears 554 and FIN and does not close: it is read for 2 s, then closed."""
    async with staged() as stage:
        await stage.greeted()
        await stage.client.say(b"GET / HTTP/1.1", b"Host: x")
        await _hears_the_end(stage, b"554 5.5.1")
        began = trio.current_time()
        await _still_sends(stage, 500 * KIB)
        await stage.closed.wait()
        assert 2 <= trio.current_time() - began <= 3
    assert stage.end == "violation"


async def test_short_linger_by_octets(autojump_clock: MockClock) -> None:
    """More than 1 MiB into the void is enough: closed before the time is over."""
    async with staged() as stage:
        await stage.greeted()
        await stage.client.say(b"GET / HTTP/1.1")
        await _hears_the_end(stage, b"554 5.5.1")
        began = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            await _still_sends(stage, 4 * MIB)
        assert trio.current_time() - began < 1


async def test_a_client_that_closes_ends_the_linger(autojump_clock: MockClock) -> None:
    """CLIENT closes behind the answer: nothing is waited for."""
    async with staged() as stage:
        await stage.greeted()
        await stage.client.say(b"GET / HTTP/1.1")
        await _hears_the_end(stage, b"554 5.5.1")
        began = trio.current_time()
        stage.client.stream.close()
        await stage.closed.wait()
        assert trio.current_time() - began < 1


async def test_content_linger_by_time(autojump_clock: MockClock) -> None:
    """Behind refused content CLIENT is read for 30 s: a client that reads at the end of its message must get there."""
    async with staged() as stage:
        await stage.content()
        await stage.upstream.say(b"552 too much")
        await _hears_the_end(stage, b"552 too much")
        began = trio.current_time()
        for _ in range(28):
            await stage.client.stream.send_all(b"x" * MIB)
            await trio.sleep(1)
        assert not stage.near_client.closed
        await stage.closed.wait()
        assert 30 <= trio.current_time() - began <= 31
        assert stage.near_upstream.was_cut
    assert stage.end == "content-refused"


async def test_content_linger_by_octets(autojump_clock: MockClock) -> None:
    """64 MiB of refused content are read, and no more."""
    async with staged() as stage:
        await stage.content()
        await stage.upstream.say(b"552 too much")
        await _hears_the_end(stage, b"552 too much")
        await _still_sends(stage, 63 * MIB)
        assert not stage.near_client.closed
        with pytest.raises(trio.BrokenResourceError):
            await _still_sends(stage, 3 * MIB)


async def test_a_refusal_while_upstream_takes_no_more(autojump_clock: MockClock) -> None:
    """UPSTREAM stops reading content and says 552: CLIENT hears it and is read on, so that no RST destroys it."""
    async with staged(upstream=memory_pair(far=KIB)) as stage:
        await stage.content()
        stage.client.stream.send_now(b"x" * (600 * KIB))
        await wait_all_tasks_blocked()
        await stage.upstream.say(b"552 too much")
        await _hears_the_end(stage, b"552 too much")
        await wait_all_tasks_blocked()
        assert stage.client.stream.peer.unread == 0  # type: ignore[attr-defined]
        await _still_sends(stage, 5 * MIB)
        stage.client.stream.send_eof()
        await stage.closed.wait()
    assert stage.near_upstream.was_cut
    assert stage.end == "content-refused"


async def test_a_stalled_upstream_costs_no_last_word(autojump_clock: MockClock) -> None:
    """The write deadline on UPSTREAM falls in content: 421, and CLIENT goes on being read for a while."""
    async with staged(upstream=memory_pair(far=KIB)) as stage:
        await stage.content()
        stage.client.stream.send_now(b"x" * (600 * KIB))
        await _hears_the_end(stage, b"421 4.3.0")
        await wait_all_tasks_blocked()
        assert stage.client.stream.peer.unread == 0  # type: ignore[attr-defined]
        stage.client.stream.close()


async def test_a_hidden_end_cuts_upstream(autojump_clock: MockClock) -> None:
    """The dot guard: no octet from the hidden end on is sent, UPSTREAM is reset, CLIENT hears 550 5.5.2."""
    async with staged() as stage:
        await stage.content()
        await stage.client.stream.send_all(b"text\n.\r\nMAIL FROM:<evil@b>\r\n")
        assert b"." not in await stage.upstream.until_reset()
        assert stage.near_upstream.was_cut
        await _hears_the_end(stage, b"550 5.5.2")
        stage.client.stream.close()
    assert "SG304" in stage.findings


@pytest.mark.parametrize("climb", [Stage.greeted, Stage.recipients, Stage.content, Stage.verdict])
async def test_dismissed(autojump_clock: MockClock, climb: object) -> None:
    """The service ends: CLIENT hears 421 4.3.2 wherever it stands; content is cut."""
    async with staged() as stage:
        await climb(stage)  # type: ignore[operator]
        stage.relay.dismiss(SHUTTING_DOWN, Close.SHUTDOWN)
        await _hears_the_end(stage, b"421 4.3.2")
        assert stage.near_upstream.was_cut is (climb is Stage.content)
        stage.client.stream.close()
    assert stage.end == "shutdown"


async def test_dismissed_while_dialling(autojump_clock: MockClock) -> None:
    """The service ends before UPSTREAM took the connection: CLIENT hears 421, the connection is closed in the end."""
    dialled = trio.Event()

    async def dial() -> object:
        await dialled.wait()
        return late.near_upstream

    async with staged(dial=dial) as late:  # type: ignore[arg-type]
        await wait_all_tasks_blocked()
        late.relay.dismiss(SHUTTING_DOWN, Close.SHUTDOWN)
        await late.client.hears(b"421 4.3.2", b"")
        late.client.stream.close()
        dialled.set()
    assert late.near_upstream.closed


# --- bugs of ours --------------------------------------------------------------------------------------------------


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a bug: `BOOM` from either side is too much for the session."""
    receive = Session.receive

    def receive_badly(self: Session, side: Side, data: bytes, *, unread: bool = False) -> Output:
        if b"BOOM" in data:
            raise RuntimeError("planted")
        return receive(self, side, data, unread=unread)

    monkeypatch.setattr(Session, "receive", receive_badly)


@pytest.mark.usefixtures("bug")
@pytest.mark.parametrize("climb", [Stage.greeted, Stage.recipients, Stage.content])
async def test_a_bug_with_clients_octets(autojump_clock: MockClock, climb: object) -> None:
    """CLIENT hears 421 4.3.0 and an orderly end, also with input unread; the stack is told once."""
    async with staged() as stage:
        stage.bugs_meant = 1
        await climb(stage)  # type: ignore[operator]
        stage.client.stream.send_now(b"BOOM\r\n" * 100_000)
        await stage.client.hears(b"421 4.3.0", b"")
        assert stage.near_upstream.closed
        assert stage.near_upstream.was_cut is (climb is Stage.content)
        stage.client.stream.close()
    assert stage.end == "error"


@pytest.mark.usefixtures("bug")
async def test_a_bug_with_upstreams_octets(autojump_clock: MockClock) -> None:
    """The same in the other reader, while CLIENT's waits."""
    async with staged() as stage:
        stage.bugs_meant = 1
        await stage.identified()
        await stage.client.say(b"NOOP")
        await stage.upstream.hears(b"NOOP")
        await stage.upstream.say(b"250 BOOM")
        await stage.client.hears(b"421 4.3.0", b"")
        stage.client.stream.close()
    assert stage.end == "error"


@pytest.mark.usefixtures("bug")
async def test_a_bug_with_a_greeting_that_was_heard_ahead(autojump_clock: MockClock) -> None:
    """The same before either reader has begun."""
    async with staged(heard=b"220 BOOM\r\n") as stage:
        stage.bugs_meant = 1
        await stage.client.hears(b"421 4.3.0", b"")
        stage.client.stream.close()
    assert stage.end == "error"


async def test_a_bug_in_the_dial(autojump_clock: MockClock) -> None:
    """A bug before there is an UPSTREAM ends that session the same way."""

    async def dial() -> object:
        raise RuntimeError("planted")

    async with staged(dial=dial) as stage:  # type: ignore[arg-type]
        stage.bugs_meant = 1
        await stage.client.hears(b"421 4.3.0", b"")
        stage.client.stream.close()


async def test_a_bug_while_the_session_is_summed_up(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum fails: the session is closed and said to be closed all the same, or its place would be taken for ever."""

    def raise_planted(_: Session) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Session, "ended", raise_planted)
    async with staged() as stage:
        stage.bugs_meant, stage.sums_meant = 1, 0
        await stage.greeted()
        await stage.quit()

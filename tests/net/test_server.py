"""Accept, caps, the sweeper and the drain, with real sockets on loopback."""

import errno
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from smtpguard.net import Deadlines, Gate, listen
from smtpguard.net.server import TURNED_AWAY, session_ids
from smtpguard.smtp import Finding, Output, Session, SessionEnded, SessionStarted
from tests.net.house import House, serving
from tests.net.loopback import Client, has_ipv6

RESET = struct.pack("ii", 1, 0)


async def _in_transaction(house: House) -> Client:
    client = await Client.dial(house.port)
    await client.hears(b"220")
    for line in (b"EHLO c", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"):
        await client.say(line)
        await client.hears(b"250")
    return client


async def _message(client: Client) -> None:
    await client.say(b"DATA")
    await client.hears(b"354")
    await client.say(b"text", b".")
    await client.hears(b"250 queued")


async def _quit(client: Client) -> None:
    await client.say(b"QUIT")
    await client.hears(b"221", b"")
    client.close()


async def test_a_session_is_served_and_told(jumping_clock: MockClock) -> None:
    """One UPSTREAM connection for it, its link says who, and it begins and ends in the events."""
    async with serving() as house:
        client = await _in_transaction(house)
        await _message(client)
        ours, theirs = client.stream.socket.getsockname(), client.stream.socket.getpeername()
        await _quit(client)
    assert house.upstreams == 1
    assert [type(event) for _, event in house.seen] == [SessionStarted, SessionEnded]
    link = house.seen[0][0]
    assert (link.client_ip, link.client_port) == ours
    assert (link.local_ip, link.local_port) == theirs
    assert (link.listener, link.upstream) == ("test", str(house.upstream))
    assert link.started == pytest.approx(time.time(), abs=60)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
async def test_an_ipv4_client_of_a_dual_stack_listener(jumping_clock: MockClock) -> None:
    """::ffff:a.b.c.d is told as the IPv4 address it is."""
    async with serving(listener=listen("::", 0)) as house:
        for host in ("127.0.0.1", "::1"):
            client = await Client.dial(house.port, host)
            await client.hears(b"220")
            await _quit(client)
    links = [link for link, event in house.seen if isinstance(event, SessionStarted)]
    assert [(link.client_ip, link.local_ip) for link in links] == [("127.0.0.1", "127.0.0.1"), ("::1", "::1")]


@pytest.mark.parametrize(
    ("gate", "setting"), [(Gate(1, 9), "limits.sessions"), (Gate(9, 1), "limits.sessions-per-client")]
)
async def test_one_too_many(jumping_clock: MockClock, gate: Gate, setting: str) -> None:
    """421 4.7.0 with rule and session id, no UPSTREAM connection, no session; a place that is free again is given."""
    async with serving(gate=gate) as house:
        first = await Client.dial(house.port)
        await first.hears(b"220")
        second = await Client.dial(house.port)
        line = await second.line()
        assert line.startswith(b"421 4.7.0 ")
        assert line.split()[-2] == b"[SG606"
        assert len(line.split()[-1]) == len(b"0123456789AB]")
        await second.hears(b"")
        second.close()
        assert (house.upstreams, house.count(SessionStarted), house.warnings) == (1, 1, [setting])
        await _quit(first)
        await trio.sleep(3)
        assert len(house.server) == 0
        third = await Client.dial(house.port)
        await third.hears(b"220")
        await _quit(third)


async def test_a_shut_gate(jumping_clock: MockClock) -> None:
    """421 4.3.0 with the session id and no rule, no UPSTREAM connection; who is in goes on; open again, it serves."""
    gate = Gate(10, 10)
    async with serving(gate=gate) as house:
        first = await Client.dial(house.port)
        await first.hears(b"220")
        gate.shut = "audit.on-failure"
        second = await Client.dial(house.port)
        line = await second.line()
        assert line.startswith(b"421 4.3.0 Service not available for now, try again later [")
        assert len(line.split(b"[")[1]) == len(b"0123456789AB]")
        await second.hears(b"")
        second.close()
        assert (house.upstreams, house.count(SessionStarted), house.warnings) == (1, 1, ["audit.on-failure"])
        await first.say(b"NOOP")
        await first.hears(b"250")
        await _quit(first)
        gate.shut = ""
        third = await Client.dial(house.port)
        await third.hears(b"220")
        await _quit(third)


async def test_one_too_many_that_talks_early(jumping_clock: MockClock) -> None:
    """Its input is read into the void, so that no RST destroys the 421."""
    async with serving(gate=Gate(0, 9)) as house:
        client = await Client.dial(house.port)
        await client.stream.send_all(b"EHLO early\r\n" * 10_000)
        await client.hears(b"421 4.7.0", b"")
        client.close()
    assert house.upstreams == 0


async def test_a_flood_over_the_cap(jumping_clock: MockClock) -> None:
    """So many are turned away at a time with a word; the others are closed, and nothing piles up."""
    async with serving(gate=Gate(0, 9)) as house:
        clients = [await Client.dial(house.port) for _ in range(TURNED_AWAY + 10)]
        words = 0
        for client in clients:
            words += (await client.line()).startswith(b"421 4.7.0")
        assert words >= TURNED_AWAY
        for client in clients:
            client.close()
    assert house.count(SessionStarted) == 0


class _Exhausted(socket.socket):
    """A listening socket whose accept finds no descriptor free while `exhausted`."""

    error = errno.EMFILE
    exhausted = True
    accepts = 0

    def accept(self) -> tuple[socket.socket, object]:
        """See `socket.accept`."""
        type(self).accepts += 1
        if type(self).exhausted:
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_no_descriptor_free(jumping_clock: MockClock, error: int) -> None:
    """Accepting pauses instead of spinning, says so, and goes on when there is one."""

    class Exhausted(_Exhausted):
        pass

    Exhausted.error = error
    opened = listen("127.0.0.1", 0)
    async with serving(listener=Exhausted(fileno=opened.detach())) as house:
        client = await Client.dial(house.port)
        await trio.sleep(2)
        assert 1 < Exhausted.accepts <= 2 / 0.1 + 2
        assert set(house.warnings) == {str(error)}
        Exhausted.exhausted = False
        await client.hears(b"220")
        await _quit(client)


async def test_a_client_that_is_gone_before_it_is_accepted(jumping_clock: MockClock) -> None:
    """ECONNABORTED of one client is nobody else's business."""

    class Exhausted(_Exhausted):
        error = errno.ECONNABORTED

    opened = listen("127.0.0.1", 0)
    async with serving(listener=Exhausted(fileno=opened.detach())) as house:
        client = await Client.dial(house.port)
        while not Exhausted.accepts:
            await trio.lowlevel.checkpoint()
        Exhausted.exhausted = False
        await client.hears(b"220")
        await _quit(client)
    assert house.warnings == []


async def test_the_sweeper_strikes(jumping_clock: MockClock) -> None:
    """A silent client is ended by the server's own sweeper."""
    async with serving(deadlines=Deadlines(command=20)) as house:
        client = await Client.dial(house.port)
        await client.hears(b"220", b"421 4.4.2", b"")
        client.close()
    assert [event.rule.id for _, event in house.seen if isinstance(event, Finding)] == ["SG603"]


@pytest.mark.parametrize("place", ["expire", "receive"])
async def test_a_bug_ends_one_session(jumping_clock: MockClock, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Its client hears 421 4.3.0 and the stack is told; the other session and the next one are served."""

    def raise_planted(*_: object, **__: object) -> Output:
        raise RuntimeError("planted")

    async with serving(deadlines=Deadlines(command=20)) as house:
        victim = await Client.dial(house.port)
        await victim.hears(b"220")
        await trio.sleep(10)
        other = await _in_transaction(house)
        with monkeypatch.context() as planting:
            planting.setattr(Session, place, raise_planted)
            if place == "receive":
                await victim.say(b"NOOP")
            await victim.hears(b"421 4.3.0", b"")
        victim.close()
        assert len(house.bugs) == 1
        await _message(other)
        await _quit(other)
        third = await Client.dial(house.port)
        await third.hears(b"220")
        await _quit(third)


async def test_a_descriptor_number_is_given_again(jumping_clock: MockClock) -> None:
    """CLIENT is lost while its verdict is out, the next one gets its number: it is served after that verdict."""
    async with serving() as house:
        lost = await _in_transaction(house)
        await lost.say(b"DATA")
        await lost.hears(b"354")
        await lost.say(b"hold", b".")
        await house.asked.wait()
        lost.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        lost.close()
        await trio.sleep(3)
        others = [await _in_transaction(house) for _ in range(4)]
        house.verdict.set()
        await trio.sleep(3)
        assert house.count(SessionEnded) == 1
        for other in others:
            await other.say(b"NOOP")
            await other.hears(b"250")
            await _quit(other)
    assert [event.rule.id for _, event in house.seen if isinstance(event, Finding)] == ["SG504"]


async def test_drain(jumping_clock: MockClock) -> None:
    """Between transactions 421 comes at once; a transaction has its grace, and ends early if the client is quick."""
    async with serving() as house:
        idle = await Client.dial(house.port)
        await idle.hears(b"220")
        quick, slow = await _in_transaction(house), await _in_transaction(house)
        began = trio.current_time()

        async def be_quick() -> None:
            await trio.sleep(2)
            await _message(quick)
            await quick.hears(b"421 4.3.2", b"")
            assert 2 <= trio.current_time() - began <= 3
            quick.close()

        async def be_slow() -> None:
            await slow.hears(b"421 4.3.2", b"")
            assert 4 <= trio.current_time() - began <= 5

        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.server.drain, 4)
            nursery.start_soon(be_quick)
            nursery.start_soon(be_slow)
            await idle.hears(b"421 4.3.2", b"")
            assert trio.current_time() - began < 1
            idle.close()
        # `slow` has not closed its side, and is closed all the same.
        assert len(house.server) == 0
        assert trio.current_time() - began <= 4 + 3
        slow.close()
    assert house.count(SessionEnded) == 3


async def test_drain_of_nothing(jumping_clock: MockClock) -> None:
    """Without sessions it is over at once."""
    async with serving() as house:
        began = trio.current_time()
        await house.server.drain(10)
        assert trio.current_time() == began


async def test_a_session_dismissed_before_it_was_dialled(jumping_clock: MockClock) -> None:
    """The service ends while UPSTREAM has not taken the connection: 421, and nothing is left."""
    async with serving() as house:
        house.upstream._addresses = []

        async def hang(**_: object) -> object:
            await trio.sleep(5)
            return await house.upstream.connect()

        house.upstream.dial = hang  # type: ignore[method-assign, assignment]
        client = await Client.dial(house.port)
        await wait_all_tasks_blocked()
        with trio.move_on_after(4):
            await house.server.drain(1)
        await client.hears(b"421 4.3.2", b"")
        client.close()
        # The task goes on until the dial ends, which its deadline does.
        await trio.sleep(2)


def test_session_ids_are_unique_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 characters without I, L, O and U; later ones are greater, over a restart, too."""
    clock = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    first, restarted = session_ids(), session_ids()
    ids = [next(first) for _ in range(5000)] + [next(restarted) for _ in range(5000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(len(one) == 12 and not set(one) - set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for one in ids)


def test_session_ids_within_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst gets ids of its own, each."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    ids: Iterator[str] = session_ids()
    assert len({next(ids) for _ in range(32768)}) == 32768

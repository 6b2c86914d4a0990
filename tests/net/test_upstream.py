"""UPSTREAM's name and the dial: off the loop, in order, within the deadline, and closed to strangers until probed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import MockClock

from smtpguard.net import Place, Unreachable, Upstream
from tests.net.loopback import descriptors

RESOLVED = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 25))]


@contextmanager
def _listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def _refusing() -> Iterator[int]:
    """A port that nobody listens on, and nobody else gets."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def _black_hole() -> Iterator[int]:
    """A port whose backlog is full: a further connection is neither taken nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filling = [socket.socket() for _ in range(4)]
        try:
            for one in filling:
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for one in filling:
                one.close()


def _answers(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


async def _dialled(upstream: Upstream) -> int:
    """Dial, and return the port that took the connection."""
    stream = await upstream.dial()
    port: int = stream._socket.getpeername()[1]
    assert stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    stream.close()
    return port


async def test_a_dial() -> None:
    """The address is resolved, the connection stands, nothing waits for delayed ACKs."""
    with _listening() as port:
        upstream = Upstream("127.0.0.1", port)
        await upstream.resolve()
        assert await _dialled(upstream) == port
        assert str(upstream) == f"127.0.0.1:{port}"
        assert str(Upstream("::1", 25)) == "[::1]:25"


async def test_refused() -> None:
    """Unreachable says why in a few words; no descriptor is left."""
    with _refusing() as port:
        upstream = Upstream("127.0.0.1", port)
        await upstream.resolve()
        before = descriptors()
        with pytest.raises(Unreachable) as raised:
            await upstream.dial()
        assert "refused" in raised.value.reason
        assert raised.value.reason.isascii()
        assert descriptors() == before


async def test_a_black_hole_ends_at_the_deadline(jumping_clock: MockClock) -> None:
    """10 s by default, neither less nor more, and no descriptor is left."""
    with _black_hole() as port:
        upstream = Upstream("127.0.0.1", port)
        await upstream.resolve()
        before, began = descriptors(), trio.current_time()
        with pytest.raises(Unreachable) as raised:
            await upstream.dial()
        assert trio.current_time() - began == pytest.approx(10, abs=0.5)
        assert "10 s" in raised.value.reason
        assert descriptors() == before


async def test_addresses_are_tried_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that takes the connection is it; one that refuses costs only the next."""
    with _refusing() as shut, _listening() as first, _listening() as second:
        _answers(monkeypatch, shut, first, second)
        upstream = Upstream("mx.example.net", 25)
        await upstream.resolve()
        assert await _dialled(upstream) == first


async def test_all_addresses_share_one_deadline(monkeypatch: pytest.MonkeyPatch, jumping_clock: MockClock) -> None:
    """Two black holes cost the client no more than one: it hears 421 within the connect deadline."""
    with _black_hole() as one, _black_hole() as other:
        _answers(monkeypatch, one, other)
        upstream = Upstream("mx.example.net", 25, connect_deadline=7)
        await upstream.resolve()
        began = trio.current_time()
        with pytest.raises(Unreachable):
            await upstream.dial()
        assert trio.current_time() - began == pytest.approx(7, abs=0.5)


async def test_cancelled_while_dialling(jumping_clock: MockClock) -> None:
    """No descriptor is left of a dial that nobody waits for any more."""
    with _black_hole() as port:
        upstream = Upstream("127.0.0.1", port)
        await upstream.resolve()
        before = descriptors()
        with trio.move_on_after(1):
            await upstream.dial()
        assert descriptors() == before


async def test_resolved_off_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver blocks, so it runs in a thread."""
    threads: list[threading.Thread] = []

    def look_up(*_: object, **__: object) -> object:
        threads.append(threading.current_thread())
        return RESOLVED

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    await Upstream("mx.example.net", 25).resolve()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_a_resolver_that_hangs_holds_nobody(monkeypatch: pytest.MonkeyPatch, jumping_clock: MockClock) -> None:
    """The loop goes on, and a client is told within the connect deadline that there is no UPSTREAM."""
    answer = threading.Event()

    def look_up(*_: object, **__: object) -> object:
        answer.wait(20)
        return RESOLVED

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    upstream = Upstream("mx.example.net", 25)
    began = trio.current_time()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upstream.keep_resolved)
            await trio.sleep(30)
            before = trio.current_time()
            with pytest.raises(Unreachable, match="cannot resolve"):
                await upstream.dial()
            assert trio.current_time() - before <= 10
            nursery.cancel_scope.cancel()
    finally:
        answer.set()
    assert trio.current_time() - began < 45


async def test_a_name_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never resolved: Unreachable names the name."""

    def look_up(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    upstream = Upstream("mx.example.net", 25)
    for attempt in (upstream.resolve, upstream.dial):
        with pytest.raises(Unreachable, match=r"cannot resolve mx\.example\.net"):
            await attempt()


async def test_the_last_good_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that stumbles later stops no mail."""
    with _listening() as port:
        _answers(monkeypatch, port)
        upstream = Upstream("mx.example.net", 25)
        await upstream.resolve()

        def look_up(*_: object, **__: object) -> object:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        await upstream.resolve()
        assert await _dialled(upstream) == port


async def test_resolved_again_every_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times in 200 s, and dials follow the answer."""
    with _listening() as old, _listening() as new:
        _answers(monkeypatch, old)
        upstream = Upstream("mx.example.net", 25)
        await upstream.resolve()
        asked = 0

        async def sleep(seconds: float) -> None:
            nonlocal asked
            assert seconds == 60
            asked += 1
            if asked > 3:
                await trio.sleep_forever()
            if asked == 2:
                _answers(monkeypatch, new)

        original = trio.sleep
        monkeypatch.setattr(trio, "sleep", sleep)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upstream.keep_resolved)
            while asked < 4:
                await original(0.001)
            assert await _dialled(upstream) == new
            nursery.cancel_scope.cancel()


async def test_guarded_it_is_shut_until_admitted() -> None:
    """Where strangers can reach us a dial is refused until the probe has passed; the probe itself gets through."""
    with _listening() as port:
        upstream = Upstream("127.0.0.1", port, guarded=True)
        await upstream.resolve()
        with pytest.raises(Unreachable):
            await upstream.dial()
        assert not upstream.admitted
        (await upstream.connect()).close()
        upstream.admit(upstream.shut[0])
        assert (upstream.admitted, upstream.shut) == (True, ())
        assert await _dialled(upstream) == port


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_failed_dial_shuts_a_guarded_upstream(guarded: bool) -> None:
    """It may come back with another configuration: nobody gets through between the failure and the next probe."""
    with _refusing() as port:
        upstream = Upstream("127.0.0.1", port, guarded=guarded)
        await upstream.resolve()
        upstream.admit(upstream.addresses[0])
        with pytest.raises(Unreachable):
            await upstream.dial()
        assert upstream.admitted is not guarded


async def test_each_address_is_admitted_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name with two addresses nobody gets to the one that has not passed: not when the other dies, nor as a new
    one."""
    with _refusing() as dead, _listening() as unasked:
        first: Place = (socket.AF_INET, ("127.0.0.1", dead))
        second: Place = (socket.AF_INET, ("127.0.0.1", unasked))
        found = [first, second]
        upstream = Upstream("mx.test", 25, guarded=True)
        monkeypatch.setattr(upstream, "_look_up", lambda: found)
        await upstream.resolve()
        upstream.admit(first)
        assert list(upstream.shut) == [second]
        with pytest.raises(Unreachable, match="Connection refused"):
            await upstream.dial()
        with pytest.raises(Unreachable, match="not checked for an open relay yet"):
            await upstream.dial()
        assert list(upstream.shut) == [first, second]
        upstream.admit(second)
        assert await _dialled(upstream) == unasked
        found = [first]
        await upstream.resolve()
        assert not upstream.admitted
        found = [first, second]
        await upstream.resolve()
        assert not upstream.admitted, "an address that was gone has passed nothing"

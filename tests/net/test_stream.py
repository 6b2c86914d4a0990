"""TCP as the relay wants it, on real loopback sockets."""

import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from smtpguard.net import TcpStream
from tests.net.loopback import DEADLINE, connected, descriptors


async def test_octets_pass_both_ways() -> None:
    """Sent now or sent whole, they arrive; `receive_some` returns no more than asked for."""
    with connected() as (near, far):
        stream = TcpStream(near)
        assert stream.send_now(b"now ") == 4
        await stream.send_all(memoryview(b"all"))
        assert far.recv(100) == b"now all"
        far.send(b"reply")
        assert await stream.receive_some(3) == b"rep"
        assert await stream.receive_some(100) == b"ly"
        stream.close()


async def test_what_the_kernel_does_not_take_is_told() -> None:
    """With the peer's buffer full `send_now` sends a part, then nothing; `send_all` waits for the peer."""
    with connected() as (near, far):
        stream = TcpStream(near)
        data = bytes(range(256)) * 32768
        sent = stream.send_now(data)
        assert 0 < sent < len(data)
        while more := stream.send_now(data[sent:]):
            sent += more
        came = bytearray()

        async def read() -> None:
            while len(came) < len(data):
                await trio.lowlevel.wait_readable(far)
                came.extend(far.recv(1 << 20))

        with trio.fail_after(DEADLINE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, data[sent:])
                nursery.start_soon(read)
        assert bytes(came) == data
        stream.close()


async def test_fin_is_the_end_and_the_other_direction_goes_on() -> None:
    """b"" at the peer's FIN; ours leaves reading open; it may be said twice, and to a peer that is gone."""
    with connected() as (near, far):
        stream = TcpStream(near)
        far.shutdown(socket.SHUT_WR)
        assert await stream.receive_some(100) == b""
        stream.send_eof()
        assert far.recv(100) == b""
        stream.send_eof()
        stream.close()
        stream.send_eof()


async def test_close_is_orderly() -> None:
    """The peer reads everything and then the end."""
    with connected() as (near, far):
        stream = TcpStream(near)
        stream.send_now(b"bye")
        stream.close()
        stream.close()
        assert (far.recv(100), far.recv(100)) == (b"bye", b"")


async def test_cut_is_a_reset() -> None:
    """The peer sees ECONNRESET, never an end it could take for orderly."""
    with connected() as (near, far):
        stream = TcpStream(near)
        stream.cut()
        stream.cut()
        with pytest.raises(ConnectionResetError):
            far.recv(100)


async def test_a_reset_is_broken_whatever_we_do() -> None:
    """Reading and writing raise BrokenResourceError, never OSError."""
    with connected() as (near, far):
        stream = TcpStream(near)
        TcpStream(far).cut()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(100)
        with pytest.raises(trio.BrokenResourceError):
            stream.send_now(b"x")
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")
        stream.send_eof()
        stream.close()


@pytest.mark.parametrize("end", ["close", "cut"])
@pytest.mark.parametrize("waiting", ["receive_some", "send_all"])
async def test_closing_wakes_who_waits(end: str, waiting: str) -> None:
    """A task in receive or send is woken with ClosedResourceError, and the descriptor is free."""
    before = descriptors()
    with connected() as (near, _):
        stream = TcpStream(near)
        woken = trio.Event()

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await (stream.receive_some(100) if waiting == "receive_some" else stream.send_all(bytes(1 << 24)))
            woken.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            getattr(stream, end)()
            with trio.fail_after(DEADLINE):
                await woken.wait()
    assert descriptors() == before


async def test_closed_it_says_so() -> None:
    """Nothing can be done with a closed stream."""
    with connected() as (near, _):
        stream = TcpStream(near)
        stream.close()
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some(1)
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            stream.send_now(b"x")

"""trio's memory and lockstep streams with the `Stream` interface of the network room.

`memory_pair` gives two ends with a bounded buffer each, as sockets have; `lockstep_pair` two ends with none at all, so
that whatever needs a buffer to get on stands still. Both behave as TCP where the relay can tell: FIN is b"", `cut` is
a reset, and so is closing with input unread; octets that came before a reset are read before it is seen.
"""

import socket
from typing import Protocol, cast

import trio
from trio.testing import MemoryReceiveStream, lockstep_stream_pair

from smtpguard.net.stream import Buffer, TcpStream

CAPACITY = 1024 * 1024
"""Octets that a memory stream takes before its reader reads."""


class MemoryStream:
    """One end of a connection in memory; `peer` is the other."""

    peer: "MemoryStream"

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.unread = 0
        """Octets that came and were not read."""
        self.taken = 0
        """Octets that were read in all."""
        self.closed = False
        self.was_cut = False
        self.ended = False
        """FIN was sent."""
        self._reset = False
        self._incoming = MemoryReceiveStream()
        self._room = trio.lowlevel.ParkingLot()

    async def receive_some(self, max_bytes: int) -> bytes:
        """See `Stream`."""
        data = bytes(await self._incoming.receive_some(max_bytes))
        self.unread -= len(data)
        self.taken += len(data)
        self.peer._room.unpark_all()
        if not data and self.peer._reset:
            raise trio.BrokenResourceError("reset by peer")
        return data

    async def send_all(self, data: Buffer) -> None:
        """See `Stream`."""
        rest = memoryview(data)
        while rest := rest[self.send_now(rest) :]:
            await self._room.park()

    def send_now(self, data: Buffer) -> int:
        """See `Stream`."""
        if self.closed:
            raise trio.ClosedResourceError
        if self.peer.closed:
            raise trio.BrokenResourceError("reset by peer")
        taken = bytes(data[: max(0, self.peer.capacity - self.peer.unread)])
        if taken:
            self.peer.unread += len(taken)
            self.peer._incoming.put_data(taken)
        return len(taken)

    def send_eof(self) -> None:
        """See `Stream`."""
        self.ended = True
        if not self.peer.closed:
            self.peer._incoming.put_eof()

    def close(self) -> None:
        """See `Stream`."""
        if not self.closed:
            self.closed = True
            self._reset = self._reset or self.unread > 0
            self._incoming.close()
            self.send_eof()
            self._room.unpark_all()
            self.peer._room.unpark_all()

    def cut(self) -> None:
        """See `Stream`."""
        if not self.closed:
            self.was_cut = self._reset = True
            self.close()


class _Closable(Protocol):
    def close(self) -> None: ...


class LockstepStream:
    """One end of a connection that holds no octet: a send ends when all of it was received."""

    peer: "LockstepStream"

    def __init__(self, end: trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]) -> None:
        self.closed = False
        self.was_cut = False
        self.ended = False
        self._end = end

    async def receive_some(self, max_bytes: int) -> bytes:
        """See `Stream`."""
        data = bytes(await self._end.receive_some(max_bytes))
        if not data and self.peer.was_cut:
            raise trio.BrokenResourceError("reset by peer")
        return data

    async def send_all(self, data: Buffer) -> None:
        """See `Stream`."""
        await self._end.send_all(bytes(data))

    def send_now(self, data: Buffer) -> int:
        """Send nothing: there is no buffer that could take it."""
        if self.closed:
            raise trio.ClosedResourceError
        return 0

    def send_eof(self) -> None:
        """See `Stream`."""
        self.ended = True
        cast(_Closable, self._end.send_stream).close()

    def close(self) -> None:
        """See `Stream`."""
        self.closed = True
        cast(_Closable, self._end.receive_stream).close()
        self.send_eof()

    def cut(self) -> None:
        """See `Stream`."""
        self.was_cut = True
        self.close()


class SocketStream(TcpStream):
    """One end of a real connection that tells how it was ended."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        super().__init__(connected)
        self.closed = False
        self.was_cut = False
        self.ended = False

    def send_eof(self) -> None:
        """See `Stream`."""
        self.ended = True
        super().send_eof()

    def close(self) -> None:
        """See `Stream`."""
        self.closed = True
        super().close()

    def cut(self) -> None:
        """See `Stream`."""
        self.was_cut = self.was_cut or not self.closed
        super().cut()


NearStream = MemoryStream | LockstepStream | SocketStream


def memory_pair(near: int = CAPACITY, far: int = CAPACITY) -> tuple[MemoryStream, MemoryStream]:
    """Return the relay's end and its peer's, which take so many octets unread."""
    left, right = MemoryStream(near), MemoryStream(far)
    left.peer, right.peer = right, left
    return left, right


def socket_pair() -> tuple[SocketStream, SocketStream]:
    """Return both ends of a connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return SocketStream(near), SocketStream(far)


def lockstep_pair() -> tuple[LockstepStream, LockstepStream]:
    """Return the relay's end and its peer's."""
    left, right = map(LockstepStream, lockstep_stream_pair())
    left.peer, right.peer = right, left
    return left, right

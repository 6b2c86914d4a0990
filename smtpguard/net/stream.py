"""TCP as the relay wants it: wait first, then one receive; send at once, wait only for a rest.

A plain non-blocking socket of the standard library with trio's own waits. trio's SocketStream costs twice as much
per octet moved (measured: a receive that finds nothing before each wait, a checkpoint after each send), and
`open_tcp_stream` more than a whole relayed command. Every `OSError` is an ordinary end of a connection and reaches
the caller as `trio.BrokenResourceError`.

`Stream` is all that the relay knows; TLS and the memory streams of the tests have the same methods.
"""

import socket
import struct
from typing import Final, Protocol

import trio

Buffer = bytes | memoryview

_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing sends RST and drops what was not sent."""


class Stream(Protocol):
    """Octets in both directions, each direction used by one task at a time."""

    async def receive_some(self, max_bytes: int) -> bytes:
        """Wait for octets and return at most `max_bytes` of them; b"" at the end.

        Raises:
            trio.BrokenResourceError: the connection is lost.
            trio.ClosedResourceError: `close` or `cut` was called, perhaps while waiting.
        """

    async def send_all(self, data: Buffer) -> None:
        """Send all octets; wait only if the peer does not take them. Raises as `receive_some`."""

    def send_now(self, data: Buffer) -> int:
        """Send what goes without waiting and return how many octets that were. Raises as `receive_some`."""

    def send_eof(self) -> None:
        """Say that no more octets will come (FIN). Never raises: a lost connection has said so already."""

    def close(self) -> None:
        """Close; a task that waits is woken. May be called again."""

    def cut(self) -> None:
        """Close with a reset: unsent octets are dropped, and the peer sees no orderly end. May be called again."""


class TcpStream:
    """A `Stream` over a connected, non-blocking TCP socket, which it owns."""

    __slots__ = ("_socket",)

    def __init__(self, connected: socket.socket) -> None:
        self._socket: socket.socket | None = connected

    async def receive_some(self, max_bytes: int) -> bytes:
        """See `Stream`."""
        while True:
            open_socket = self._open()
            await trio.lowlevel.wait_readable(open_socket)
            try:
                return open_socket.recv(max_bytes)
            except BlockingIOError:
                # Woken for nothing: the kernel found a bad checksum, or another thread was quicker.
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def send_all(self, data: Buffer) -> None:
        """See `Stream`."""
        sent = self.send_now(data)
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            await trio.lowlevel.wait_writable(self._open())
            rest = rest[self.send_now(rest) :]

    def send_now(self, data: Buffer) -> int:
        """See `Stream`."""
        try:
            return self._open().send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    def send_eof(self) -> None:
        """See `Stream`."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                # ENOTCONN and the like: the peer was quicker.
                pass

    def close(self) -> None:
        """See `Stream`."""
        if self._socket is not None:
            closing, self._socket = self._socket, None
            trio.lowlevel.notify_closing(closing)
            closing.close()

    def cut(self) -> None:
        """See `Stream`."""
        if self._socket is not None:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                pass
        self.close()

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise trio.ClosedResourceError
        return self._socket

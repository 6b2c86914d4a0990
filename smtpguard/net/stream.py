"""TCP as the relay wants it: wait first, then one receive; send at once, wait only for a rest.

A plain non-blocking socket of the standard library with trio's own waits. trio's SocketStream costs twice as much
per octet moved (measured: a receive that finds nothing before each wait, a checkpoint after each send), and
`open_tcp_stream` more than a whole relayed command. Every `OSError` is an ordinary end of a connection and reaches
the caller as `trio.BrokenResourceError`.

`Stream` is all that the relay knows; TLS and the memory streams of the tests have the same methods.
"""

import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol

import trio

from smtpguard.net.dispatcher import Dispatcher

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

    __slots__ = ("_awaited", "_closed", "_descriptor", "_recv", "_send", "_socket", "_watcher")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._descriptor = connected.fileno()
        # Bound once: they are called for every octet that passes.
        self._recv = connected.recv
        self._send = connected.send
        self._closed = False
        # Some task has waited for it, and may be waiting.
        self._awaited = False
        self._watcher: Dispatcher | None = None

    async def receive_some(self, max_bytes: int) -> bytes:
        """See `Stream`."""
        while True:
            if self._closed:
                raise trio.ClosedResourceError
            self._awaited = True
            await trio.lowlevel.wait_readable(self._descriptor)
            data = self.receive_now(max_bytes)
            # None: woken for nothing; the kernel found a bad checksum, say.
            if data is not None:
                return data

    def watch(self, dispatcher: Dispatcher, handler: Callable[[], None]) -> None:
        """Have `handler` called whenever `receive_now` would give octets or the end, until `unwatch` or the close.

        Raises:
            OSError: it cannot be watched; see `Dispatcher.watch`.
        """
        dispatcher.watch(self._descriptor, handler)
        self._watcher = dispatcher

    def unwatch(self) -> None:
        """Have nobody called any more. May be said again, and behind the close."""
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            watcher.forget(self._descriptor)

    def receive_now(self, max_bytes: int) -> bytes | None:
        """Return octets that are there, b"" at the end, None if there are none yet. Raises as `receive_some`."""
        if self._closed:
            raise trio.ClosedResourceError
        try:
            return self._recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def send_all(self, data: Buffer) -> None:
        """See `Stream`."""
        rest = memoryview(data)[self.send_now(data) :]
        while rest:
            self._awaited = True
            await trio.lowlevel.wait_writable(self._descriptor)
            rest = rest[self.send_now(rest) :]

    def send_now(self, data: Buffer) -> int:
        """See `Stream`."""
        if self._closed:
            raise trio.ClosedResourceError
        try:
            return self._send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    def send_eof(self) -> None:
        """See `Stream`."""
        # ENOTCONN and the like: the peer was quicker.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """See `Stream`."""
        if not self._closed:
            self._closed = True
            self.unwatch()
            if self._awaited:
                trio.lowlevel.notify_closing(self._descriptor)
            self._socket.close()

    def cut(self) -> None:
        """See `Stream`."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

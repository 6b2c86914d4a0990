"""The receiver-SMTP behind us: its name, its addresses, and the way to it.

A name is resolved off the loop, again every `REFRESH` seconds, and the last good answer is kept: a resolver that
stumbles stops no mail. One connection is made for each session and never reused.
"""

import errno
import os
import socket
from typing import Final

import trio

from smtpguard.net.stream import TcpStream

REFRESH: Final = 60.0
"""Seconds between two resolutions of UPSTREAM's name."""

SockAddr = tuple[str, int] | tuple[str, int, int, int]


class Unreachable(Exception):
    """UPSTREAM cannot be had; `reason` is a few ASCII words for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Upstream:
    """One UPSTREAM.

    Args:
        host: address or name.
        port: 1 to 65535.
        connect_deadline: seconds until a connection must stand.
    """

    def __init__(self, host: str, port: int, *, connect_deadline: float = 10.0) -> None:
        self.host = host
        self.port = port
        self.pipeconnect = False
        """It offered PIPECONNECT to some session."""
        self.admitted = True
        """Sessions may go there: False until the open-relay probe has passed, where one is due."""
        self.failures = 0
        """Dials that failed since the last one that did not."""
        self._connect_deadline = connect_deadline
        self._addresses: list[tuple[int, SockAddr]] = []

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def resolve(self) -> None:
        """Look the name up once.

        Raises:
            Unreachable: there is no answer, and there never was one.
        """
        try:
            found = await trio.to_thread.run_sync(
                lambda: socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM), abandon_on_cancel=True
            )
        except OSError as error:
            if not self._addresses:
                raise Unreachable(f"cannot resolve {self.host}: {error.strerror or error}") from error
            return
        self._addresses = [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]

    async def keep_resolved(self) -> None:
        """Look the name up again and again."""
        while True:
            await trio.sleep(REFRESH)
            try:
                await self.resolve()
            except Unreachable:
                # Never resolved yet: the next dial says so.
                continue

    async def dial(self) -> TcpStream:
        """Connect to the first address that takes the connection, all within the connect deadline.

        Raises:
            Unreachable: none did, or sessions may not go there yet.
        """
        if not self.admitted:
            raise Unreachable("not checked for an open relay yet")
        return await self.connect()

    async def connect(self) -> TcpStream:
        """Connect whether admitted or not: for the probe. Raises as `dial`."""
        if not self._addresses:
            await self.resolve()
        reason = "no address"
        with trio.move_on_after(self._connect_deadline):
            for family, address in self._addresses:
                try:
                    stream = await _connect(family, address)
                except OSError as error:
                    reason = error.strerror or errno.errorcode.get(error.errno or 0, "unknown error")
                else:
                    self.failures = 0
                    return stream
            self.failures += 1
            raise Unreachable(f"{self}: {reason}")
        self.failures += 1
        raise Unreachable(f"{self}: no connection within {self._connect_deadline:g} s")


async def _connect(family: int, address: SockAddr) -> TcpStream:
    dialled = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # Without it a reply in two segments waits 40 ms for the delayed ACK of the first.
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failed = dialled.connect_ex(address)
        if failed == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(dialled)
            failed = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
    except BaseException:
        dialled.close()
        raise
    return TcpStream(dialled)

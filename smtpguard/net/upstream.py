"""The receiver-SMTP behind us: its name, its addresses, and the way to it.

A name is resolved off the loop, again every `REFRESH` seconds, and the last good answer is kept: a resolver that
stumbles stops no mail. One connection is made for each session and never reused.
"""

import contextlib
import errno
import os
import socket
from typing import Final

import trio

from smtpguard.net.stream import TcpStream

REFRESH: Final = 60.0
"""Seconds between two resolutions of UPSTREAM's name."""

RETRY: Final = 2.0
"""The same, while it has never been resolved."""

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
        guarded: see `guarded`.
    """

    def __init__(self, host: str, port: int, *, connect_deadline: float = 10.0, guarded: bool = False) -> None:
        self.host = host
        self.port = port
        self.admitted = not guarded
        """Sessions may go there: False until the open-relay probe has passed, where one is due."""
        self.guarded = guarded
        """Strangers can reach us, so a dial that fails shuts the way until the probe has passed again."""
        self._connect_deadline = connect_deadline
        self._addresses: list[tuple[int, SockAddr]] = []
        # The latest connection stood at once: UPSTREAM is on this machine.
        self._near = False
        self._limiter = trio.CapacityLimiter(1)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def resolve(self) -> None:
        """Look the name up once; at most one look-up is under way.

        Raises:
            Unreachable: there is no answer, and there never was one.
        """
        try:
            found = await trio.to_thread.run_sync(self._look_up, abandon_on_cancel=True, limiter=self._limiter)
        except OSError as error:
            if not self._addresses:
                raise Unreachable(f"cannot resolve {self.host}: {error.strerror or error}") from error
            return
        self._addresses = found

    def _look_up(self) -> list[tuple[int, SockAddr]]:
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]  # no AF_UNIX here

    async def keep_resolved(self) -> None:
        """Look the name up again and again, more often until it has been resolved once."""
        while True:
            await trio.sleep(REFRESH if self._addresses else RETRY)
            with contextlib.suppress(Unreachable):
                await self.resolve()

    def dial_now(self) -> TcpStream | None:
        """Connect without waiting, where UPSTREAM is near enough for that; None: `dial` has to."""
        if not (self.admitted and self._near):
            return None
        try:
            dialled, self._near = _begin_to_connect(*self._addresses[0])
        except OSError:
            # Said by `dial`, which tries the other addresses too.
            return None
        if self._near:
            return TcpStream(dialled)
        dialled.close()
        return None

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
        reason = f"cannot resolve {self.host}"
        began = trio.current_time()
        for place, (family, address) in enumerate(self._addresses, 1):
            try:
                dialled, self._near = _begin_to_connect(family, address)
                if not self._near:
                    # Each address has its share, so that a black hole leaves time for the next one.
                    await _wait_connected(dialled, began + self._connect_deadline * place / len(self._addresses))
            except OSError as error:
                reason = error.strerror or "unknown error"
            except trio.TooSlowError:
                reason = f"no connection within {self._connect_deadline:g} s"
            else:
                return TcpStream(dialled)
        self._near = False
        if self.guarded:
            # It may come back with another configuration: it is probed first.
            self.admitted = False
        raise Unreachable(reason)


def _begin_to_connect(family: int, address: SockAddr) -> tuple[socket.socket, bool]:
    """Return a socket, and whether it is connected already.

    Raises:
        OSError: refused, or no way there.
    """
    dialled = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # Without it a reply in two segments waits 40 ms for the delayed ACK of the first.
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    failed = dialled.connect_ex(address)
    if failed == errno.EINPROGRESS:
        # On the same machine the handshake is through by now, and a second call says so without a wait.
        failed = dialled.connect_ex(address)
    if failed in (0, errno.EISCONN, errno.EALREADY):
        return dialled, failed != errno.EALREADY
    dialled.close()
    raise OSError(failed, os.strerror(failed))


async def _wait_connected(dialled: socket.socket, deadline: float) -> None:
    try:
        with trio.fail_at(deadline):
            await trio.lowlevel.wait_writable(dialled)
        failed = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
    except BaseException:
        dialled.close()
        raise

"""The receiver-SMTP behind us: its name, its addresses, and the way to it.

A name is resolved off the loop, again every `REFRESH` seconds, and the last good answer is kept: a resolver that
stumbles stops no mail. One connection is made for each session and never reused.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

import trio

from smtpguard.net.arrival import bind_source
from smtpguard.net.stream import TcpStream

REFRESH: Final = 60.0
"""Seconds between two resolutions of UPSTREAM's name."""

RETRY: Final = 2.0
"""The same, while it has never been resolved."""

SockAddr = tuple[str, int] | tuple[str, int, int, int]


Place = tuple[int, SockAddr]
"""Address family, and the address as `socket` has it."""


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
        self.guarded = guarded
        """Each of its addresses is shut until it has passed the open-relay probe, and again when a dial to it fails."""
        self._connect_deadline = connect_deadline
        self._addresses: list[Place] = []
        self._admitted: set[Place] = set()
        # Where sessions may go: all addresses, of a guarded one those that are admitted.
        self._open: list[Place] = []
        # The latest connection stood at once: UPSTREAM is on this machine.
        self._near = False
        self._limiter = trio.CapacityLimiter(1)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def admitted(self) -> bool:
        """Sessions may go to one of its addresses at least."""
        return bool(self._open) or not self.guarded

    @property
    def addresses(self) -> tuple[Place, ...]:
        """All addresses that its name means."""
        return tuple(self._addresses)

    @property
    def shut(self) -> tuple[Place, ...]:
        """The addresses that have yet to pass the probe."""
        return tuple(place for place in self._addresses if place not in self._open)

    def admit(self, place: Place) -> None:
        """Let sessions go to an address: it has passed the probe."""
        self._admitted.add(place)
        self._sort_out()

    def _sort_out(self) -> None:
        """See where sessions may go; what the name no longer means is forgotten."""
        self._admitted.intersection_update(self._addresses)
        self._open = [place for place in self._addresses if not self.guarded or place in self._admitted]

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
        self._sort_out()

    def _look_up(self) -> list[Place]:
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
        if not (self._near and self._open):
            return None
        try:
            dialled, self._near = _begin_to_connect(self._open[0])
        except OSError:
            # Said by `dial`, which tries the other addresses too.
            return None
        if self._near:
            return TcpStream(dialled)
        dialled.close()
        return None

    async def dial(self, *, within: float | None = None, source: str = "") -> TcpStream:
        """Connect to the first open address that takes the connection, all within the connect deadline.

        Args:
            within: seconds; the connect deadline, if that is not told.
            source: the address to come from, which need not be ours (`arrival.bind_source`); empty: ours.

        Raises:
            Unreachable: none did, none has the IP version of `source`, or sessions may not go there yet.
        """
        if self._addresses and not self._open:
            raise Unreachable("not checked for an open relay yet")
        return await self._connect(self._open, within, source)

    async def connect(self, place: Place | None = None) -> TcpStream:
        """Connect to one address, or to the first that takes the connection, open or shut; raises as `dial`."""
        return await self._connect([place] if place else self._addresses, None, "")

    async def _connect(self, places: Sequence[Place], within: float | None, source: str) -> TcpStream:
        seconds = self._connect_deadline if within is None else within
        fitting = [place for place in places if not source or (place[0] == socket.AF_INET6) == (":" in source)]
        if places and not fitting:
            raise Unreachable(f"no address for a client of {source}")
        reason = f"cannot resolve {self.host}"
        began = trio.current_time()
        for number, place in enumerate(fitting, 1):
            try:
                dialled, self._near = _begin_to_connect(place, source)
                if not self._near:
                    # Each address has its share, so that a black hole leaves time for the next one.
                    await _wait_connected(dialled, began + seconds * number / len(fitting))
            except OSError as error:
                reason = error.strerror or "unknown error"
            except trio.TooSlowError:
                reason = f"no connection within {seconds:g} s"
            else:
                return TcpStream(dialled)
            self._shut(place)
        self._near = False
        raise Unreachable(reason)

    def _shut(self, place: Place) -> None:
        """Have an address pass the probe again: what comes back there may have another configuration."""
        self._admitted.discard(place)
        self._sort_out()


def _begin_to_connect(place: Place, source: str = "") -> tuple[socket.socket, bool]:
    """Return a socket, and whether it is connected already.

    Raises:
        OSError: refused, or no way there.
    """
    family, address = place
    dialled = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # Without it a reply in two segments waits 40 ms for the delayed ACK of the first.
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    failed = _bind(dialled, source) or dialled.connect_ex(address)
    if failed == errno.EINPROGRESS:
        # On the same machine the handshake is through by now, and a second call says so without a wait.
        failed = dialled.connect_ex(address)
    if failed in (0, errno.EISCONN, errno.EALREADY):
        return dialled, failed != errno.EALREADY
    dialled.close()
    raise OSError(failed, os.strerror(failed))


def _bind(dialled: socket.socket, source: str) -> int:
    """Have the connection come from an address; return errno, 0 if all is well."""
    try:
        if source:
            bind_source(dialled, source)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


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

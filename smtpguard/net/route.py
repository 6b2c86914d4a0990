"""The way from a listener to its UPSTREAMs: of several, the first that can be reached.

An UPSTREAM that could not be reached rests for `REST` seconds: meanwhile it is dialled last, so that a host that
swallows the connection request costs one client the connect deadline, not each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import trio

from smtpguard.net.stream import TcpStream
from smtpguard.net.upstream import Unreachable, Upstream
from smtpguard.smtp import Policy

REST: Final = 10.0
"""Seconds."""


class Route:
    """UPSTREAMs in the order of the configuration, one at least."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self.pipeconnect = False
        """One of them offered PIPECONNECT to some session."""
        self._upstreams = tuple(upstreams)
        self._rests_until: dict[Upstream, float] = {}

    @property
    def first(self) -> Upstream:
        """The one that a session goes to, unless it cannot be reached."""
        return self._in_order()[0] if self._rests_until else self._upstreams[0]

    def _in_order(self) -> list[Upstream]:
        now = trio.current_time()
        return sorted(self._upstreams, key=lambda upstream: self._rests_until.get(upstream, now) > now)

    def dial_now(self) -> TcpStream | None:
        """Connect to the first without waiting, where it is near enough for that; None: `dial` has to."""
        return self.first.dial_now()

    async def dial(self) -> tuple[TcpStream, Upstream]:
        """Connect to the first that takes the connection, and tell which; each has the connect deadline.

        Raises:
            Unreachable: none did, or sessions may not go there yet.
        """
        reasons = []
        for upstream in self._in_order():
            try:
                stream = await upstream.dial()
            except Unreachable as error:
                reasons.append(error.reason if len(self._upstreams) == 1 else f"{upstream}: {error.reason}")
                self._rests_until[upstream] = trio.current_time() + REST
            else:
                self._rests_until.pop(upstream, None)
                return stream, upstream
        raise Unreachable("; ".join(reasons))


@dataclass(frozen=True, slots=True)
class Door:
    """What the server must know of a listener."""

    name: str
    """How log and audit call it."""
    route: Route
    policy: Policy
    """What the sessions that come in here are told."""

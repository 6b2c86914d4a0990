"""What is to be sent to one peer, in one order, whichever task it comes from.

Both readers of a session may have octets for CLIENT: replies of UPSTREAM, and answers of ours. `put` never waits, so
octets leave in the order in which the engine gave them out: it sends at once, and keeps what the kernel does not
take. The task that meets a rest drains it by `flush`; a second one waits there until it is gone. A reader reads only
while the outboxes that it feeds are empty: at most one read's results wait.
"""

from typing import Final

import trio

from smtpguard.net.stream import Stream

SLICE: Final = 16 * 1024
"""Octets of a rest that are sent before it counts as progress: a slow peer is slow, a stalled one takes none."""


class Outbox:
    """Octets for one stream."""

    __slots__ = ("_abandoned", "_draining", "_empty", "_waiting", "progress", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.progress = 0
        """Grows while a peer that is behind still takes octets."""
        self._waiting: list[bytes | memoryview] = []
        self._draining = False
        self._abandoned = False
        self._empty: trio.Event | None = None

    def __bool__(self) -> bool:
        return self._draining or bool(self._waiting)

    def put(self, pieces: tuple[bytes, ...]) -> None:
        """Send at once what the peer takes, and keep the rest for `flush`.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is lost; what was put is gone.
        """
        if self._abandoned:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self:
            self._waiting.append(data)
            return
        sent = self.stream.send_now(data)
        if sent < len(data):
            self._waiting.append(memoryview(data)[sent:])

    async def flush(self) -> None:
        """Return when everything put before is with the kernel. Raises as `Stream.send_all`."""
        if self._draining:
            if self._empty is None:
                self._empty = trio.Event()
            await self._empty.wait()
            return
        self._draining = True
        try:
            while self._waiting and not self._abandoned:
                rest = self._waiting[0]
                await self.stream.send_all(rest[:SLICE])
                self.progress += 1
                self._waiting[0:1] = [rest[SLICE:]] if len(rest) > SLICE else []
        finally:
            if self._abandoned:
                self._waiting.clear()
            self._draining = False
            if self._empty is not None:
                self._empty.set()
                self._empty = None

    def abandon(self) -> None:
        """The peer is gone: drop what waits, and all that comes."""
        self._abandoned = True
        if not self._draining:
            self._waiting.clear()

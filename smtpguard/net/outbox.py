"""What is to be sent to one peer, in one order, whichever task it comes from.

Both readers of a session may have octets for CLIENT: replies of UPSTREAM, and answers of ours. `put` never waits, so
octets leave in the order in which the engine gave them out: it sends at once, and keeps what the kernel does not
take. A rest is sent by `drain`, in a task of its own, which is rare; readers wait for its end. Were it a reader that
drains, it could not read meanwhile, and a peer that answers line by line before it reads on would wait for us as we for
it. CLIENT is read only while both outboxes are empty, UPSTREAM only while CLIENT's is: at most one read's results wait.

A lost connection is not raised but seen at `broken`: the other octets of the same read still have to go their way.
"""

from typing import Final

import trio

from smtpguard.net.stream import Stream

SLICE: Final = 16 * 1024
"""Octets of a rest that a blocked peer must take before that counts as progress: slow is not stalled."""

GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Outbox:
    """Octets for one stream."""

    __slots__ = ("_empty", "_rest", "_stream", "behind", "broken", "progress")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.behind = False
        """Something waits that the peer did not take yet."""
        self.broken = False
        """The connection is lost, or closed by us; what was put and not sent is gone."""
        self.progress = 0
        """Grows while a peer that is behind still takes octets."""
        self._rest: list[bytes | memoryview] = []
        self._empty: trio.Event | None = None

    def put(self, pieces: tuple[bytes, ...]) -> bool:
        """Send at once what the peer takes, and keep the rest; True if that is a rest to `drain` now."""
        if self.broken:
            return False
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self.behind:
            self._rest.append(data)
            return False
        try:
            sent = self._stream.send_now(data)
        except GONE:
            self.broken = True
            return False
        if sent < len(data):
            self._rest.append(memoryview(data)[sent:])
            self.behind = True
        return self.behind

    async def drain(self) -> None:
        """Send the rest, and what is put meanwhile, until nothing is left or the connection is lost."""
        try:
            while self._rest:
                self._rest[0:1] = await self._send_some(self._rest[0])
                self.progress += 1
        except GONE:
            self.broken = True
        finally:
            self.behind = False
            self._rest.clear()
            if self._empty is not None:
                self._empty.set()
                self._empty = None

    async def wait_empty(self) -> None:
        """Return when everything put before is with the kernel, or the connection is lost."""
        if self.behind:
            if self._empty is None:
                self._empty = trio.Event()
            await self._empty.wait()

    async def _send_some(self, data: bytes | memoryview) -> list[bytes | memoryview]:
        """Send what goes, or wait until one slice went; return what is left, in a list."""
        sent = self._stream.send_now(data)
        if not sent:
            sent = min(SLICE, len(data))
            await self._stream.send_all(data[:sent])
        return [memoryview(data)[sent:]] if sent < len(data) else []

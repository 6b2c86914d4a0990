"""Two streams and the Session between them: what came goes in, what is due goes out, and how it ends.

Nothing here reads a socket or looks at a clock; `relay` does. Between `Session.receive` and both puts nothing is
awaited, so octets leave in the engine's order.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import trio

from smtpguard.net.deadlines import LINGER
from smtpguard.net.outbox import Outbox
from smtpguard.net.stream import Stream
from smtpguard.smtp import INTERNAL_ERROR, Answer, Close, Event, Link, Output, Session, Side

Observer = Callable[[Link, float, Event], None]
"""The one callable that events are handed to: who, when in seconds since the epoch, what. It must not block."""


class Hooks(NamedTuple):
    """Whom a relay tells; none of them may block."""

    observe: Observer
    closed: Callable[["Wire"], None]
    """It is closed, its sockets are free."""
    bug: Callable[[Link], None]
    """An exception that is nobody's fault but ours is being handled; `sys.exception()` is it."""


class Wire:
    """One session and its two connections."""

    __slots__ = (
        "_client", "_client_gone", "_down", "_hooks", "_linger_until", "_nursery", "_reads_client", "_room",
        "_session", "_up", "_upstream", "_void", "closed", "link",
    )  # fmt: skip

    def __init__(self, client: Stream, session: Session, link: Link, hooks: Hooks) -> None:
        self.link = link
        self.closed = False
        self._client = client
        self._down = Outbox(client)
        self._upstream: Stream | None = None
        self._up: Outbox | None = None
        self._session = session
        self._hooks = hooks
        # CLIENT's octets have not ended.
        self._reads_client = True
        # CLIENT is lost; UPSTREAM may still be kept for its verdict.
        self._client_gone = False
        # Waited for by CLIENT's reader while held input fills its room.
        self._room: trio.Event | None = None
        self._nursery: trio.Nursery | None = None
        self._linger_until = 0.0
        self._void = 0

    # --- what came -------------------------------------------------------------------------------------------------

    def _take(self, side: Side, data: bytes) -> None:
        if self._session.ending is None:
            self._session.at = time.time()
            self._put(self._session.receive(side, data, unread=self._down.behind))
        elif side is Side.CLIENT:
            self._drop(data)

    def _take_end(self, side: Side) -> None:
        if side is Side.CLIENT:
            self._reads_client = False
        self._session.at = time.time()
        self._put(self._session.receive_eof(side))

    def _lose(self, side: Side) -> None:
        if side is Side.CLIENT:
            self._lose_client(untold=self._down.behind)
        else:
            self._session.at = time.time()
            self._put(self._session.lost(side))

    def _drop(self, data: bytes) -> None:
        """Read CLIENT into the void, so far as `LINGER` allows."""
        self._void += len(data)
        ending = self._session.ending
        if not data or ending is None or self._void > LINGER[ending.linger][1]:
            self.close()

    # --- what the Session gives out --------------------------------------------------------------------------------

    def _put(self, output: Output) -> None:
        """Hand everything on, without waiting; what a peer does not take at once is drained by a task of its own.

        A write to UPSTREAM that fails is no loss yet: its last reply may lie unread in our receive buffer, and its
        reader comes to the end by itself.
        """
        up, down, events = output
        if down and self._down.put(down):
            self._start_draining(self._down)
        if up and self._up is not None and self._up.put(up):
            self._start_draining(self._up)
        for event in events:
            self._hooks.observe(self.link, time.time(), event)
        if self._down.broken:
            self._lose_client(untold=True)
        if self._session.ending is not None:
            self._leave()
        if self._room is not None and self._session.window:
            self._room.set()
            self._room = None

    def _start_draining(self, outbox: Outbox) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._drain, outbox)

    async def _drain(self, outbox: Outbox) -> None:
        try:
            await outbox.drain()
            if self._down.broken:
                self._lose_client(untold=True)
        except Exception:
            self.fail()

    async def _wait_empty(self) -> None:
        await self._down.wait_empty()
        if self._up is not None:
            await self._up.wait_empty()

    def _lose_client(self, *, untold: bool) -> None:
        if self._client_gone or self.closed:
            return
        self._client_gone = True
        self._reads_client = False
        self._down.broken = True
        self._client.close()
        self._put(self._session.lost(Side.CLIENT, untold=untold))

    # --- the end ---------------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Part from UPSTREAM: at once, and with a reset in the middle of content."""
        if self._upstream is not None:
            leaving, self._upstream, self._up = self._upstream, None, None
            ending = self._session.ending
            if ending is not None and ending.cut:
                leaving.cut()
            else:
                leaving.close()

    def _say_goodbye(self) -> None:
        """Shut CLIENT's side for writing, once; its reader goes on into the void, for a while."""
        ending = self._session.ending
        if ending is None or self.closed:
            return
        seconds = LINGER[ending.linger][0]
        if not seconds or not self._reads_client:
            self.close()
        elif not self._linger_until:
            self._client.send_eof()
            self._linger_until = trio.current_time() + seconds

    def close(self) -> None:
        """Close what is open and sum the session up; may be called again."""
        if self.closed:
            return
        self.closed = True
        if self._room is not None:
            self._room.set()
        self._leave()
        self._client.close()
        try:
            self._hooks.observe(self.link, time.time(), self._session.ended())
        except Exception:
            self._hooks.bug(self.link)
        finally:
            self._hooks.closed(self)

    def fail(self) -> None:
        """End this session, and no other, for a bug of ours; to be called where the exception is handled."""
        self._hooks.bug(self.link)
        try:
            self.dismiss(INTERNAL_ERROR, Close.ERROR)
        except Exception:
            self._hooks.bug(self.link)
            self.close()

    # --- from outside: the sweeper and the service -----------------------------------------------------------------

    @property
    def may_end(self) -> bool:
        """True where CLIENT loses nothing by a 421."""
        return self._session.may_end and not self._down.behind

    @property
    def offers_pipeconnect(self) -> bool:
        """True if UPSTREAM offered PIPECONNECT in this session."""
        return self._session.offers_pipeconnect

    def dismiss(self, answer: Answer, close: Close) -> None:
        """End the session with a last word of ours."""
        self._session.at = time.time()
        self._end_now(self._session.dismiss(answer, close))

    def _end_now(self, output: Output) -> None:
        self._put(output)
        self._conclude()

    def _conclude(self) -> None:
        """Say goodbye without waiting: what CLIENT does not take at once of a last word is lost."""
        if not self._session.over:
            return
        if self._down.behind:
            self._lose_client(untold=True)
            self.close()
        else:
            self._say_goodbye()

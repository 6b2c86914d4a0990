"""One CLIENT, one UPSTREAM connection made for it, and one Session between them.

Octets of a side are given to the Session, and what it says is due on either side is sent on; between
`Session.receive` and both puts nothing is awaited. Who reads the sockets is another matter:

    accept -> begin -> the dispatcher reads both, by plain calls, while nobody is behind
                         |  a peer does not take everything, or CLIENT's held input is full
                         v
                       two tasks, one for each side, that wait for the streams and for each other (TLS and tests:
                       from the start)

Deadlines are not timers: `sweep` is called once a second, sees whether the session made progress, and acts where it
did not. Every `OSError` is an ordinary end. A bug ends this session with 421 and a logged stack, and no other.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import time
from typing import Final

import trio

from smtpguard.net.deadlines import Deadlines
from smtpguard.net.dispatcher import Dispatcher
from smtpguard.net.outbox import GONE, Outbox
from smtpguard.net.route import Dialled
from smtpguard.net.stream import Stream, TcpStream
from smtpguard.net.upstream import Unreachable
from smtpguard.net.wire import Hooks, Wire
from smtpguard.smtp import Link, Session, Side

_VOID: Final = 64 * 1024
_REPLIES: Final = 64 * 1024
"""Octets of one read from UPSTREAM: a whole reply of the largest size."""


class Relay(Wire):
    """The life of one session on the network."""

    __slots__ = ("_deadlines", "_dispatcher", "_mark", "_since", "_started")

    def __init__(self, client: Stream, session: Session, link: Link, deadlines: Deadlines, hooks: Hooks) -> None:
        super().__init__(client, session, link, hooks)
        self._deadlines = deadlines
        self._dispatcher: Dispatcher | None = None
        self._started = self._since = trio.current_time()
        self._mark = -1

    # --- from the dial on ------------------------------------------------------------------------------------------

    async def serve(
        self, dial: Callable[[], Awaitable[Dialled]], nursery: trio.Nursery, dispatcher: Dispatcher | None = None
    ) -> None:
        """Dial, then begin."""
        self._nursery, self._dispatcher = nursery, dispatcher
        try:
            with self._elsewhere():
                dialled = await dial()
        except Unreachable as error:
            self._session.at = time()
            self._put(self._session.unreachable(error.reason))
            self._read_by_tasks()
        except Exception:
            self.fail()
            self._read_by_tasks()
        else:
            self.link = dialled.named(self.link)
            self.begin(dialled.stream, nursery, dispatcher, heard=dialled.heard)

    def begin(
        self, upstream: Stream, nursery: trio.Nursery, dispatcher: Dispatcher | None = None, *, heard: bytes = b""
    ) -> None:
        """Read both sides until the session is over: by the dispatcher while nobody is behind, else by tasks.

        `heard` is what UPSTREAM has said already.
        """
        self._nursery, self._dispatcher = nursery, dispatcher
        self._upstream, self._up = upstream, Outbox(upstream)
        client = self._client
        if heard:
            try:
                self._take(Side.UPSTREAM, heard)
            except Exception:
                self.fail()
        if self._session.over:
            self._leave()
            self._read_by_tasks()
        elif dispatcher is None or not isinstance(client, TcpStream) or not isinstance(upstream, TcpStream):
            self._read_by_tasks()
        else:
            try:
                client.watch(dispatcher, partial(self._on_client, client))
                upstream.watch(dispatcher, partial(self._on_upstream, upstream))
            except OSError:
                # The kernel watches no more sockets for the dispatcher; two tasks need no such room.
                self._read_by_tasks()

    # --- by the dispatcher -----------------------------------------------------------------------------------------

    def _on_client(self, client: TcpStream) -> None:
        session = self._session
        try:
            try:
                data = client.receive_now(session.window)
            except GONE:
                self._lose(Side.CLIENT)
            else:
                if data and session.ending is None:
                    session.at = time()
                    self._put(session.receive(Side.CLIENT, data, unread=self._down.behind))
                else:
                    self._take_now(Side.CLIENT, client, data)
            self._see_how_it_goes_on()
        except Exception:
            self.fail()

    def _on_upstream(self, upstream: TcpStream) -> None:
        session = self._session
        try:
            try:
                data = upstream.receive_now(_REPLIES)
            except GONE:
                self._lose(Side.UPSTREAM)
            else:
                if data:
                    session.at = time()
                    self._put(session.receive(Side.UPSTREAM, data))
                else:
                    self._take_now(Side.UPSTREAM, upstream, data)
            self._see_how_it_goes_on()
        except Exception:
            self.fail()

    def _take_now(self, side: Side, stream: TcpStream, data: bytes | None) -> None:
        if data:
            self._take(side, data)
        elif data is not None:
            stream.unwatch()
            self._take_end(side)

    def _see_how_it_goes_on(self) -> None:
        if self._down.behind or (self._up is not None and self._up.behind) or not self._session.window:
            self._read_by_tasks()
        elif self._session.ending is not None:
            self._say_goodbye()

    # --- by two tasks ----------------------------------------------------------------------------------------------

    def _read_by_tasks(self) -> None:
        for stream in (self._client, self._upstream):
            if isinstance(stream, TcpStream):
                stream.unwatch()
        if self._nursery is not None and not self.closed:
            self._nursery.start_soon(self._listen, self._read_client)
            self._nursery.start_soon(self._listen, self._read_upstream)

    @contextmanager
    def _elsewhere(self) -> Iterator[None]:
        """Tell the dispatcher that a task of this session waits by trio."""
        if self._dispatcher is None:
            yield
            return
        self._dispatcher.elsewhere += 1
        try:
            yield
        finally:
            self._dispatcher.elsewhere -= 1

    async def _listen(self, read: Callable[[], Awaitable[None]]) -> None:
        """Read one side to the end of the session, and say goodbye if nobody has."""
        with self._elsewhere():
            try:
                await read()
            except trio.ClosedResourceError:
                # Closed by the other task, or by the sweeper, while this one waited.
                pass
            except Exception:
                self.fail()
            if self._session.over:
                await self._down.wait_empty()
                self._say_goodbye()
                if read == self._read_client:
                    await self._read_into_the_void()

    async def _read_upstream(self) -> None:
        session, upstream, down = self._session, self._upstream, self._down
        while session.ending is None and upstream is not None:
            # Not for `up`: what replies release of held input is bounded, and UPSTREAM may not read before we do.
            if down.behind:
                await down.wait_empty()
            try:
                data = await upstream.receive_some(_REPLIES)
            except trio.BrokenResourceError:
                self._lose(Side.UPSTREAM)
                return
            if not data:
                self._take_end(Side.UPSTREAM)
                return
            self._take(Side.UPSTREAM, data)

    async def _read_client(self) -> None:
        session, client = self._session, self._client
        while session.ending is None and self._reads_client:
            if self._down.behind or (self._up is not None and self._up.behind):
                await self._wait_empty()
                continue
            window = session.window
            if not window:
                self._room = trio.Event()
                await self._room.wait()
                continue
            try:
                data = await client.receive_some(window)
            except trio.BrokenResourceError:
                self._lose(Side.CLIENT)
                return
            if not data:
                self._take_end(Side.CLIENT)
                return
            self._take(Side.CLIENT, data)

    async def _read_into_the_void(self) -> None:
        while not self.closed:
            try:
                data = await self._client.receive_some(_VOID)
            except GONE:
                data = b""
            self._drop(data)

    # --- the clock -------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Act on what took too long. To be called about once a second with `trio.current_time()`."""
        if self._linger_until:
            if now >= self._linger_until:
                self.close()
            return
        session, up, down = self._session, self._up, self._down
        mark = session.progress + down.progress + (up.progress if up is not None else 0)
        if mark != self._mark:
            self._mark, self._since = mark, now
        idle = now - self._since
        session.at = time()
        if down.behind or (up is not None and up.behind):
            # Blocked on one side, the other side's clock stands.
            if idle >= self._deadlines.write:
                self._give_up_writing()
        elif idle >= self._deadlines.of(session.waiting):
            self._end_now(session.expire())
        elif now - self._started >= self._deadlines.session:
            self._end_now(session.outlived(doubly=now - self._started >= 2 * self._deadlines.session))

    def _give_up_writing(self) -> None:
        if self._down.behind:
            self._lose_client(untold=True)
        else:
            self._lose(Side.UPSTREAM)
        self._conclude()

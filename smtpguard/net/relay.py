"""One CLIENT, one UPSTREAM connection made for it, and one Session between them.

Two reader tasks. Each waits for octets of its side, gives them to the Session, and sends on what the Session says is
due on either side; between `Session.receive` and both puts nothing is awaited. The tasks live in the worker's
long-lived nursery: a nursery, a scope or a channel per session would cost what a relayed command costs.

    accept -> serve: dial -> _read_upstream  (task 1)
                         `-> _read_client    (task 2; lingers when the session is over)

Deadlines are not timers: `sweep` is called once a second, sees whether the session made progress, and acts where it
did not. Every `OSError` is an ordinary end. A bug ends this session with 421 and a logged stack, and no other.
"""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import trio

from smtpguard.net.dispatcher import Dispatcher
from smtpguard.net.outbox import GONE, Outbox
from smtpguard.net.stream import Stream, TcpStream
from smtpguard.net.upstream import Unreachable
from smtpguard.smtp import INTERNAL_ERROR, Answer, Close, Event, Link, Output, Session, Side, Waiting

Observer = Callable[[Link, float, Event], None]
"""The one callable that events are handed to: who, when in seconds since the epoch, what. It must not block."""

LINGER: Final = {"none": (0.0, 0), "short": (2.0, 1024 * 1024), "content": (30.0, 64 * 1024 * 1024)}
"""How long, in seconds, and how many octets CLIENT is read into the void behind a last answer, by `Ending.linger`.

Closing with unread input makes the kernel send RST, which destroys the answer before the client reads it: it would
try again
for ever."""

_VOID: Final = 64 * 1024
_REPLIES: Final = 64 * 1024
"""Octets of one read from UPSTREAM: a whole reply of the largest size."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that each side may take; octets do not extend them."""

    greeting: float = 300.0
    command: float = 300.0
    reply: float = 330.0
    content: float = 180.0
    verdict: float = 900.0
    write: float = 180.0
    session: float = 3600.0
    opaque: float = 600.0

    def of(self, waiting: Waiting) -> float:
        """Return the deadline that runs while the session waits so."""
        return math.inf if waiting is Waiting.NOBODY else float(getattr(self, waiting.value))


class Hooks(NamedTuple):
    """Whom a relay tells; none of them may block."""

    observe: Observer
    closed: Callable[["Relay"], None]
    """The relay is closed, its sockets are free."""
    bug: Callable[[Link], None]
    """An exception that is nobody's fault but ours is being handled; `sys.exception()` is it."""


class Relay:
    """The life of one session on the network."""

    __slots__ = (
        "_client", "_client_gone", "_deadlines", "_down", "_hooks", "_linger_until", "_mark", "_nursery",
        "_reads_client", "_room", "_session", "_since", "_started", "_up", "_upstream", "_void", "closed", "link",
    )  # fmt: skip

    def __init__(self, client: Stream, session: Session, link: Link, deadlines: Deadlines, hooks: Hooks) -> None:
        self.link = link
        self.closed = False
        self._client = client
        self._down = Outbox(client)
        self._upstream: Stream | None = None
        self._up: Outbox | None = None
        self._session = session
        self._deadlines = deadlines
        self._hooks = hooks
        # CLIENT's octets have not ended.
        self._reads_client = True
        # CLIENT is lost; UPSTREAM may still be kept for its verdict.
        self._client_gone = False
        # Waited for by CLIENT's reader while held input fills its room.
        self._room: trio.Event | None = None
        self._started = self._since = trio.current_time()
        self._mark = -1
        self._nursery: trio.Nursery | None = None
        self._linger_until = 0.0
        self._void = 0

    # --- from the dial on ------------------------------------------------------------------------------------------

    async def serve(
        self, dial: Callable[[], Awaitable[Stream]], nursery: trio.Nursery, dispatcher: Dispatcher | None = None
    ) -> None:
        """Dial, then begin."""
        self._nursery = nursery
        try:
            upstream = await dial()
        except Unreachable as error:
            self._put(self._session.unreachable(error.reason))
            self._read_by_tasks()
        except Exception:
            self.fail()
            self._read_by_tasks()
        else:
            self.begin(upstream, nursery, dispatcher)

    def begin(self, upstream: Stream, nursery: trio.Nursery, dispatcher: Dispatcher | None = None) -> None:
        """Read both sides until the session is over: by the dispatcher while nobody is behind, else by tasks."""
        self._nursery = nursery
        self._upstream, self._up = upstream, Outbox(upstream)
        client = self._client
        if self._session.over:
            self._leave()
            self._read_by_tasks()
        elif dispatcher is None or not isinstance(client, TcpStream) or not isinstance(upstream, TcpStream):
            self._read_by_tasks()
        else:
            client.watch(dispatcher, partial(self._on_client, client))
            upstream.watch(dispatcher, partial(self._on_upstream, upstream))

    # --- by the dispatcher -----------------------------------------------------------------------------------------

    def _on_client(self, client: TcpStream) -> None:
        try:
            try:
                data = client.receive_now(self._session.window)
            except GONE:
                self._lose(Side.CLIENT)
            else:
                self._take_now(Side.CLIENT, client, data)
            if self._session.window:
                self._see_how_it_goes_on()
            else:
                self._read_by_tasks()
        except Exception:
            self.fail()

    def _on_upstream(self, upstream: TcpStream) -> None:
        try:
            try:
                data = upstream.receive_now(_REPLIES)
            except GONE:
                self._lose(Side.UPSTREAM)
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
        if self._down.behind or (self._up is not None and self._up.behind):
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

    async def _listen(self, read: Callable[[], Awaitable[None]]) -> None:
        """Read one side to the end of the session, and say goodbye if nobody has."""
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

    # --- what came -------------------------------------------------------------------------------------------------

    def _take(self, side: Side, data: bytes) -> None:
        if self._session.ending is None:
            self._put(self._session.receive(side, data, unread=self._down.behind))
        elif side is Side.CLIENT:
            self._drop(data)

    def _take_end(self, side: Side) -> None:
        if side is Side.CLIENT:
            self._reads_client = False
        self._put(self._session.receive_eof(side))

    def _lose(self, side: Side) -> None:
        if side is Side.CLIENT:
            self._lose_client(untold=self._down.behind)
        else:
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
        await outbox.drain()
        if self._down.broken:
            try:
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
        self._end_now(self._session.dismiss(answer, close))

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

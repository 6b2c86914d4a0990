"""One relay on a stage of its own: a scripted CLIENT, a scripted UPSTREAM, a sweeper, and virtual time.

    async with staged() as stage:
        await stage.greeted()
        await stage.client.say(b"QUIT")

When the block is left the relay must be closed within the longest linger, with no task, no stream and no bug left,
and with exactly one `SessionEnded`, which came last.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from trio.testing import wait_all_tasks_blocked

from smtpguard.net import Deadlines, Dialled, Hooks, Relay, Stream
from smtpguard.net.dispatcher import Dispatcher
from smtpguard.smtp import Event, Finding, Link, Policy, Session, SessionEnded, policy_for
from tests.net.streams import NearStream, memory_pair

SESSION_ID = "0123456789AB"
LINK = Link(
    session_id=SESSION_ID, started=0.0, client_ip="192.0.2.1", client_port=4711, local_ip="192.0.2.2", local_port=25,
    listener="192.0.2.2:25", upstream="127.0.0.1:2525",
)  # fmt: skip
HELLO = (b"250-mx", b"250-PIPELINING", b"250-CHUNKING", b"250 AUTH PLAIN LOGIN")
LONGEST_TEST = 4 * 3600
"""Seconds after which a test that hangs is ended."""

LONGEST_END = 40
"""Seconds: the content linger of 30, the sweeper's second, and some."""

Pair = tuple[NearStream, NearStream]
Dial = Callable[[], Awaitable[Stream]]
"""What a test dials with; the stage names the upstream."""


class Peer:
    """The far end of a connection, line by line."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._read = b""

    async def say(self, *lines: bytes) -> None:
        """Send lines."""
        await self.stream.send_all(b"".join(line + b"\r\n" for line in lines))

    async def line(self) -> bytes:
        """Return the next line without its end; b"" at the end of the connection."""
        while b"\r\n" not in self._read:
            data = await self.stream.receive_some(65536)
            if not data:
                assert not self._read, f"half a line: {self._read!r}"
                return b""
            self._read += data
        line, _, self._read = self._read.partition(b"\r\n")
        return line

    async def hears(self, *beginnings: bytes) -> None:
        """Expect lines that begin so; b"" is the orderly end."""
        for beginning in beginnings:
            line = await self.line()
            said = line.startswith(beginning) if beginning else not line
            assert said, f"{line!r}, not {beginning!r}"

    async def until_reset(self) -> bytes:
        """Return all that comes until the reset."""
        while True:
            try:
                data = await self.stream.receive_some(65536)
            except trio.BrokenResourceError:
                rest, self._read = self._read, b""
                return rest
            assert data, "an orderly end"
            self._read += data

    async def rest(self) -> bytes:
        """Return all that comes until the orderly end."""
        while data := await self.stream.receive_some(65536):
            self._read += data
        rest, self._read = self._read, b""
        return rest


class Stage:
    """A relay between two peers."""

    def __init__(self, client: Pair, upstream: Pair, deadlines: Deadlines, policy: Policy) -> None:
        self.near_client, far_client = client
        self.near_upstream, far_upstream = upstream
        self.client, self.upstream = Peer(far_client), Peer(far_upstream)
        self.events: list[Event] = []
        self.bugs = 0
        self.bugs_meant = 0
        self.sums_meant = 1
        self.closed = trio.Event()
        self.session = Session(policy, session_id=SESSION_ID)
        hooks = Hooks(observe=lambda _link, _at, event: self.events.append(event), closed=self._closed, bug=self._bug)
        self.relay = Relay(self.near_client, self.session, LINK, deadlines, hooks)

    def _closed(self, relay: object) -> None:
        assert relay is self.relay
        assert not self.closed.is_set()
        self.closed.set()

    def _bug(self, link: Link) -> None:
        assert link is LINK
        self.bugs += 1

    async def dial(self) -> Stream:
        """Return UPSTREAM's connection."""
        return self.near_upstream

    async def sweep(self) -> None:
        """Sweep once a second, for ever, as the server does."""
        while True:
            await trio.sleep(1)
            if not self.closed.is_set():
                self.relay.sweep(trio.current_time())

    @property
    def findings(self) -> list[str]:
        """The rule ids that fired."""
        return [event.rule.id for event in self.events if isinstance(event, Finding)]

    @property
    def end(self) -> str:
        """The close reason."""
        (ended,) = [event for event in self.events if isinstance(event, SessionEnded)]
        return ended.close.value

    # --- climbing --------------------------------------------------------------------------------------------------

    async def command(self, line: bytes, *reply: bytes) -> None:
        """Take one command through to UPSTREAM and its reply back."""
        await self.client.say(line)
        assert await self.upstream.line() == line
        await self.upstream.say(*reply)
        await self.client.hears(*reply)

    async def greeted(self) -> None:
        """Climb to the greeting."""
        await self.upstream.say(b"220 mx")
        await self.client.hears(b"220 mx")

    async def identified(self) -> None:
        """Climb to EHLO."""
        await self.greeted()
        await self.command(b"EHLO c", *HELLO)

    async def recipients(self) -> None:
        """Climb to an accepted RCPT."""
        await self.identified()
        await self.command(b"MAIL FROM:<a@b>", b"250 ok")
        await self.command(b"RCPT TO:<c@d>", b"250 ok")

    async def content(self) -> None:
        """Climb to 354."""
        await self.recipients()
        await self.command(b"DATA", b"354 go")

    async def verdict(self) -> None:
        """Climb to a message whose verdict is out."""
        await self.content()
        await self.client.say(b"Subject: x", b"", b"y", b".")
        await self.upstream.hears(b"Subject: x", b"", b"y", b".")

    async def chunk(self) -> None:
        """Climb into a chunk of 100 octets, ten of which are out."""
        await self.recipients()
        await self.client.stream.send_all(b"BDAT 100 LAST\r\n0123456789")
        await self.upstream.hears(b"BDAT 100 LAST")

    async def authenticating(self) -> None:
        """Climb to 334."""
        await self.identified()
        await self.command(b"AUTH LOGIN", b"334 VXNlcm5hbWU6")

    async def quit(self) -> None:
        """End the session in order."""
        await self.command(b"QUIT", b"221 bye")
        await self.client.hears(b"")
        self.client.stream.close()
        self.upstream.stream.close()


async def _dialled(dial: Dial, heard: bytes) -> Dialled:
    return Dialled(await dial(), LINK.upstream, heard)


@asynccontextmanager
async def staged(
    *,
    client: Pair | None = None,
    upstream: Pair | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    policy: Policy | None = None,
    dial: Dial | None = None,
    heard: bytes = b"",
    dispatcher: Dispatcher | None = None,
) -> AsyncIterator[Stage]:
    """Run a relay over memory streams, or the given ones, and look after it that nothing is left.

    `heard` is what UPSTREAM has said before the session begins. With a dispatcher, which the stage runs, both pairs
    must be sockets.
    """
    stage = Stage(client or memory_pair(), upstream or memory_pair(), deadlines, policy or policy_for())
    async with trio.open_nursery() as outer:
        outer.start_soon(stage.sweep)
        if dispatcher is not None:
            outer.start_soon(dispatcher.run)
        async with trio.open_nursery() as sessions:
            sessions.cancel_scope.deadline = trio.current_time() + LONGEST_TEST
            sessions.start_soon(stage.relay.serve, partial(_dialled, dial or stage.dial, heard), sessions, dispatcher)
            yield stage
            with trio.move_on_after(LONGEST_END):
                await stage.closed.wait()
            assert stage.closed.is_set(), "the relay is still open"
            await wait_all_tasks_blocked()
            assert not sessions.child_tasks, "a task is left"
            assert not dispatcher, "a socket is still watched"
        assert not sessions.cancel_scope.cancelled_caught, "the test hangs"
        outer.cancel_scope.cancel()
    assert stage.relay.closed
    assert stage.near_client.closed
    assert stage.near_upstream.closed or dial is not None
    assert stage.bugs == stage.bugs_meant
    sums = [place for place, event in enumerate(stage.events, 1) if isinstance(event, SessionEnded)]
    assert sums == [len(stage.events)] * stage.sums_meant, "the sum comes once, and last"

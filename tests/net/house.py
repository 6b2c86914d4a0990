"""A whole server on loopback in one process: listener, relays, sweeper, and a scripted UPSTREAM that counts."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import wait_all_tasks_blocked

from smtpguard.net import Deadlines, Door, Gate, Route, Server, Upstream, Warnings, listen
from smtpguard.smtp import Event, Link, SessionEnded, SessionStarted, policy_for
from tests.net.loopback import NEVER, Client, descriptors


class House:
    """What a test may look at."""

    def __init__(self, port: int, gate: Gate, deadlines: Deadlines) -> None:
        self.upstreams = 0
        """Connections that UPSTREAM got."""
        self.asked = trio.Event()
        """UPSTREAM was sent a message with a line `hold` in it."""
        self.verdict = trio.Event()
        """Set by the test when UPSTREAM is to go on with it."""
        self.seen: list[tuple[Link, Event]] = []
        self.bugs: list[Link] = []
        self.warnings: list[str] = []
        self.upstream = Upstream("127.0.0.1", port)
        self.door = Door("test", Route([self.upstream]), policy_for())
        self.server = Server(
            deadlines,
            gate,
            observe=lambda link, _at, event: self.seen.append((link, event)),
            bug=self.bugs.append,
            warnings=Warnings(
                exhausted=lambda error: self.warnings.append(str(error.errno)),
                turned_away=lambda _link, setting: self.warnings.append(setting),
                unidentified=lambda link, reason: self.warnings.append(f"{link.client_ip}: {reason}"),
            ),
        )
        self.port = 0

    def count(self, kind: type[Event]) -> int:
        """Return how many events of a kind there were."""
        return sum(isinstance(event, kind) for _, event in self.seen)

    async def answer(self, stream: trio.SocketStream) -> None:
        """Be UPSTREAM for one connection; its verdict waits where the content says so."""
        self.upstreams += 1
        peer = Client(stream)
        in_content = False
        try:
            await peer.say(b"220 mx")
            while line := await peer.line(NEVER):
                if not in_content:
                    in_content = line == b"DATA"
                    await peer.say(b"354 go" if in_content else b"221 bye" if line == b"QUIT" else b"250 ok")
                elif line == b"hold":
                    self.asked.set()
                    await self.verdict.wait()
                elif line == b".":
                    in_content = False
                    await peer.say(b"250 queued")
        except trio.BrokenResourceError:
            pass
        finally:
            stream.socket.close()


@asynccontextmanager
async def serving(
    *,
    gate: Gate | None = None,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
    listener: socket.socket | None = None,
) -> AsyncIterator[House]:
    """Run a server, drain it at the end, and see that no session, task or descriptor is left."""
    before = descriptors()
    (mx,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    house = House(mx.socket.getsockname()[1], gate or Gate(100, 100), deadlines)
    await house.upstream.resolve()
    opened = listener or listen("127.0.0.1", 0)
    house.port = opened.getsockname()[1]
    try:
        async with trio.open_nursery() as keepers:
            keepers.start_soon(house.server.dispatch)
            keepers.start_soon(house.server.sweep)
            keepers.start_soon(trio.serve_listeners, house.answer, [mx])
            async with trio.open_nursery() as sessions:
                async with trio.open_nursery() as doors:
                    doors.start_soon(house.server.accept, opened, house.door, sessions)
                    yield house
                    doors.cancel_scope.cancel()
                await house.server.drain(10)
                await wait_all_tasks_blocked()
                assert not sessions.child_tasks, "a task is left"
                assert len(house.server._dispatcher) == 0, "a socket is still watched"
            keepers.cancel_scope.cancel()
    finally:
        for relay in tuple(house.server._relays):
            relay.close()
        opened.close()
        mx.socket.close()
    assert len(house.server) == 0
    assert house.count(SessionEnded) == house.count(SessionStarted)
    assert descriptors() <= before + (1 if listener else 0)

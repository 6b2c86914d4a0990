"""The stage: UPSTREAM, the guard before it, and what is played there.

    async with staged(options) as stage:
        shown = await stage.play(sessions(OURS))

Everything that `Shown` holds is read back: the transcript from the client's socket, `upstream_saw` from the demo's
UPSTREAM, log line and events from the running guard's files. Sessions of the table are played one by one, so that each
has its connection at UPSTREAM; those of chaos, twenty-five at a time.
"""

import errno
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import trio

from smtpguard.config import Address
from smtpguard.demo.errors import DemoError
from smtpguard.demo.guard import Guard, free_address, is_taken
from smtpguard.demo.play import Played, play
from smtpguard.demo.readback import Event, Readback
from smtpguard.demo.sessions import OURS, YOURS, Session, sessions
from smtpguard.demo.upstream import Connection, Upstream

LISTEN: Final = Address("127.0.0.1", 2525)
"""Where the guard listens, unless told otherwise or the port is taken."""
AT_ONCE: Final = 25
"""Sessions of chaos that are played at the same time."""
CONNECT_WITHIN: Final = 10.0
"""Seconds for a real UPSTREAM to take a connection."""
GREETED_WITHIN: Final = 30.0
"""Seconds for its greeting."""
UPSTREAM_PATIENCE: Final = 5.0
"""Seconds until the demo's UPSTREAM has seen the end of a connection."""
TAIL_PAUSE: Final = 0.2
"""Seconds between two looks at the log while a person tries things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the demo was asked for."""

    listen: Address | None = None
    """None: `LISTEN`, or a free port where that is taken."""
    upstream: Address | None = None
    """A real mail server; None: the demo's own."""
    keep: Path | None = None
    """A new or empty folder for configuration, log and audit; None: a temporary one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One session and its evidence."""

    played: Played
    upstream_saw: tuple[str, ...] | None
    """Command lines that reached UPSTREAM; None where UPSTREAM is not ours to ask."""
    messages: int | None
    """Messages that UPSTREAM took; None as above."""
    log: tuple[str, ...]
    findings: tuple[Event, ...]

    @property
    def as_told(self) -> bool:
        """True if the guard found just what the table says."""
        rule = self.played.session.rule
        found = [event["rule"]["id"] for event in self.findings if event["smtp"].get("verdict") != "note"]
        return found == ([rule] if rule else []) and not self.played.trouble


class Stage:
    """The running pair."""

    def __init__(self, guard: Guard, own: Upstream | None, *, moved: bool) -> None:
        self.guard = guard
        self.own = own
        self.moved = moved
        """The port that the demo likes best was taken."""
        self.readback = Readback(guard.log, guard.audit)

    def table(self) -> tuple[Session, ...]:
        """Return the sessions as they suit this UPSTREAM."""
        return sessions(OURS if self.own else YOURS)

    async def play(self, table: Iterable[Session]) -> tuple[Shown, ...]:
        """Play sessions one by one, those left out at a real server aside, and gather the evidence.

        Raises:
            DemoError: the guard wrote none.
        """
        played = [await self._one(session) for session in table if self.own or not session.left_out]
        await self._written([each for each, _ in played])
        return tuple(self._shown(*each) for each in played)

    async def _one(self, session: Session) -> tuple[Played, tuple[Connection, ...]]:
        mark = self.own.count if self.own else 0
        played = await play(session, self.guard.dialled, careful=self.own is None)
        if self.own is None:
            return played, ()
        with trio.move_on_after(UPSTREAM_PATIENCE):
            for each in self.own.since(mark):
                await each.over.wait()
        return played, self.own.since(mark)

    def _shown(self, played: Played, connections: tuple[Connection, ...]) -> Shown:
        client = [(played.host, played.port)]
        return Shown(
            played,
            tuple(line for each in connections for line in each.lines) if self.own else None,
            sum(each.messages for each in connections) if self.own else None,
            tuple(self.readback.log_of(client)),
            tuple(self.readback.findings_of(client)),
        )

    async def play_chaos(self, crowd: Iterable[Session]) -> list[Played]:
        """Play sessions many at a time, and return when the guard has written about all of them.

        Raises:
            DemoError: it has not.
        """
        done: list[Played] = []
        limit = trio.CapacityLimiter(AT_ONCE)

        async def one(session: Session) -> None:
            async with limit:
                done.append(await play(session, self.guard.dialled))

        async with trio.open_nursery() as nursery:
            for session in crowd:
                nursery.start_soon(one, session)
        await self._written(done)
        return done

    async def _written(self, played: Iterable[Played]) -> None:
        await self.readback.wait_for((each.host, each.port) for each in played if each.port)

    def by_rule(self, played: Iterable[Played]) -> Counter[tuple[str, str]]:
        """Count what the guard found about these clients: (rule, client address) -> findings."""
        return self.readback.by_rule((each.host, each.port) for each in played)

    async def live(self) -> AsyncIterator[str]:
        """Yield the log's new lines as they come, for ever.

        Raises:
            DemoError: the guard has ended.
        """
        while self.guard.exit_code is None:
            for line in self.readback.look():
                yield line
            await trio.sleep(TAIL_PAUSE)
        raise DemoError(f"the guard has ended by itself ({self.guard.ended}); start the demo again", 69)


@asynccontextmanager
async def staged(options: Options) -> AsyncIterator[Stage]:
    """Set the stage, and clear it in the end: the guard stopped, no file left but in `keep`.

    Raises:
        DemoError: UPSTREAM does not answer, or the guard does not start; `run` gives it out bare.
    """
    if options.listen and is_taken(options.listen):
        cure = (
            "stop the program that has it (`ss -ltnp` shows which), or leave --listen out: the demo finds a free port"
        )
        raise DemoError(f"--listen {options.listen}: {os.strerror(errno.EADDRINUSE)}; {cure}", 78)
    if options.upstream:
        await _answers(options.upstream)
    with _folder(options.keep) as folder:
        own = None if options.upstream else Upstream()
        async with trio.open_nursery() as nursery:
            upstream = options.upstream or await _serve(own, nursery)
            guard = await _started(folder, options.listen, upstream)
            try:
                yield Stage(guard, own, moved=guard.listen != (options.listen or LISTEN))
            finally:
                await guard.stop()
                nursery.cancel_scope.cancel()


async def _started(folder: Path, listen: Address | None, upstream: Address) -> Guard:
    """Start the guard where it was asked for, else at `LISTEN`, else at a free port.

    Raises:
        DemoError: it does not start.
    """
    guard = Guard(folder, listen or free_address(LISTEN.host, LISTEN.port), upstream)
    try:
        await guard.start()
    except DemoError:
        if listen or not is_taken(guard.listen):
            raise
        # Another demo took the port between our look at it and the guard's start.
        guard = Guard(folder, free_address(LISTEN.host, LISTEN.port), upstream)
        await guard.start()
    return guard


async def _serve(own: Upstream | None, nursery: trio.Nursery) -> Address:
    assert own is not None
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(partial(trio.serve_listeners, own.handle, listeners))
    return Address(*listeners[0].socket.getsockname())


async def _answers(upstream: Address) -> None:
    """See that a real UPSTREAM greets, before anything else is begun.

    Raises:
        DemoError: it does not.
    """
    cure = "start it, or name another one with --upstream; without --upstream the demo brings one of its own"
    try:
        with trio.fail_after(CONNECT_WITHIN):
            stream = await trio.open_tcp_stream(upstream.host, upstream.port)
        async with stream:
            with trio.fail_after(GREETED_WITHIN):
                greeting = bytes(await stream.receive_some(4096))
                await stream.send_all(b"QUIT\r\n")
    except trio.TooSlowError:
        raise DemoError(f"upstream {upstream}: no answer in time; {cure}", 69) from None
    except (OSError, trio.BrokenResourceError) as error:
        raise DemoError(f"upstream {upstream}: {_reason(error)}; {cure}", 69) from None
    if not greeting.startswith(b"220"):
        said = greeting[:80].decode("ascii", "replace").strip() or "nothing"
        raise DemoError(f"upstream {upstream}: greets with {said!r} instead of 220; {cure}", 69)


def _reason(error: BaseException) -> str:
    """Return the system's words; trio hides them behind words of its own, the address tried among them."""
    causes = getattr(error.__cause__, "exceptions", (error.__cause__,))
    if causes[0] is not None:
        return _reason(causes[0])
    if isinstance(error, socket.gaierror):
        return error.strerror or "unknown name"
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give the folder of the guard's files; a temporary one is removed in the end.

    Raises:
        DemoError: it cannot be had, or is in use.
    """
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="smtpguard-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        used = any(keep.iterdir())
    except OSError as error:
        raise DemoError(f"--keep {keep}: {error.strerror}; name a folder that may be written", 2) from None
    if used:
        raise DemoError(f"--keep {keep}: not empty; name a new folder, so that nothing of yours is mixed in", 2)
    yield keep.absolute()

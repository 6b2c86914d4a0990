"""Plays what was planned: some forty sessions at a time, each from its own address, each piece one segment.

A session that hears other codes than planned is told of, by number: then not the guard is wrong but the day.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from tests.against.day import programs
from tests.against.day.kinds import NAME, Leave, Say, StartTls
from tests.against.day.programs import Carrier, dial
from tests.against.day.truth import Planned, Truth

AT_A_TIME: Final = 40
PROGRAMS_AT_A_TIME: Final = 3
PATIENCE: Final = 60.0
"""Seconds that one session may take."""


class Ended(Exception):
    """The guard ended before a whole reply had come."""


@dataclass
class _Talk:
    """One connection, read by replies."""

    stream: trio.abc.Stream
    heard: bytearray = field(default_factory=bytearray)

    async def code(self) -> str:
        """Return the code of the next whole reply."""
        while (line := await self._line())[3:4] == b"-":
            pass
        return line[:3].decode("ascii", "replace")

    async def _line(self) -> bytes:
        while (end := self.heard.find(b"\n") + 1) == 0:
            octets = await self.stream.receive_some()
            if not octets:
                raise Ended
            self.heard += octets
        line = bytes(self.heard[:end])
        del self.heard[:end]
        return line

    async def rest(self) -> bytes:
        """Return what else comes until the guard ends."""
        try:
            async for octets in self.stream:
                self.heard += octets
        except trio.BrokenResourceError:
            pass  # a TLS peer that closes without a word, or a reset
        return bytes(self.heard)


@dataclass
class Day:
    """The players, and what went otherwise than planned."""

    truth: Truth
    ports: dict[str, int]
    """The listener's name -> its port of 127.0.0.1."""
    otherwise: list[str] = field(default_factory=list)
    played: int = 0

    async def play(self) -> None:
        """Play all sessions, in about the order of the plan."""
        limit, few = trio.CapacityLimiter(AT_A_TIME), trio.CapacityLimiter(PROGRAMS_AT_A_TIME)
        carried = [one for one in self.truth.sessions if one.title == programs.SMTP_SOURCE]
        async with trio.open_nursery() as nursery:
            if carried:
                nursery.start_soon(self._carry, carried)
            for one in self.truth.sessions:
                if one.title == programs.SMTP_SOURCE:
                    continue
                await limit.acquire_on_behalf_of(one)
                nursery.start_soon(self._one, one, limit, few)

    async def _one(self, one: Planned, limit: trio.CapacityLimiter, few: trio.CapacityLimiter) -> None:
        try:
            with self._watching(one), trio.fail_after(PATIENCE):
                if one.kind.program:
                    await self._program(one, few)
                else:
                    await self._octets(one)
        finally:
            limit.release_on_behalf_of(one)
            self.played += 1

    @contextmanager
    def _watching(self, one: Planned) -> Iterator[None]:
        try:
            yield
        except (OSError, Ended, trio.BrokenResourceError, trio.TooSlowError) as error:
            self.otherwise.append(f"session {one.number} ({one.title}): {type(error).__name__} {error}")

    async def _carry(self, carried: list[Planned]) -> None:
        carrier = Carrier([(one.ip, one.port) for one in carried], self.ports["listener"])
        async with trio.open_nursery() as nursery:
            port: int = await nursery.start(carrier.serve)
            await trio.to_thread.run_sync(programs.smtp_source, port, len(carried))
            nursery.cancel_scope.cancel()
        self.played += len(carried)

    async def _program(self, one: Planned, few: trio.CapacityLimiter) -> None:
        def run() -> str:
            return programs.run(one.title, source=(one.ip, one.port), port=self.ports[one.listener], name=one.name)

        said = await trio.to_thread.run_sync(run, limiter=few)
        if said:
            self.otherwise.append(f"session {one.number} ({one.title}): {said}")

    async def _octets(self, one: Planned) -> None:
        stream: trio.abc.Stream = await dial((one.ip, one.port), self.ports[one.listener])
        heard, wanted = list[str](), list[str]()
        talk = _Talk(stream)
        if not one.kind.early:
            wanted.append("220")
            heard.append(await talk.code())
        for step in one.kind.steps:
            match step:
                case Say(octets, codes):
                    await talk.stream.send_all(octets.replace(NAME, one.name.encode()))
                    wanted += codes.split()
                    heard += [await talk.code() for _ in codes.split()]
                case StartTls():
                    talk = _Talk(await _in_tls(talk.stream))
                case Leave():
                    await trio.aclose_forcefully(talk.stream)
                    break
        else:
            heard += [repr(rest)] if (rest := await talk.rest()) else []
            await trio.aclose_forcefully(talk.stream)
        if heard != wanted:
            self.otherwise.append(f"session {one.number} ({one.title}): heard {heard}, not {wanted}")


async def _in_tls(stream: trio.abc.Stream) -> trio.abc.Stream:
    # Whose certificate it is, is not what this is about.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    inside = trio.SSLStream(stream, context, https_compatible=True)
    await inside.do_handshake()
    return inside

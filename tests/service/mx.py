"""An UPSTREAM with a script, in the test's own loop: it says what a table says, and remembers what it was asked."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from smtpguard.net import Upstream
from tests.net.loopback import NEVER, Client

REFUSES: Mapping[bytes, bytes] = {b"RCPT TO:<smtpguard-probe@": b"554 5.7.1 relay access denied"}
RELAYS: Mapping[bytes, bytes] = {}
OTHERS: Mapping[bytes, bytes] = {b"DATA": b"354 go", b"QUIT": b"221 bye", b"": b"250 ok"}
SILENCE = b"silence"
CLOSE = b"close"


class Mx:
    """The script: the beginning of a line -> the reply; the first that fits speaks."""

    def __init__(self, script: Mapping[bytes, bytes] = REFUSES, greeting: bytes = b"220 mx") -> None:
        self.script = script
        self.greeting = greeting
        self.lines: list[bytes] = []
        self.port = 0

    def reply(self, line: bytes) -> bytes:
        """Return what the script says to a line."""
        return next(reply for start, reply in {**self.script, **OTHERS}.items() if line.startswith(start))

    async def answer(self, stream: trio.SocketStream) -> None:
        """Serve one connection."""
        peer = Client(stream)
        said, in_content = self.greeting, False
        try:
            while said != CLOSE:
                if said not in (SILENCE, b""):
                    await peer.say(said)
                line = await peer.line(NEVER)
                self.lines.append(line)
                if not line:
                    break
                if in_content:
                    in_content = line != b"."
                    said = b"" if in_content else b"250 queued"
                else:
                    said = self.reply(line)
                    in_content = said.startswith(b"354")
        except trio.BrokenResourceError:
            pass
        finally:
            stream.socket.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Mx"]:
        """Take connections, at the same port when it is done again."""
        (listener,) = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self.answer, [listener])
            yield self
            nursery.cancel_scope.cancel()
        await listener.aclose()

    async def upstream(self) -> Upstream:
        """Return it as the network room knows it."""
        upstream = Upstream("127.0.0.1", self.port)
        await upstream.resolve()
        return upstream

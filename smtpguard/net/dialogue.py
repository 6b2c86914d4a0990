"""What smtpguard says to an UPSTREAM itself, one command and one reply at a time: probes, and XCLIENT.

Never on a connection whose session has begun.
"""

import socket
import ssl
from typing import Protocol

import trio

from smtpguard.net.stream import Buffer
from smtpguard.smtp import Reply, ReplyReader


class Octets(Protocol):
    """What a dialogue needs of a connection: `Stream` has it, and TLS over one."""

    async def send_all(self, data: Buffer) -> None:
        """Send all octets."""

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        """Wait for octets; none: the end."""


class Dialogue:
    """The UPSTREAM behind one connection, which stays the caller's.

    Methods raise trio.BrokenResourceError where it closed, and MalformedReply where what it says is no SMTP; a deadline
    is the caller's.
    """

    def __init__(self, stream: Octets, heard: bytes = b"") -> None:
        """Go on with a connection; `heard` is what UPSTREAM has said already."""
        self._stream = stream
        self._reader = ReplyReader()
        self._reader.put(heard)

    async def say(self, line: bytes) -> Reply:
        """Say a command, line end left out, and return the reply."""
        await self._stream.send_all(line + b"\r\n")
        return await self.reply()

    async def hello(self) -> Reply:
        """Say EHLO with this machine's name."""
        return await self.say(b"EHLO " + own_name())

    async def reply(self) -> Reply:
        """Return the next reply, the greeting first."""
        while (reply := self._reader.next()) is None:
            octets = await self._stream.receive_some(4096)
            if not octets:
                raise trio.BrokenResourceError("the upstream closed")
            self._reader.put(bytes(octets))
        return reply

    async def start_tls(self) -> bool:
        """Go on within TLS; False: UPSTREAM would not. Whose certificate it has is nothing to a probe.

        Raises:
            trio.BrokenResourceError: the handshake failed, or something came in the clear behind the 220, which would
                be taken for UPSTREAM's word within TLS; the connection is of no use any more.
        """
        if (await self.say(b"STARTTLS")).code != 220:
            return False
        if self.pending:
            raise trio.BrokenResourceError("octets in the clear behind 220 to STARTTLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._stream = trio.SSLStream(_Below(self._stream), context, https_compatible=True)
        return True

    @property
    def pending(self) -> bytes:
        """Octets behind the reply that was returned last."""
        return self._reader.pending


class _Below(trio.abc.Stream):
    """A connection as trio's TLS wants it; closing it stays the caller's."""

    def __init__(self, stream: Octets) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(memoryview(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes or 65536)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def own_name() -> bytes:
    """Return this machine's name as an argument of EHLO and HELO: a short one, which many refuse, is none."""
    name = socket.gethostname()
    return name.encode("ascii") if "." in name and name.isascii() else b"[127.0.0.1]"

"""Real sockets on loopback: pairs, peers with a deadline, and the count of open descriptors."""

import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

DEADLINE = 30
"""Seconds for whatever a peer waits for: only a failing test waits so long."""

NEVER = math.inf


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - Path.iterdir holds one itself, too


def has_ipv6() -> bool:
    """Tell whether this machine has IPv6 on loopback."""
    return Path("/proc/net/if_inet6").exists() and Path("/proc/net/if_inet6").read_text() != ""


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Hand out both ends of a TCP connection, non-blocking; both are closed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        near.setblocking(False)
        far.setblocking(False)
        yield near, far


class Client:
    """A client over a real socket, line by line."""

    def __init__(self, connected: trio.SocketStream) -> None:
        self.stream = connected
        self._read = b""

    @classmethod
    async def dial(cls, port: int, host: str = "127.0.0.1") -> "Client":
        """Connect."""
        with trio.fail_after(DEADLINE):
            return cls(await trio.open_tcp_stream(host, port))

    async def line(self, deadline: float = DEADLINE) -> bytes:
        """Return the next line without its end; b"" at the orderly end."""
        with trio.fail_after(deadline):
            while b"\r\n" not in self._read:
                data = await self.stream.receive_some()
                if not data:
                    return b""
                self._read += data
        line, _, self._read = self._read.partition(b"\r\n")
        return line

    async def say(self, *lines: bytes) -> None:
        """Send lines."""
        await self.stream.send_all(b"".join(line + b"\r\n" for line in lines))

    async def hears(self, *beginnings: bytes) -> None:
        """Expect lines that begin so; b"" is the orderly end."""
        for beginning in beginnings:
            line = await self.line()
            said = line.startswith(beginning) if beginning else not line
            assert said, f"{line!r}, not {beginning!r}"

    def close(self) -> None:
        """Close; input unread makes it a reset."""
        self.stream.socket.close()

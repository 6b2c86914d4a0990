"""Where delivered messages end: a small SMTP receiver that keeps what it was given, with its sha-256.

`Delivered.sha256` is that of the content as the sending client wrote it: dots unstuffed, and less the `Received` field
that the mail server between has put on top (RFC 5321 §4.4), which is the only change it may make.
"""

import asyncio
import hashlib
import re
import threading
from dataclasses import dataclass

from tests.against.deadline import free_port, wait_until

RECEIVED = re.compile(rb"\AReceived: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")

KEPT = 256 * 1024
"""Octets of a message that are kept beside its sha-256."""

EHLO_REPLY = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE\r\n"


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message at the end of its way."""

    reverse_path: bytes
    forward_paths: tuple[bytes, ...]
    sha256: str
    octets: int
    head: bytes
    """The first `KEPT` octets of what was hashed."""


def path_of(line: bytes) -> bytes:
    """Return what stands between the angle brackets of a MAIL or RCPT line."""
    return line[line.index(b"<") + 1 : line.index(b">")]


class Sink:
    """The receiver, on a thread of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.delivered: list[Delivered] = []
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)
        self._thread.start()
        self._up.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listener = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=1024 * 1024, backlog=200)
        )
        self._up.set()
        self._loop.run_forever()
        listener.close()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def close(self) -> None:
        """Stop listening; no message is taken afterwards."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def to(self, forward_path: bytes) -> list[Delivered]:
        """Return the messages for one forward path so far."""
        return [message for message in self.delivered if forward_path in message.forward_paths]

    def wait_for(self, forward_path: bytes, seconds: float = 20.0) -> Delivered:
        """Return the first message for a forward path, as soon as it has come."""
        return wait_until(lambda: self.to(forward_path), f"message for {forward_path!r} at the sink", seconds)[0]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._session(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a mail server that leaves without QUIT is no concern of the sink
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reverse_path, forward_paths = b"", list[bytes]()
        writer.write(b"220 sink\r\n")
        while line := await reader.readline():
            match line[:4].upper():
                case b"EHLO":
                    writer.write(EHLO_REPLY)
                case b"MAIL":
                    reverse_path, forward_paths = path_of(line), []
                    writer.write(b"250 ok\r\n")
                case b"RCPT":
                    forward_paths.append(path_of(line))
                    writer.write(b"250 ok\r\n")
                case b"DATA":
                    writer.write(b"354 go\r\n")
                    await self._content(reader, reverse_path, tuple(forward_paths))
                    writer.write(b"250 ok\r\n")
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    writer.write(b"250 ok\r\n")

    async def _content(
        self, reader: asyncio.StreamReader, reverse_path: bytes, forward_paths: tuple[bytes, ...]
    ) -> None:
        lines = list[bytes]()
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        content = RECEIVED.sub(b"", b"".join(lines))
        digest = hashlib.sha256(content).hexdigest()
        self.delivered.append(Delivered(reverse_path, forward_paths, digest, len(content), content[:KEPT]))

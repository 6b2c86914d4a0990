"""A raw SMTP client that decides about every piece it sends: no piece is merged, nothing is waited for unasked."""

import socket
import ssl
import struct
from types import TracebackType
from typing import Self

PATIENCE = 20.0
"""Seconds that one reply may take."""


class Closed(Exception):
    """The other side closed, or reset, before a whole reply had come."""


class RawClient:
    """One connection to a port of 127.0.0.1; `heard` is every octet that came, `said` every one that went.

    `self.port` is our own end, by which the audit names us.
    """

    def __init__(self, port: int, *, source: str | None = None) -> None:
        self._socket: socket.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=PATIENCE, source_address=(source, 0) if source else None
        )
        # One send, one segment: the pieces of a test are what it is about.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self.heard = bytearray()
        self.said = bytearray()
        self.was_reset = False
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, *pieces: bytes) -> None:
        """Send each piece on its own; a peer that has closed meanwhile is met when its reply is read."""
        for piece in pieces:
            self.said += piece
            try:
                self._socket.sendall(piece)
            except (ConnectionResetError, BrokenPipeError):
                self.was_reset = True
                return

    def reply(self) -> bytes:
        """Return the next whole reply, all its lines.

        Raises:
            Closed: the peer ended first.
        """
        start = self._read
        while True:
            end = self.heard.find(b"\n", self._read)
            if end < 0:
                if not self._receive():
                    raise Closed(bytes(self.heard[start:]))
                continue
            line, self._read = self.heard[self._read : end + 1], end + 1
            if line[3:4] != b"-":
                return bytes(self.heard[start : self._read])

    def say(self, line: bytes) -> bytes:
        """Send one line, less its CRLF, and return its reply."""
        self.send(line + b"\r\n")
        return self.reply()

    def rest(self) -> bytes:
        """Return what else comes until the peer ends."""
        while self._receive():
            pass
        rest, self._read = bytes(self.heard[self._read :]), len(self.heard)
        return rest

    def half_close(self) -> None:
        """Send FIN and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave by RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Put TLS on the connection; what comes and goes afterwards is kept in the clear."""
        self._socket = context.wrap_socket(self._socket, server_hostname="localhost")

    def close(self) -> None:
        """Close; a second time does nothing."""
        self._socket.close()

    def _receive(self) -> bool:
        try:
            octets = self._socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            self.was_reset = True
            return False
        except ssl.SSLError:
            return False
        self.heard += octets
        return bool(octets)


def deliver(client: RawClient, forward_path: bytes, subject: bytes = b"still here") -> None:
    """Send one small message in the session at hand, and see each of its replies."""
    assert client.say(b"MAIL FROM:<ann@client.example>")[:3] == b"250"
    assert client.say(b"RCPT TO:<" + forward_path + b">")[:3] == b"250"
    assert client.say(b"DATA")[:3] == b"354"
    assert client.say(b"Subject: " + subject + b"\r\n\r\ntext\r\n.")[:3] == b"250"

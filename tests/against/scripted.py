"""A stand-in for an upstream, for what neither Postfix nor Exim nor aiosmtpd does: BINARYMIME, no ESMTP.

It answers each command from a literal table, counts chunks, and keeps every message. A stand-in proves nothing about
real servers; the tests that use it say so by its name.
"""

import socket
import threading

GREETING = b"220 stand-in\r\n"
REPLIES = {
    b"EHLO": b"250-stand-in\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME\r\n",
    b"DATA": b"354 go\r\n",
    b"QUIT": b"221 bye\r\n",
    b"RCPT": b"250 2.1.5 ok\r\n",
}
OTHERS = b"250 2.0.0 ok\r\n"


class ScriptedStandIn:
    """Listens at `port`; `messages` are the contents that came."""

    def __init__(self, replies: dict[bytes, bytes] | None = None) -> None:
        self.messages: list[bytes] = []
        self._replies = REPLIES | (replies or {})
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="stand-in", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        chunks = b""
        with peer, peer.makefile("rb") as lines:
            try:
                peer.sendall(GREETING)
                for line in lines:
                    word, *rest = line.upper().split()
                    if word == b"BDAT":
                        chunks += lines.read(int(rest[0]))
                        if b"LAST" in rest:
                            self.messages.append(chunks)
                            chunks = b""
                    peer.sendall(self._replies.get(word, OTHERS))
                    if word == b"DATA":
                        self.messages.append(b"".join(iter(lines.readline, b".\r\n")))
                        peer.sendall(OTHERS)
                    if word == b"QUIT":
                        return
            except OSError:
                return  # the other side left

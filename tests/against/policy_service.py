"""A policy service as Postfix asks them: it keeps every request, and has no opinion of its own (DUNNO).

The protocol is that of Postfix's SMTPD_POLICY_README: `name=value` lines, an empty line, and back `action=...` with an
empty line; many requests on one connection.
"""

import socketserver
import threading
from typing import Self


class PolicyService:
    """The running service at `port` of 127.0.0.1; `asked` holds the requests, in order."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        asked = self.asked

        class Conversation(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request: dict[str, str] = {}
                for line in self.rfile:
                    if line == b"\n":
                        asked.append(request)
                        request = {}
                        self.wfile.write(b"action=DUNNO\n\n")
                    else:
                        name, _, value = line.decode().rstrip("\n").partition("=")
                        request[name] = value

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Conversation)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="policy service", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

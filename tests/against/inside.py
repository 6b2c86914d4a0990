"""What the tests run inside a network namespace: a client, an upstream that tells who connected to it, and a witness.

    python -m tests.against.inside client HOST PORT [LINE ...]     one session; prints a Heard as JSON
    python -m tests.against.inside talk HOST PORT                  the same, line by line as they come; prints replies
    python -m tests.against.inside upstream PORT                   until a signal; prints a Seen as JSON a session
    python -m tests.against.inside witness PORT [HOST ...]         until a signal; greets with a Told as JSON

The witness is a guard without smtpguard, for the firewall's sake: it knows the sockets of `smtpguard.net.arrival` and
nothing else. It says where the client had dialled, and dials each HOST in the client's name.
"""

import json
import socket
import socketserver
import sys
from collections.abc import Callable
from typing import Any, ClassVar, TypedDict

from smtpguard.net.arrival import bind_source, make_transparent, original_destination

PATIENCE = 3.0
"""Seconds that the client waits for the connection: the second SYN goes out after one; and for each reply."""


DIALLED = 1.0
"""Seconds that the witness gives the upstream: less than the client gives the witness."""

SMTP = 25
"""Where the witness dials."""


class Heard(TypedDict):
    """What a client met with."""

    port: int
    """Its own; 0 without a connection."""
    replies: list[str]
    """Greeting first; whole replies, lines joined by LF."""
    error: str
    """Empty: all that was said was answered."""


class Seen(TypedDict):
    """Whom the upstream met with."""

    ip: str
    port: int
    lines: list[str]
    """The commands that came."""


class Told(TypedDict):
    """What the sockets of the guard's machine say."""

    peer: str
    name: str
    """The accepted socket's own address."""
    port: int
    """And its port."""
    original: list[object] | None
    """Host and port."""
    upstream: str
    """How the upstream of the client's IP version greeted, dialled in the client's name; empty: none was dialled."""


def play(host: str, port: int, lines: list[str]) -> Heard:
    """Dial, then say each line when the reply before has come."""
    heard = Heard(port=0, replies=[], error="")
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as client, client.makefile("rb") as source:
            heard["port"] = client.getsockname()[1]
            heard["replies"].append(_reply(source))
            for line in lines:
                client.sendall(line.encode("ascii") + b"\r\n")
                heard["replies"].append(_reply(source))
    except OSError as error:
        heard["error"] = str(error)
    return heard


def _reply(source: Any) -> str:
    lines = []
    while True:
        line = source.readline().decode("ascii").rstrip("\r\n")
        lines.append(line)
        if line[3:4] != "-":
            return "\n".join(lines)


class Upstream(socketserver.StreamRequestHandler):
    """Takes mail for up.example and relays for nobody; the chunks and TLS of this world are not its trade."""

    REPLIES: ClassVar = {
        "EHLO": "250-up.example\r\n250-PIPELINING\r\n250 8BITMIME",
        "DATA": "354 go",
        "QUIT": "221 2.0.0 bye",
    }

    def handle(self) -> None:
        """Serve one session, then say whose it was."""
        host, port = self.client_address[:2]
        seen = Seen(ip=_plain(host), port=port, lines=[])
        try:
            self._serve(seen["lines"])
        except OSError:
            pass  # the other side left
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()

    def _serve(self, lines: list[str]) -> None:
        self._say("220 up.example ESMTP")
        for octets in self.rfile:
            line = octets.decode("ascii").rstrip("\r\n")
            lines.append(line)
            verb = line[:4].upper()
            if verb == "RCPT" and "@up.example" not in line:
                self._say("554 5.7.1 relay access denied")
            else:
                self._say(self.REPLIES.get(verb, "250 2.0.0 ok"))
            if verb == "QUIT":
                return
            if verb == "DATA":
                for _ in iter(self.rfile.readline, b".\r\n"):
                    pass
                self._say("250 2.0.0 ok")

    def _say(self, reply: str) -> None:
        self.wfile.write(reply.encode("ascii") + b"\r\n")


class Witness(socketserver.StreamRequestHandler):
    """Greets, and takes no command."""

    upstreams: ClassVar[tuple[str, ...]] = ()

    def handle(self) -> None:
        """Say what there is to say, as one reply."""
        name, port = self.request.getsockname()[:2]
        peer = _plain(self.client_address[0])
        original = original_destination(self.request)
        told = Told(
            peer=peer,
            name=_plain(name),
            port=port,
            original=list(original) if original else None,
            upstream=self._dial(peer),
        )
        self.wfile.write(b"220 " + json.dumps(told).encode("ascii") + b"\r\n")

    def _dial(self, client: str) -> str:
        for upstream in self.upstreams:
            if (":" in upstream) is (":" in client):
                return _greeting(upstream, client)
        return ""


def _plain(host: str) -> str:
    return host.removeprefix("::ffff:")


def _greeting(upstream: str, client: str) -> str:
    with socket.socket(socket.AF_INET6 if ":" in upstream else socket.AF_INET) as dialled:
        dialled.settimeout(DIALLED)
        try:
            bind_source(dialled, client)
            dialled.connect((upstream, SMTP))
            return dialled.recv(512).decode("ascii")
        except OSError as error:
            return str(error)


class Listener(socketserver.ThreadingTCPServer):
    """Both families behind one."""

    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True


def be_client(host: str, port: str, *lines: str) -> None:
    """Play one session."""
    sys.stdout.write(json.dumps(play(host, int(port), list(lines))) + "\n")


def be_talkative(host: str, port: str) -> None:
    """Play one session as standard input says it; a reply is one line here."""
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client, client.makefile("rb") as source:
        sys.stdout.write(_reply(source).replace("\n", " ") + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            client.sendall(line.rstrip("\n").encode("ascii") + b"\r\n")
            sys.stdout.write(_reply(source).replace("\n", " ") + "\n")
            sys.stdout.flush()


def be_upstream(port: str) -> None:
    """Serve for ever."""
    with Listener(("::", int(port)), Upstream) as listener:
        listener.serve_forever()


def be_witness(port: str, *upstreams: str) -> None:
    """Serve for ever, on a transparent socket."""
    Witness.upstreams = upstreams
    with Listener(("::", int(port)), Witness) as listener:
        make_transparent(listener.socket)
        listener.serve_forever()


ROLES: dict[str, Callable[..., None]] = {
    "client": be_client,
    "talk": be_talkative,
    "upstream": be_upstream,
    "witness": be_witness,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])

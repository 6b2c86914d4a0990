"""The network room: accept, dial, relay. It knows trio and sockets, and of SMTP only the Session's few methods.

    listener   listening sockets               server      accepts clients, sweeps deadlines, drains
    gate       caps on sessions                relay       one session: who reads, what took too long
    deadlines  how long each side may take     wire        one session: what comes, what goes out, the end
    upstream   UPSTREAM's name and the dial    outbox      what is to be sent to one peer, in order
    route      which UPSTREAM a listener has   dispatcher  one task that reads whatever is ready
    stream     a TCP stream

Events leave by one callable; this room does not know who records them.
"""

from smtpguard.net.deadlines import Deadlines
from smtpguard.net.gate import Gate, client_of, folded
from smtpguard.net.listener import listen
from smtpguard.net.relay import Relay
from smtpguard.net.route import Door, Route
from smtpguard.net.server import Server, Warnings
from smtpguard.net.stream import Stream, TcpStream
from smtpguard.net.upstream import Unreachable, Upstream
from smtpguard.net.wire import Hooks, Observer

__all__ = [
    "Deadlines",
    "Door",
    "Gate",
    "Hooks",
    "Observer",
    "Relay",
    "Route",
    "Server",
    "Stream",
    "TcpStream",
    "Unreachable",
    "Upstream",
    "Warnings",
    "client_of",
    "folded",
    "listen",
]

"""The network room: accept, dial, relay. It knows trio and sockets, and of SMTP only the Session's few methods.

    listener   listening sockets               server    accepts clients, sweeps deadlines, drains
    gate       caps on sessions                relay     one session: two readers, one Session
    upstream   UPSTREAM's name and the dial    outbox    what is to be sent to one peer, in order
    stream     a TCP stream

Events leave by one callable; this room does not know who records them.
"""

from smtpguard.net.gate import Gate, client_of, folded
from smtpguard.net.listener import listen
from smtpguard.net.relay import Deadlines, Hooks, Observer, Relay
from smtpguard.net.server import Server, Warnings
from smtpguard.net.stream import Stream, TcpStream
from smtpguard.net.upstream import Unreachable, Upstream

__all__ = [
    "Deadlines",
    "Gate",
    "Hooks",
    "Observer",
    "Relay",
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

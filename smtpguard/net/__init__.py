"""The network room: accept, dial, relay. It knows trio and sockets, and of SMTP only the Session's few methods.

    listener   listening sockets               server      accepts clients, sweeps deadlines, drains
    gate       caps on sessions                relay       one session: who reads, what took too long
    deadlines  how long each side may take     wire        one session: what comes, what goes out, the end
    upstream   UPSTREAM's name and the dial    outbox      what is to be sent to one peer, in order
    route      which UPSTREAM a listener has   dispatcher  one task that reads whatever is ready
    health     which of them can be reached    stream      a TCP stream
    identify   who the client is               introduce   how UPSTREAM learns it
    proxy      PROXY headers                   arrival     connections that were meant for another address
    dialogue   what we say to UPSTREAM ourselves

Events leave by one callable; this room does not know who records them.
"""

from smtpguard.net.arrival import bind_source, make_transparent
from smtpguard.net.deadlines import Deadlines
from smtpguard.net.dialogue import Dialogue, own_name
from smtpguard.net.gate import Gate, client_of, folded
from smtpguard.net.health import Told
from smtpguard.net.introduce import NOBODY, STRANGER, NotTold, introduce, offered, own_preface
from smtpguard.net.listener import listen
from smtpguard.net.relay import Relay
from smtpguard.net.route import Dialled, Door, Route
from smtpguard.net.server import Server, Warnings
from smtpguard.net.stream import Stream, TcpStream
from smtpguard.net.upstream import Place, Unreachable, Upstream
from smtpguard.net.wire import Hooks, Observer

__all__ = [
    "NOBODY",
    "STRANGER",
    "Deadlines",
    "Dialled",
    "Dialogue",
    "Door",
    "Gate",
    "Hooks",
    "NotTold",
    "Observer",
    "Place",
    "Relay",
    "Route",
    "Server",
    "Stream",
    "TcpStream",
    "Told",
    "Unreachable",
    "Upstream",
    "Warnings",
    "bind_source",
    "client_of",
    "folded",
    "introduce",
    "listen",
    "make_transparent",
    "offered",
    "own_name",
    "own_preface",
]

"""The demo: needs nothing, and shows the real thing.

An UPSTREAM of its own on loopback, before it a guard that is `smtpguard run` in a process of its own, before that
clients that behave and clients that do not. All that is shown is read back: from the clients' sockets, from UPSTREAM,
and from the log and the audit that the running guard writes. Nothing here prints; `cli` makes screens of the values.

    sessions  THE TABLE: a good session and six bad ones    chaos     a stream of misbehaving clients, by seed
    play      the client: one session, one transcript       upstream  the demo's own UPSTREAM, lax on purpose
    guard     the guard's process                           readback  its log and audit
    stage     the three together                            course    signals, and the end
    errors    why a demo cannot go on
"""

from smtpguard.demo.chaos import stream
from smtpguard.demo.course import run
from smtpguard.demo.errors import DemoError
from smtpguard.demo.play import Mark, Marked, Played
from smtpguard.demo.readback import Event
from smtpguard.demo.sessions import Session
from smtpguard.demo.stage import LISTEN, Options, Shown, Stage, staged

__all__ = [
    "LISTEN",
    "DemoError",
    "Event",
    "Mark",
    "Marked",
    "Options",
    "Played",
    "Session",
    "Shown",
    "Stage",
    "run",
    "staged",
    "stream",
]

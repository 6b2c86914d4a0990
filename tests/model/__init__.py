"""A second opinion: a slow and obvious model of the guard, written from design.md and rules.md alone.

It imports nothing of smtpguard, shares no table with it, and reads a session in another way: not event by event, but
as two finished tapes with the time of each octet. `tests/properties` plays random sessions against the engine and
asks this model what must have come of them.

    dots      the dot guard as an automaton of single octets
    words     one command line
    order     what a line breaks, what a reply moves
    walk      the two tapes and what is given out; `course` has the verbs, `payload` content and chunks
    upstream  a made-up MTA with whims
    book      verdicts and answers, typed off rules.md
"""

from tests.model.course import play
from tests.model.dots import End, Sight, look
from tests.model.outcome import Found, Outcome, Terms, Told
from tests.model.tape import CLIENT, UPSTREAM, Step
from tests.model.upstream import MANNERLY, RUDE, FakeUpstream, Manner, Message

__all__ = [
    "CLIENT",
    "MANNERLY",
    "RUDE",
    "UPSTREAM",
    "End",
    "FakeUpstream",
    "Found",
    "Manner",
    "Message",
    "Outcome",
    "Sight",
    "Step",
    "Terms",
    "Told",
    "look",
    "play",
]

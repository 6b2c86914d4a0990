"""How long each side may take, and how long a client is read behind our last word.

Deadlines are absolute: octets do not extend them. They are not timers; `Relay.sweep` compares them once a second.
"""

import math
from dataclasses import dataclass
from typing import Final

from smtpguard.smtp import Waiting

LINGER: Final = {"none": (0.0, 0), "short": (2.0, 1024 * 1024), "content": (30.0, 64 * 1024 * 1024)}
"""How long, in seconds, and how many octets CLIENT is read into the void behind a last answer, by `Ending.linger`.

Closing with unread input makes the kernel send RST, which destroys the answer before the client reads it: it would
try again for ever."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that each side may take; octets do not extend them."""

    greeting: float = 300.0
    command: float = 300.0
    reply: float = 330.0
    content: float = 180.0
    verdict: float = 900.0
    write: float = 180.0
    session: float = 3600.0
    opaque: float = 600.0

    def of(self, waiting: Waiting) -> float:
        """Return the deadline that runs while the session waits so."""
        return math.inf if waiting is Waiting.NOBODY else float(getattr(self, waiting.value))

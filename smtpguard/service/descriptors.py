"""How many sessions the descriptor limit carries: two sockets each, and a reserve."""

import resource
from typing import Final

RESERVE: Final = 32
"""Descriptors for listeners, log, audit, probe and clients that are turned away."""

DEFAULT_SESSIONS: Final = 1000
"""Sessions at once where `limits.sessions` is unset and the limit carries more."""


def lift() -> int:
    """Raise the soft descriptor limit to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def sessions_carried(descriptors: int) -> int:
    """Return how many sessions a descriptor limit carries."""
    return max(0, (descriptors - RESERVE) // 2)

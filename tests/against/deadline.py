"""Waiting for another process: look again until it is so or the deadline falls, and never a fixed pause."""

import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.02
"""Seconds between two looks."""


def wait_until(look: Callable[[], T], what: str, seconds: float = 20.0, pause: float = PAUSE) -> T:
    """Return what `look` gives as soon as it is true.

    Raises:
        TimeoutError: it was not so within `seconds`; the text says `what` was waited for.
    """
    falls = time.monotonic() + seconds
    never = threading.Event()
    while not (found := look()):
        if time.monotonic() > falls:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        never.wait(pause)
    return found


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    """Tell whether something accepts connections at `port` of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True

"""Waiting for another process: look again until it is so or the deadline falls, and never a fixed pause; its end."""

import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.02
"""Seconds between two looks."""

PORTS = (10240, 32768)
"""Linux gives connections a port from 32768 on."""

# Not the module's own generator, which hypothesis seeds.
RANDOM = random.SystemRandom()


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
    """Return a TCP port that was free a moment ago on all addresses.

    Below the range that the kernel gives to connections: one of these could have the port a moment later.
    """
    while True:
        port = RANDOM.randrange(*PORTS)
        with socket.socket() as tried:
            try:
                tried.bind(("0.0.0.0", port))
            except OSError:
                continue
        return port


def answers(port: int) -> bool:
    """Tell whether something accepts connections at `port` of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def ended(process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """End a process by SIGTERM, and by SIGKILL where that is not heard within `seconds`."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)

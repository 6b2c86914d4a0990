"""What the service manager hears: ready, what we are doing, still alive, stopping. The protocol of sd_notify(3).

systemd starts a unit of `Type=notify` with NOTIFY_SOCKET in its environment: the path of a unix datagram socket, or
`@name`, a name of the abstract kind. Each datagram holds lines `KEY=VALUE`. With `WatchdogSec=` there are
WATCHDOG_USEC, the microseconds within which a ping must come, and WATCHDOG_PID, whom that is meant for.

No word to the manager is worth a session: nothing here blocks or raises. A method tells by False that nobody asked for
the word (no NOTIFY_SOCKET) or nobody took it (the socket is gone, or its queue is full). The socket is opened once, so
that pings still go out while no descriptor is free.

The variables are read once and taken out of the environment: a child that inherited them could speak in our name.
Not by the package sdnotify or libsystemd: it is one datagram. No `vsock:` addresses: these are for virtual machines.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final, Self

VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

DIGITS: Final = 20
"""Of a 64-bit number."""

PINGS_PER_LIMIT: Final = 2
"""sd_watchdog_enabled(3): "It is recommended that a daemon sends a keep-alive notification message to the service
manager every half of the time returned here." """


class Notifier:
    """The way to the service manager, or a no-op where there is none."""

    __slots__ = ("_address", "_socket", "watchdog")

    watchdog: float | None
    """Seconds between two calls of `alive`: half of what the manager allows. None: it does not wait for any."""

    def __init__(self, address: str = "", *, watchdog: float | None = None) -> None:
        """Take NOTIFY_SOCKET's value, and the seconds between two pings."""
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = _opened() if address.startswith(("/", "@")) else None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """Read the manager's variables and remove them."""
        address, limit, whom = (environ.pop(name, "") for name in VARIABLES)
        return cls(address, watchdog=_between_pings(limit, whom))

    def ready(self, status: str) -> bool:
        """Say that clients are served from now on, also at the end of a reload."""
        return self._say("READY=1", _status(status))

    def status(self, text: str) -> bool:
        """Say in one line, for `systemctl status`, what is going on."""
        return self._say(_status(text))

    def reloading(self) -> bool:
        """Say that the configuration is being read again; `ready` must follow."""
        # The manager tells by the time which of several reloads a later READY=1 belongs to.
        return self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> bool:
        """Say that the listeners are closed and the last sessions end."""
        return self._say("STOPPING=1", _status(status))

    def alive(self) -> bool:
        """Ping the watchdog; to be called from the loop that serves the sessions, or it proves nothing."""
        return self._say("WATCHDOG=1")

    def close(self) -> None:
        """Close the socket; every later word is False."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _say(self, *assignments: str) -> bool:
        if not self._socket:
            return False
        message = "\n".join(assignments).encode("utf-8", "replace")
        try:
            self._socket.sendto(message, self._address)
        except (OSError, ValueError):
            # Gone, full, or a path that is none: no reason to stop mail.
            return False
        return True


def _opened() -> socket.socket | None:
    try:
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError:
        return None


def _status(text: str) -> str:
    # A line end would begin the next assignment.
    return "STATUS=" + " ".join(text.split())


def _between_pings(limit: str, whom: str) -> float | None:
    """Return seconds; `limit` is in microseconds, `whom` a process, or empty for whoever reads it."""
    if whom not in ("", str(os.getpid())) or not (limit.isascii() and limit.isdigit() and len(limit) <= DIGITS):
        return None
    return int(limit) / 1_000_000 / PINGS_PER_LIMIT or None

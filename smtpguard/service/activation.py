"""Listening sockets that the service manager opened for us: socket activation, sd_listen_fds(3).

systemd binds what a `.socket` unit names and passes the sockets as descriptors 3, 4, ...: LISTEN_FDS says how many,
LISTEN_FDNAMES how they are called, LISTEN_PID whom they are meant for. So smtpguard serves port 25 without the right
to bind it, and while it restarts clients wait in the kernel's queue instead of being refused.

Which configured listener a socket belongs to is told by its address, because names in a unit and in a configuration
drift apart unnoticed. A listener without a socket is opened in the plain way; a socket without a listener is a mistake,
for its clients would wait for a greeting for ever.

The variables are read once and taken out of the environment.
"""

import os
import socket
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final

from smtpguard.config import Address

FIRST: Final = 3
"""SD_LISTEN_FDS_START: 0, 1 and 2 are the standard streams."""

UNNAMED: Final = "unknown"
"""What sd_listen_fds_with_names(3) calls a socket without a name."""

UNIT: Final = "the .socket unit"

DIGITS: Final = 10
"""Of a process id or a count; more is nonsense, and slow to read."""

FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)


class ActivationError(ValueError):
    """The unit and the configuration do not fit; the message names the option to mend."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """One listening socket that was passed to us: non-blocking, not inherited by children."""

    name: str
    """`FileDescriptorName=` of the unit, the unit's own name by default."""
    socket: socket.socket

    def __str__(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"{Address(host, port)} ({self.name})"


def inherited(environ: MutableMapping[str, str] = os.environ, *, first: int = FIRST) -> tuple[Inherited, ...]:
    """Take over the sockets that were passed to this process; empty where there are none.

    Raises:
        ActivationError: a variable or a descriptor is not what it should be; no socket stays open.
    """
    pid, count, names = (environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if _number("LISTEN_PID", pid) != os.getpid():
        # Meant for the process that started us.
        return ()
    called = names.split(":") if names else []
    taken: list[Inherited] = []
    for place in range(_number("LISTEN_FDS", count)):
        name = called[place] if place < len(called) else UNNAMED
        try:
            taken.append(Inherited(name, _listening(first + place, name)))
        except ActivationError:
            _close(taken)
            raise
    return tuple(taken)


def claim(passed: Iterable[Inherited], address: Address) -> socket.socket | None:
    """Return the socket that is bound to a configured address; None: it must be opened."""
    try:
        wanted = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4]
    except OSError:
        # Whoever opens it will hear this again, and tell it.
        return None
    return next((one.socket for one in passed if one.socket.getsockname()[:2] == wanted[:2]), None)


def assign(passed: Sequence[Inherited], addresses: Sequence[Address]) -> tuple[socket.socket | None, ...]:
    """Return the socket of each configured address, in their order; None: it must be opened.

    Raises:
        ActivationError: a socket belongs to none of them; none of the sockets stays open.
    """
    claimed = tuple(claim(passed, address) for address in addresses)
    left = [one for one in passed if one.socket not in claimed]
    if left:
        said = (
            f"LISTEN_FDS: {UNIT} passes {', '.join(map(str, left))}, and the configuration listens on "
            f"{', '.join(map(str, addresses))}: write the same addresses after ListenStream= and in the configuration"
        )
        _close(passed)
        raise ActivationError(said)
    return claimed


def _number(variable: str, text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise ActivationError(f"{variable} = {text}: a whole number, set by systemd; start smtpguard without it")
    return int(text or 0)


def _close(passed: Iterable[Inherited]) -> None:
    for one in passed:
        one.socket.close()


def _listening(descriptor: int, name: str) -> socket.socket:
    """Take one descriptor over.

    Raises:
        ActivationError: it is no listening TCP socket; it is closed, if it was a socket at all.
    """
    who = f"LISTEN_FDS: descriptor {descriptor} ({name})"
    try:
        taken = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ActivationError(f"{who}: {error.strerror}: use ListenStream=ADDRESS:25 in {UNIT}") from error
    mistake = _mistake(taken)
    if mistake:
        taken.close()
        raise ActivationError(f"{who} is no listening TCP socket: use {mistake} in {UNIT}")
    taken.set_inheritable(False)
    taken.setblocking(False)
    # What net.listen does for its own: a reply in two segments does not wait for the delayed ACK of the first.
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return taken


def _mistake(taken: socket.socket) -> str:
    """Return how to mend the unit, empty if it is right."""
    if taken.family not in FAMILIES:
        return "ListenStream=ADDRESS:25 instead of a path"
    if taken.type != socket.SOCK_STREAM:
        return "ListenStream= instead of ListenDatagram="
    if taken.proto != socket.IPPROTO_TCP:
        return "no SocketProtocol="
    if not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "Accept=no"
    return ""

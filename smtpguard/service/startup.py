"""What must be right before the first client is let in; otherwise one message with its cure, and an exit code."""

import errno
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from smtpguard.config import Address, Arrival, Config, Listener, Send
from smtpguard.net import STRANGER, bind_source, listen, make_transparent
from smtpguard.service.activation import ActivationError, Inherited, assign
from smtpguard.service.descriptors import DEFAULT_SESSIONS, RESERVE, sessions_carried

BAD_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h."""

CURES: Final = {
    errno.EADDRINUSE: "another program has this port; stop it, or listen elsewhere (`ss -ltnp` shows which)",
    errno.EACCES: "ports below 1024 need root, CAP_NET_BIND_SERVICE or systemd's smtpguard.socket; or listen higher",
    errno.EADDRNOTAVAIL: "this machine has no such address; `ip address` lists those it has",
}


class StartupError(Exception):
    """smtpguard does not start; the message names place, cause and cure."""

    def __init__(self, message: str, exit_code: int = BAD_CONFIG) -> None:
        super().__init__(message)
        self.exit_code = exit_code


UNPRIVILEGED: Final = 1024
"""The first port that needs no right, where net.ipv4.ip_unprivileged_port_start was not changed."""

TPROXY_RIGHT: Final = (
    "identity.arrival = 'tproxy' needs CAP_NET_RAW or CAP_NET_ADMIN; give it (AmbientCapabilities=), or "
    "Transparent=yes in smtpguard.socket"
)


TRANSPARENT_RIGHT: Final = (
    "it needs CAP_NET_RAW for every session, also behind `user`: start it under an account that has it "
    "(AmbientCapabilities=, deploy/nftables/transparent.conf)"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A listening socket, and the listener whose address it has."""

    socket: socket.socket
    listener: Listener


def open_listeners(listeners: Iterable[Listener], passed: Sequence[Inherited] = ()) -> tuple[Opened, ...]:
    """Open all listening sockets that the service manager has not passed to us.

    Raises:
        StartupError: one of them cannot be had, or one was passed that no listener wants; none stays open.
    """
    wanted = [(listener, address) for listener in listeners for address in listener.addresses]
    try:
        given = assign(passed, [address for _, address in wanted])
    except ActivationError as error:
        raise StartupError(str(error)) from error
    with ExitStack() as opened:
        for ready, (listener, address) in zip(given, wanted, strict=True):
            if ready is not None:
                opened.enter_context(ready)
                _make_as_configured(ready, listener, address)
        sockets = [
            ready or opened.enter_context(_open(each, wanted)) for ready, each in zip(given, wanted, strict=True)
        ]
        opened.pop_all()
    return tuple(Opened(each, listener) for each, (listener, _) in zip(sockets, wanted, strict=True))


def _open(one: tuple[Listener, Address], wanted: Sequence[tuple[Listener, Address]]) -> socket.socket:
    listener, address = one
    shared = any(other.port == address.port and ":" not in other.host for _, other in wanted)
    try:
        transparent = listener.identity.arrival is Arrival.TPROXY
        return listen(address.host, address.port, only_v6=shared, transparent=transparent)
    except PermissionError as error:
        told = TPROXY_RIGHT if address.port >= UNPRIVILEGED else _told(error)
        raise StartupError(f"{listener.key} = {address}: {told}") from error
    except OSError as error:
        raise StartupError(f"{listener.key} = {address}: {_told(error)}") from error


def _make_as_configured(passed: socket.socket, listener: Listener, address: Address) -> None:
    try:
        if listener.identity.arrival is Arrival.TPROXY:
            make_transparent(passed)
    except OSError as error:
        raise StartupError(f"{listener.key} = {address}: {TPROXY_RIGHT}") from error


def _told(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        # Its number is none of errno's.
        return f"{error.strerror}; write an address of this machine"
    cure = CURES.get(error.errno or 0)
    text = os.strerror(error.errno) if error.errno else str(error)
    return f"{text}; {cure}" if cure else text


def sessions_at_once(config: Config, descriptors: int) -> int:
    """Decide how many sessions are served at once.

    Raises:
        StartupError: `limits.sessions` is set and the descriptor limit does not carry it.
    """
    carried = sessions_carried(descriptors)
    wanted = config.limits.sessions
    if wanted is None:
        if not carried:
            raise StartupError(f"the descriptor limit of {descriptors} carries no session; raise it (LimitNOFILE=)")
        return min(carried, DEFAULT_SESSIONS)
    if wanted > carried:
        raise StartupError(
            f"limits.sessions = {wanted}: the descriptor limit of {descriptors} carries {carried} "
            f"(two a session, {RESERVE} in reserve); raise it to {2 * wanted + RESERVE} (LimitNOFILE=), or ask for less"
        )
    return wanted


def examine_rights(listeners: Iterable[Listener]) -> None:
    """See whether the account that we are may do what is needed for each session.

    Raises:
        StartupError: connections cannot come from clients' addresses.
    """
    if any(listener.identity.send is Send.TRANSPARENT for listener in listeners):
        with socket.socket() as tried:
            try:
                bind_source(tried, STRANGER)
            except OSError as error:
                raise StartupError(f"identity.send = transparent: {error.strerror}; {TRANSPARENT_RIGHT}") from error


def only_loopback(addresses: Iterable[Address]) -> bool:
    """Tell whether all listeners can be reached from this machine only."""
    return all(address.is_loopback for address in addresses)

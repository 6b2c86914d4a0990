"""What must be right before the first client is let in; otherwise one message with its cure, and an exit code."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable
from typing import Final

from smtpguard.config import Address, Config
from smtpguard.net import listen
from smtpguard.service.descriptors import DEFAULT_SESSIONS, RESERVE, sessions_carried

BAD_CONFIG: Final = 78
"""EX_CONFIG of sysexits.h."""

CURES: Final = {
    errno.EADDRINUSE: "another program has this port; stop it, or listen elsewhere (`ss -ltnp` shows which)",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE or root; or listen on a higher port",
    errno.EADDRNOTAVAIL: "this machine has no such address; `ip address` lists those it has",
}

OPEN_RELAY: Final = """\
{upstream} relays mail of strangers for this machine, and smtpguard cannot tell it yet who the client is: behind
smtpguard every client has this machine's address, so listening on {listen} would make an open relay.
Nothing was started. Cures, any one of them:
  Postfix: give smtpguard a service of its own in master.cf, one that trusts nobody by address:
      {port} inet n - y - - smtpd
        -o smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination
        -o smtpd_client_restrictions= -o mynetworks=
  Exim: take this machine's address out of relay_from_hosts (dpkg-reconfigure exim4-config, "relay mail for").
  Other servers: take this machine's address out of the list that may relay.
  Or listen on loopback only, or set identity.i-know-this-is-an-open-relay = true if only trusted clients reach
  {listen}.\
"""


class StartupError(Exception):
    """smtpguard does not start; the message names place, cause and cure."""

    def __init__(self, message: str, exit_code: int = BAD_CONFIG) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def open_listeners(addresses: Iterable[Address]) -> list[tuple[socket.socket, str]]:
    """Open all listening sockets, each with its name for log and audit.

    Raises:
        StartupError: one of them cannot be had; none stays open.
    """
    wanted = list(addresses)
    opened: list[tuple[socket.socket, str]] = []
    for address in wanted:
        shared = any(other.port == address.port and ":" not in other.host for other in wanted)
        try:
            opened.append((listen(address.host, address.port, only_v6=shared), str(address)))
        except OSError as error:
            for listener, _ in opened:
                listener.close()
            raise StartupError(f"listen = {address}: {_told(error)}") from error
    return opened


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


def only_loopback(addresses: Iterable[Address]) -> bool:
    """Tell whether all listeners can be reached from this machine only."""
    return all(_is_loopback(address.host) for address in addresses)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_relay(config: Config) -> StartupError:
    """Make the refusal to be an open relay."""
    listening = ", ".join(str(address) for address in config.listen)
    return StartupError(OPEN_RELAY.format(upstream=config.upstream, listen=listening, port=config.upstream.port))

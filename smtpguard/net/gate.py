"""Who may come in: caps on sessions in all and per client, and nobody while the gate is shut.

A client is an IPv4 address or an IPv6 /64, which is what one subscriber holds. The table has one row per client with
a session open, so it is bounded by the cap on sessions.
"""

import ipaddress
from typing import Final

_MAPPED: Final = "::ffff:"


def folded(host: str) -> str:
    """Return an address as text without zone, and `::ffff:a.b.c.d`, an IPv4 client of a dual-stack listener, as
    IPv4."""
    host = host.partition("%")[0]
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


def client_of(host: str) -> str:
    """Return what counts as one client: the IPv4 address, or the IPv6 /64."""
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host, 64), strict=False))


class Gate:
    """Counts sessions.

    Args:
        sessions: at most so many in all.
        per_client: at most so many of one client.
    """

    def __init__(self, sessions: int, per_client: int) -> None:
        self.inside = 0
        self.shut = ""
        """The setting because of which nobody comes in for now."""
        self._sessions = sessions
        self._per_client = per_client
        self._clients: dict[str, int] = {}

    def enter(self, host: str) -> str | None:
        """Count a session of the address `host`; if it may not come in, do not, and return the setting that says so.

        A session of nobody in particular, a balancer's own, has the host "" and no cap but that on all.
        """
        if self.shut:
            return self.shut
        client = client_of(host)
        open_sessions = self._clients.get(client, 0)
        if self.inside >= self._sessions:
            return "limits.sessions"
        if host and open_sessions >= self._per_client:
            return "limits.sessions-per-client"
        self.inside += 1
        self._clients[client] = open_sessions + 1
        return None

    def leave(self, host: str) -> None:
        """Count a session of the address `host` no more."""
        client = client_of(host)
        self.inside -= 1
        if self._clients[client] == 1:
            del self._clients[client]
        else:
            self._clients[client] -= 1

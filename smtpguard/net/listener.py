"""Listening sockets: IPv4, IPv6, or both behind one."""

import socket
from typing import Final

from smtpguard.net.arrival import make_transparent

BACKLOG: Final = 1024
"""Connections that the kernel holds for us; it takes its own maximum (net.core.somaxconn) where that is less."""


def listen(host: str, port: int, *, only_v6: bool = False, transparent: bool = False) -> socket.socket:
    """Open one listening socket, non-blocking.

    `[::]` takes IPv4 clients too, unless `only_v6`: another listener has the same port on 0.0.0.0. A transparent one
    takes connections to any address (`arrival.make_transparent`).

    Raises:
        OSError: the name has no address, the address is not ours, is in use, or the port needs a right we lack.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it: a reply in two segments does not wait for the delayed ACK of the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        if transparent:
            make_transparent(listener)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener

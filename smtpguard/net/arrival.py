"""Connections that pass through us on their way to UPSTREAM: where CLIENT had dialled, and dialling in its name.

Two ways lead a connection here that was meant for another address (deploy/nftables):

    redirect   the kernel's address translation (nft `redirect`, `dnat`): the socket's own name is ours, the address
               that CLIENT dialled is in the connection tracking table (`original_destination`)
    tproxy     nft `tproxy` hands the connection to a listener that may have any address (`make_transparent`): the
               accepted socket's own name is what CLIENT dialled, nothing has to be asked

In the other direction a connection may come from an address that is not ours (`bind_source`), so that UPSTREAM sees
CLIENT itself. The answers are for CLIENT's address; that they come back here is the work of routes and firewall rules.

Linux only. The numbers are those of the kernel's headers, because not every Python has them.
"""

import errno
import socket
import struct
from typing import Final

from smtpguard.net.gate import folded

SO_ORIGINAL_DST: Final = 80
"""linux/netfilter_ipv4.h, at level SOL_IP; what comes is a struct sockaddr_in."""

IP6T_SO_ORIGINAL_DST: Final = 80
"""linux/netfilter_ipv6/ip6_tables.h, at level SOL_IPV6; what comes is a struct sockaddr_in6."""

IP_TRANSPARENT: Final = 19
"""linux/in.h, at level SOL_IP."""

IPV6_TRANSPARENT: Final = 75
"""linux/in6.h, at level SOL_IPV6; it is for both families of a dual-stack socket."""

IP_BIND_ADDRESS_NO_PORT: Final = 24
"""linux/in.h, at level SOL_IP, for IPv6 sockets too; Linux 4.2."""

SOCKADDR_IN: Final = struct.Struct("!2xH4s8x")
"""linux/in.h: family, port, address, padding."""

SOCKADDR_IN6: Final = struct.Struct("!2xH4x16s4x")
"""linux/in6.h: family, port, flow information, address, scope."""

UNTRANSLATED: Final = frozenset({errno.ENOENT, errno.ENOPROTOOPT})
"""The connection is not in the table; this kernel, or this network namespace, keeps no table."""


def original_destination(accepted: socket.socket) -> tuple[str, int] | None:
    """Return address and port that CLIENT dialled, before the kernel translated them; None: it dialled our own.

    An IPv4 address is told as one, on a dual-stack socket too.

    Raises:
        OSError: the socket is not connected any more.
    """
    host, port = accepted.getsockname()[:2]
    here = (folded(host), port)
    try:
        there = _destination6(accepted) if ":" in here[0] else _destination4(accepted)
    except OSError as error:
        if error.errno in UNTRANSLATED:
            return None
        raise
    # Where any rule tracks connections, those that nobody translates are in the table as well.
    return None if there == here else there


def _destination4(accepted: socket.socket) -> tuple[str, int]:
    found = accepted.getsockopt(socket.IPPROTO_IP, SO_ORIGINAL_DST, SOCKADDR_IN.size)
    port, address = SOCKADDR_IN.unpack(found)
    return socket.inet_ntop(socket.AF_INET, address), port


def _destination6(accepted: socket.socket) -> tuple[str, int]:
    found = accepted.getsockopt(socket.IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, SOCKADDR_IN6.size)
    port, address = SOCKADDR_IN6.unpack(found)
    return socket.inet_ntop(socket.AF_INET6, address), port


def make_transparent(unbound: socket.socket) -> None:
    """Let a socket have an address that is not ours; a listener may be bound already.

    Nothing is asked of the kernel where the socket has the right already: the service manager gave it
    (`Transparent=yes` in a .socket unit), and we could not.

    Raises:
        OSError: EPERM, without CAP_NET_ADMIN or CAP_NET_RAW.
    """
    level, option = socket.IPPROTO_IP, IP_TRANSPARENT
    if unbound.family == socket.AF_INET6:
        level, option = socket.IPPROTO_IPV6, IPV6_TRANSPARENT
    if not unbound.getsockopt(level, option):
        unbound.setsockopt(level, option, 1)


def bind_source(dialling: socket.socket, client_ip: str) -> None:
    """Let a connection that is about to be made come from CLIENT's address, of the socket's own family.

    The port is chosen when it connects, "in a way that allows sharing a source port as long as the 4-tuple is unique"
    (ip(7), IP_BIND_ADDRESS_NO_PORT): else one CLIENT could use each port towards one UPSTREAM only.

    Raises:
        OSError: as `make_transparent`; EAFNOSUPPORT or EINVAL where the families differ.
    """
    make_transparent(dialling)
    dialling.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    dialling.bind((client_ip, 0))

"""Who the client is, and what it dialled: from the socket, or from the balancer in front of us.

A PROXY header counts only from peers that the configuration names, and from these it must come: "The receiver MUST be
configured to only receive the protocol described in this specification and MUST not try to guess whether the protocol
header is present or not" (proxy-protocol.txt). From anybody else it is SG404.
"""

import socket
from dataclasses import replace
from typing import Final

import trio

from smtpguard.config import Arrival
from smtpguard.net.arrival import original_destination
from smtpguard.net.gate import folded
from smtpguard.net.proxy import BadHeader, Header, HeaderReader
from smtpguard.net.stream import Stream
from smtpguard.smtp import TLS_OF_SOME_KIND, Link

HEADER_DEADLINE: Final = 5.0
"""Seconds for a whole PROXY header; it comes in the first segment."""


def destination(accepted: socket.socket, arrival: Arrival) -> tuple[str, tuple[str, int]]:
    """Return how the connection came, as `Link.via` says it, and the address that CLIENT dialled.

    Raises:
        OSError: CLIENT is gone.
    """
    if arrival is Arrival.REDIRECT:
        original = original_destination(accepted)
        if original is not None:
            return "redirect", original
    host, port = accepted.getsockname()[:2]
    return "tproxy" if arrival is Arrival.TPROXY else "direct", (folded(host), port)


async def identified(stream: Stream, link: Link) -> Link:
    """Read the PROXY header, not an octet more, and return the link with the client that it names.

    Raises:
        BadHeader: it is none, or did not come in time.
        trio.BrokenResourceError: the peer went, without having said anything.
    """
    reader = HeaderReader()
    try:
        with trio.fail_after(HEADER_DEADLINE):
            header = await _read(stream, reader)
    except trio.TooSlowError:
        came = "half a PROXY header" if reader.got else "no PROXY header"
        raise BadHeader(f"{came} within {HEADER_DEADLINE:g} s") from None
    if header.local:
        return replace(link, via="local")
    return replace(
        link,
        via=f"proxy-v{header.version}",
        client_ip=header.source_ip,
        client_port=header.source_port,
        local_ip=header.destination_ip,
        local_port=header.destination_port,
        peer_ip=link.client_ip,
        peer_port=link.client_port,
        unique_id=header.unique_id,
        tls_before=(header.tls_version or TLS_OF_SOME_KIND) if header.tls else "",
    )


async def _read(stream: Stream, reader: HeaderReader) -> Header:
    header = None
    while header is None:
        octets = await stream.receive_some(reader.wanted)
        if not octets:
            if reader.got:
                raise BadHeader("half a PROXY header, then the end")
            raise trio.BrokenResourceError("the peer closed")
        header = reader.put(octets)
    return header

"""What a PROXY header says, and that it says nothing; the addresses in it."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from smtpguard.net.gate import folded

Address: TypeAlias = IPv4Address | IPv6Address
Endpoint: TypeAlias = tuple[str, int]
"""An address as text and a port."""


class BadHeader(Exception):
    """What came is no PROXY header, or none for us.

    Attributes:
        reason: a few ASCII words for a log line, with no octet of what came.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a PROXY header says.

    Attributes:
        version: 1 or 2.
        local: the addresses are those of the connection itself, and nothing below is told.
        source_ip: CLIENT, as `ipaddress` spells it; an IPv4 address that came as `::ffff:a.b.c.d` is an IPv4 address.
        destination_ip: where CLIENT connected to.
        unique_id: the balancer's name for the connection (2.2.5), at most 128 octets of any value.
        tls: CLIENT's connection to the balancer is encrypted (2.2.6).
        tls_version: such as `TLSv1.3`, printable ASCII, at most 32 octets; empty if not told so.
    """

    version: int
    local: bool
    source_ip: str = ""
    source_port: int = 0
    destination_ip: str = ""
    destination_port: int = 0
    unique_id: bytes = b""
    tls: bool = False
    tls_version: str = ""


def spelled(address: Address) -> str:
    """Return an address as text, a mapped one as IPv4, as `folded` does with text."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def one_family(source: Endpoint, destination: Endpoint) -> tuple[Address, Address]:
    """Return both addresses in one family: IPv4 if both are, else IPv6, where an IPv4 address is mapped.

    A header has one family for both; `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2) is the IPv6 address of an IPv4 node, and
    HAProxy does the same.

    Raises:
        ValueError: no address, or no port.
    """
    if not all(0 <= port <= 0xFFFF for _, port in (source, destination)):
        raise ValueError(f"no ports: {source[1]}, {destination[1]}")
    one, other = ip_address(folded(source[0])), ip_address(folded(destination[0]))
    return (one, other) if one.version == other.version else (_mapped(one), _mapped(other))


def _mapped(address: Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")

"""HOST:PORT, the one way an address is written in the configuration.

HOST is an IPv4 address, an IPv6 address in brackets, or a host name; addresses are kept in the spelling of `ipaddress`.
There are no short forms (`:25`, `*:25`): which of IPv4 and IPv6 they mean differs from program to program.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

NAME_LENGTH: Final = 253
"""Characters of a host name (RFC 1035 §2.3.4: 255 octets on the wire)."""

PORT_MAXIMUM: Final = 65535

LOCALHOST: Final = "localhost"

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_DOTTED_NUMBER: Final = re.compile(r"[0-9.]+")
_PORT: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, or whom to dial.

    `parse_address` gives ports 1 to 65535 only; port 0, "any free port", is for callers that build the value.
    """

    host: str
    """An IP address without brackets, or a host name."""
    port: int

    @property
    def is_loopback(self) -> bool:
        """It can be reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == LOCALHOST

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: object) -> Address:
    """Read HOST:PORT.

    Raises:
        ValueError: with the sentence that tells the cure.
    """
    if isinstance(text, Address):
        return text
    if not isinstance(text, str):
        raise ValueError("HOST:PORT in quotes")
    host, port = _split(text)
    return Address(_host(host, bracketed=text.startswith("[")), _port(port))


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise ValueError("HOST:PORT; an IPv6 address is written [2001:db8::1]:25")
        return host, rest[1:]
    if text.count(":") > 1:
        raise ValueError("HOST:PORT; write an IPv6 address in brackets, [2001:db8::1]:25")
    host, colon, port = text.partition(":")
    if not colon:
        raise ValueError("HOST:PORT; the port is missing, as in 127.0.0.1:25")
    return host, port


def _host(host: str, *, bracketed: bool) -> str:
    if host in ("", "*"):
        raise ValueError("HOST:PORT; for every address of this machine write 0.0.0.0:25, or [::]:25 with IPv6")
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError("HOST:PORT; what stands in the brackets is no IPv6 address") from None
    if _DOTTED_NUMBER.fullmatch(host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError("HOST:PORT; HOST is no IPv4 address (four numbers from 0 to 255)") from None
    if len(host) > NAME_LENGTH or not _NAME.fullmatch(host):
        raise ValueError("HOST:PORT; HOST is neither an address nor a host name")
    return host


def _port(port: str) -> int:
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= PORT_MAXIMUM:
        raise ValueError(f"HOST:PORT; PORT is a number from 1 to {PORT_MAXIMUM}")
    return int(port)

"""Version 1 of the PROXY protocol: one line of text (specification 2.1)."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from smtpguard.net.proxy.header import Address, BadHeader, Endpoint, Header, one_family, spelled

LONGEST: Final = 107
"""Octets. "If the CRLF sequence is not found in the first 107 characters, the receiver should declare the line
invalid." """
SHORTEST: Final = len(b"PROXY UNKNOWN\r\n")

_BEGIN: Final = b"PROXY "
_UNKNOWN: Final = b"UNKNOWN"


def header_v1(source: Endpoint, destination: Endpoint) -> bytes:
    """Return the line for a connection from `source` to `destination`: TCP4, or TCP6 if one of them is IPv6.

    Raises:
        ValueError: no address, or no port.
    """
    one, other = one_family(source, destination)
    ports = f"{source[1]} {destination[1]}"
    return f"PROXY TCP{one.version} {_written(one)} {_written(other)} {ports}\r\n".encode("ascii")


def _written(address: Address) -> str:
    """Spell a mapped address with dots, as inet_ntop does; `str` does so in some versions of Python only."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return f"::ffff:{mapped}" if mapped else str(address)


def _ipv4(word: bytes) -> str:
    return str(IPv4Address(word.decode("ascii")))


def _ipv6(word: bytes) -> str:
    return spelled(IPv6Address(word.decode("ascii")))


class _Field(NamedTuple):
    """A field of the line: its name, what it may begin with, its value (ValueError if none), its shortest form."""

    name: str
    begin: re.Pattern[bytes]
    value: Callable[[bytes], str | int]
    shortest: int


# "Heading zeroes are not permitted in front of numbers." Both numbers are such that what begins one is one, so the
# patterns find the first wrong octet.
_BYTE: Final = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_BEGIN_IPV4: Final = re.compile(rb"(?:%b\.){0,3}%b?" % (_BYTE, _BYTE))
_BEGIN_PORT: Final = re.compile(
    rb"0?|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
)
# "Hexadecimal digits (upper or lower case)", leading zeros and all; the dots are of ::ffff:192.0.2.1, as inet_ntop
# spells it. No zone.
_BEGIN_IPV6: Final = re.compile(rb"[0-9A-Fa-f:.]{0,39}")

_PORTS: Final = (_Field("source port", _BEGIN_PORT, int, 1), _Field("destination port", _BEGIN_PORT, int, 1))
_LINES: Final = {
    b"TCP4 ": (
        _Field("source address", _BEGIN_IPV4, _ipv4, len(b"0.0.0.0")),
        _Field("destination address", _BEGIN_IPV4, _ipv4, len(b"0.0.0.0")),
        *_PORTS,
    ),
    b"TCP6 ": (
        _Field("source address", _BEGIN_IPV6, _ipv6, len(b"::")),
        _Field("destination address", _BEGIN_IPV6, _ipv6, len(b"::")),
        *_PORTS,
    ),
}


def judge(held: bytes) -> Header | int:
    """Return the header, or how many octets it still has at least. Raises `BadHeader`."""
    if not _agree(held, _BEGIN):
        raise BadHeader("no PROXY header")
    rest = held[len(_BEGIN) :]
    if rest.startswith(_UNKNOWN):
        return _judge_unknown(rest[len(_UNKNOWN) :], LONGEST - len(held))
    for protocol, fields in _LINES.items():
        if rest.startswith(protocol):
            return _judge_line(fields, rest[len(protocol) :])
    if any(protocol.startswith(rest) for protocol in (_UNKNOWN, *_LINES)):
        return SHORTEST - len(held)
    raise BadHeader("PROXY v1 header of an unknown protocol")


def _agree(held: bytes, begin: bytes) -> bool:
    """Tell whether the one begins with the other, as far as both go."""
    return held[: len(begin)] == begin[: len(held)]


def _judge_unknown(rest: bytes, room: int) -> Header | int:
    """ "The rest of the line before the CRLF may be omitted by the sender, and the receiver must ignore anything
    presented before the CRLF is found." """
    ignored, carriage_return, behind = rest.partition(b"\r")
    if ignored[:1] not in {b"", b" "}:
        raise BadHeader("PROXY v1 header of an unknown protocol")
    if b"\n" in ignored:
        raise BadHeader("PROXY v1 header with a bare LF")
    wanted = _crlf(carriage_return, behind)
    if wanted > room:
        raise BadHeader(f"PROXY v1 header of more than {LONGEST} octets")
    return wanted or Header(version=1, local=True)


def _crlf(carriage_return: bytes, behind: bytes) -> int:
    """Return how many octets of the CRLF are to come.

    "The receiver must not tolerate a single CR or LF character to end the line": a CR that is no part of a CRLF is
    refused wherever it stands.
    """
    if behind not in {b"", b"\n"}:
        raise BadHeader("PROXY v1 header with a bare CR")
    return 2 - len(carriage_return) - len(behind)


def _judge_line(fields: tuple[_Field, ...], rest: bytes) -> Header | int:
    """Judge what stands behind the protocol: words, each but the last ended by its blank, the fourth by CR."""
    line, carriage_return, behind = rest.partition(b"\r")
    words = line.split(b" ", len(fields) - 1)
    ended = len(words) if carriage_return else len(words) - 1
    values = [_value(*each, ended > place) for place, each in enumerate(zip(fields, words, strict=False))]
    if carriage_return and ended < len(fields):
        raise BadHeader("PROXY v1 header of too few fields")
    crlf = _crlf(carriage_return, behind)
    if crlf == 2:
        return _shortest(fields[ended:], len(words[-1])) + crlf
    if crlf:
        return crlf
    source_ip, destination_ip, source_port, destination_port = values
    return Header(
        version=1,
        local=False,
        source_ip=str(source_ip),
        source_port=int(source_port),
        destination_ip=str(destination_ip),
        destination_port=int(destination_port),
    )


def _value(field: _Field, word: bytes, ended: bool) -> str | int:
    """Return the value of a field that ended, and of one that has not, nothing. Raises `BadHeader`."""
    if not field.begin.fullmatch(word):
        raise BadHeader(f"PROXY v1 header with a wrong {field.name}")
    if not ended:
        return ""
    try:
        return field.value(word)
    except ValueError:
        raise BadHeader(f"PROXY v1 header with a wrong {field.name}") from None


def _shortest(fields: tuple[_Field, ...], got: int) -> int:
    """Return the least length of these fields with the blanks between them, `got` octets of the first being here."""
    first, *others = fields
    return max(first.shortest - got, 0) + sum(1 + field.shortest for field in others)

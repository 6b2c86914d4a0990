"""Version 2 of the PROXY protocol: 16 octets, two addresses, vectors of type, length and value (specification 2.2)."""

from ipaddress import ip_address
from struct import Struct
from typing import Final

from smtpguard.net.proxy.crc32c import crc32c
from smtpguard.net.proxy.header import BadHeader, Endpoint, Header, one_family, spelled

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

FRONT: Final = 16
"""Octets of the part of fixed length."""
LONGEST: Final = FRONT + 2048
"""Octets. The format is "designed to fit in" 536, but HAProxy's longest is about 600: IPv6, a server name of 255,
a unique id of 128, a client's certificate. Postfix takes 536, nginx 4096."""
UNIQUE_ID_LONGEST: Final = 128
"""Octets. "An opaque byte sequence of up to 128 bytes" (2.2.5); HAProxy refuses a longer one, too."""
TLS_VERSION_LONGEST: Final = 32
CIPHER_LONGEST: Final = 64
"""Octets; the longest names of OpenSSL have 7 and 29."""

_LOCAL: Final = 0x20
_PROXY: Final = 0x21

_UNSPEC: Final = frozenset({0x00, 0x01})
_TCP4: Final = 0x11
_TCP6: Final = 0x21

_CRC32C: Final = 0x03
_UNIQUE_ID: Final = 0x05
_SSL: Final = 0x20
_SSL_VERSION: Final = 0x21
_SSL_CIPHER: Final = 0x23
_READ: Final = frozenset({_CRC32C, _UNIQUE_ID, _SSL, _SSL_VERSION})

_CLIENT_SSL: Final = 0x01
_NOT_VERIFIED: Final = 1
""" "Zero if the client presented a certificate and it was successfully verified, and non-zero otherwise." """

_FRONT: Final = Struct("!12sBBH")
_ADDRESSES: Final = {_TCP4: Struct("!4s4sHH"), _TCP6: Struct("!16s16sHH")}
_VECTOR: Final = Struct("!BH")
_SSL_FRONT: Final = Struct("!BL")


def judge(held: bytes) -> Header | int:
    """Return the header, or how many octets it still has at least. Raises `BadHeader`."""
    _judge_front(held)
    if len(held) < FRONT:
        return FRONT - len(held)
    command, family, length = held[12], held[13], int.from_bytes(held[14:16])
    if FRONT + length > LONGEST:
        raise BadHeader(f"PROXY v2 header of {FRONT + length} octets")
    named = command == _PROXY and family in _ADDRESSES
    if named and length < _ADDRESSES[family].size:
        raise BadHeader("PROXY v2 header too short for its addresses")
    if len(held) < FRONT + length:
        return FRONT + length - len(held)
    return _header(held, _ADDRESSES[family]) if named else Header(version=2, local=True)


def _judge_front(held: bytes) -> None:
    """Judge what is here of the signature, the command and the family.

    "The receiver must only accept this value" of the version; it "must drop connections presenting unexpected values"
    of the command; other values of the family "must be rejected". With LOCAL the family "is ignored".
    """
    if not SIGNATURE.startswith(held[: len(SIGNATURE)]):
        raise BadHeader("no PROXY header")
    command, family = held[12:13], held[13:14]
    if command and command[0] not in {_LOCAL, _PROXY}:
        raise BadHeader(f"PROXY v2 header of version and command 0x{command[0]:02x}")
    if family and command[0] == _PROXY and family[0] not in _UNSPEC | _ADDRESSES.keys():
        raise BadHeader(f"PROXY v2 header of family and transport 0x{family[0]:02x}")


def _header(held: bytes, layout: Struct) -> Header:
    """Return what a whole header with addresses says."""
    source, destination, source_port, destination_port = layout.unpack_from(held, FRONT)
    vectors = _vectors(held, FRONT + layout.size, len(held))
    if _CRC32C in vectors:
        _judge_checksum(held, vectors[_CRC32C])
    tls, tls_version = _tls(held, vectors[_SSL]) if _SSL in vectors else (False, "")
    return Header(
        version=2,
        local=False,
        source_ip=spelled(ip_address(source)),
        source_port=source_port,
        destination_ip=spelled(ip_address(destination)),
        destination_port=destination_port,
        unique_id=_unique_id(held[vectors[_UNIQUE_ID]]) if _UNIQUE_ID in vectors else b"",
        tls=tls,
        tls_version=tls_version,
    )


def _vectors(held: bytes, start: int, end: int) -> dict[int, slice]:
    """Return where the value of each type stands. Raises `BadHeader`: one overruns, or two of a type that is read."""
    found: dict[int, slice] = {}
    while start < end:
        if end - start < _VECTOR.size:
            raise BadHeader("PROXY v2 header with a cut TLV")
        kind, length = _VECTOR.unpack_from(held, start)
        start += _VECTOR.size
        if length > end - start:
            raise BadHeader("PROXY v2 header with a TLV that overruns it")
        if kind in found and kind in _READ:
            raise BadHeader(f"PROXY v2 header with two TLVs of type 0x{kind:02x}")
        found[kind] = slice(start, start + length)
        start += length
    return found


def _judge_checksum(held: bytes, place: slice) -> None:
    """ "Replace the 32 bits of the checksum field in the received PROXY header with all '0's and calculate a CRC32c
    checksum value of the whole PROXY header" (2.2.3)."""
    told = held[place]
    if len(told) != 4 or crc32c(held[: place.start] + bytes(4) + held[place.stop :]) != int.from_bytes(told):
        raise BadHeader("PROXY v2 header with a wrong CRC32c")


def _unique_id(value: bytes) -> bytes:
    if len(value) > UNIQUE_ID_LONGEST:
        raise BadHeader(f"PROXY v2 header with a unique id of {len(value)} octets")
    return value


def _tls(held: bytes, place: slice) -> tuple[bool, str]:
    """Return whether CLIENT came over TLS, and the version; one that is no printable word counts as not told."""
    if place.stop - place.start < _SSL_FRONT.size:
        raise BadHeader("PROXY v2 header with a cut SSL TLV")
    client, _ = _SSL_FRONT.unpack_from(held, place.start)
    inner = _vectors(held, place.start + _SSL_FRONT.size, place.stop)
    if not client & _CLIENT_SSL:
        return False, ""
    version = held[inner[_SSL_VERSION]] if _SSL_VERSION in inner else b""
    return True, version.decode("ascii") if _printable(version) and len(version) <= TLS_VERSION_LONGEST else ""


def _printable(octets: bytes) -> bool:
    return all(0x20 <= octet < 0x7F for octet in octets)


def header_v2(
    source: Endpoint, destination: Endpoint, *, session_id: str, tls_version: str = "", cipher: str = ""
) -> bytes:
    """Return the header for a connection from `source` to `destination`, at most 300 octets.

    Args:
        source: CLIENT; with a destination of the other family, the IPv4 one is mapped.
        destination: where CLIENT connected to.
        session_id: the unique id, at most 128 octets of printable ASCII.
        tls_version: of CLIENT's connection, at most 32 octets; empty if it is not encrypted.
        cipher: with it, at most 64 octets.

    Raises:
        ValueError: no address, no port, or a text that is too long or not printable ASCII.
    """
    one, other = one_family(source, destination)
    family = _TCP4 if one.version == 4 else _TCP6
    addresses = _ADDRESSES[family].pack(one.packed, other.packed, source[1], destination[1])
    vectors = _vector(_UNIQUE_ID, _text(session_id, UNIQUE_ID_LONGEST)) + _ssl(tls_version, cipher)
    length = len(addresses) + _VECTOR.size + 4 + len(vectors)
    front = _FRONT.pack(SIGNATURE, _PROXY, family, length) + addresses
    # "Initialize the checksum field to '0's."
    checksum = crc32c(front + _vector(_CRC32C, bytes(4)) + vectors)
    return front + _vector(_CRC32C, checksum.to_bytes(4)) + vectors


def _ssl(tls_version: str, cipher: str) -> bytes:
    if not tls_version:
        return b""
    inner = _vector(_SSL_VERSION, _text(tls_version, TLS_VERSION_LONGEST))
    if cipher:
        inner += _vector(_SSL_CIPHER, _text(cipher, CIPHER_LONGEST))
    return _vector(_SSL, _SSL_FRONT.pack(_CLIENT_SSL, _NOT_VERIFIED) + inner)


def _vector(kind: int, value: bytes) -> bytes:
    return _VECTOR.pack(kind, len(value)) + value


def _text(text: str, longest: int) -> bytes:
    octets = text.encode("ascii") if text.isascii() else b""
    if not 0 < len(octets) <= longest or not _printable(octets):
        raise ValueError(f"not 1 to {longest} octets of printable ASCII: {text!r}")
    return octets

"""CRC32c, the checksum of a PROXY header of version 2 (specification 2.2.3, RFC 4960 Appendix B).

A package for it is a C extension to install; a header has about a hundred octets, and there is one to a session.
"""

from typing import Final

_POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli's, the lowest bit first."""


def _row(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (_POLYNOMIAL if octet & 1 else 0)
    return octet


_TABLE: Final = tuple(map(_row, range(256)))


def crc32c(octets: bytes) -> int:
    """Return the checksum, a number of 32 bits."""
    checksum = 0xFFFFFFFF
    for octet in octets:
        checksum = _TABLE[(checksum ^ octet) & 0xFF] ^ checksum >> 8
    return checksum ^ 0xFFFFFFFF

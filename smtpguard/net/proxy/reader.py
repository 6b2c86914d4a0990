"""Reads a PROXY header of either version, octet by octet if need be, and stops where it ends."""

from smtpguard.net.proxy import v1, v2
from smtpguard.net.proxy.header import Header


class HeaderReader:
    """Reads the one header at the beginning of a connection, and no octet behind it."""

    def __init__(self) -> None:
        self._held = b""
        self._wanted = v1.SHORTEST

    @property
    def wanted(self) -> int:
        """Octets that may be read next without reading past the header's end; 0 when it is over, well or badly."""
        return self._wanted

    @property
    def got(self) -> int:
        """Octets so far; where the connection ends or falls silent, this tells a half header from none."""
        return len(self._held)

    def put(self, octets: bytes) -> Header | None:
        """Take from 1 to `wanted` octets; return the header as soon as it is whole.

        Raises:
            BadHeader: these octets begin no header.
            ValueError: more octets than wanted, or none.
        """
        if not 0 < len(octets) <= self._wanted:
            raise ValueError(f"{len(octets)} octets where 1 to {self._wanted} are wanted")
        self._held += octets
        self._wanted = 0
        judged = (v2 if self._held[0] == v2.SIGNATURE[0] else v1).judge(self._held)
        if isinstance(judged, Header):
            return judged
        self._wanted = judged
        return None

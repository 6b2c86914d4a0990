"""A file's octets as a stream, through gzip (RFC 1952) where it is gzipped, up to where it is cut or damaged.

`gzip.GzipFile` was no choice: it drops what it has in hand when it meets the damage, up to all of a small file.
"""

import io
import zlib
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER: Final = 1024 * 1024
"""Octets that are read from the file at a time."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_MEMBER: Final = 16 + zlib.MAX_WBITS
_DEFLATED: Final = 65536


def opened(path: Path) -> "io.BufferedReader[Any]":
    """Open a file for its octets, through gzip where it is gzipped; a pipe will do.

    Raises:
        OSError: it cannot be opened or read.
    """
    plain = io.BufferedReader(io.FileIO(path), BUFFER)
    try:
        zipped = plain.peek(2)[:2] == _GZIP
    except OSError:
        plain.close()
        raise
    return io.BufferedReader(_Unzipped(plain), BUFFER) if zipped else plain


class _Unzipped(io.RawIOBase):
    """What a gzipped file holds.

    Raises:
        EOFError: by reading on behind what could be read.
    """

    def __init__(self, plain: IO[bytes]) -> None:
        super().__init__()
        self._plain = plain
        self._inflate = zlib.decompressobj(_GZIP_MEMBER)
        self._unread = self._ready = b""
        self._broken = ""

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer; return how far."""
        room = memoryview(buffer).cast("B")
        while not self._ready and self._more():
            pass
        if not self._ready and self._broken:
            raise EOFError(self._broken)
        part, self._ready = self._ready[: len(room)], self._ready[len(room) :]
        room[: len(part)] = part
        return len(part)

    def _more(self) -> bool:
        """Inflate the next octets; False where there are no more."""
        octets = self._unread or self._plain.read(_DEFLATED)
        if self._broken or not octets:
            self._broken = self._broken or ("" if self._inflate.eof else "it ends too soon")
            return False
        if self._inflate.eof:
            self._inflate = zlib.decompressobj(_GZIP_MEMBER)
        before = self._inflate.copy()
        try:
            self._ready = self._inflate.decompress(octets, BUFFER)
            self._unread = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            self._ready, self._broken = _salvaged(before, octets), str(error)
        return True

    def close(self) -> None:
        """Close the file, too."""
        self._plain.close()
        super().close()


def _salvaged(inflate: "zlib._Decompress", octets: bytes) -> bytes:
    """Return what octets that are damaged somewhere hold before the damage."""
    parts = list[bytes]()
    with suppress(zlib.error):
        parts.extend(inflate.decompress(octets[at : at + 1]) for at in range(len(octets)))
    return b"".join(parts)

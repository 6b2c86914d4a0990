"""The two file formats of packet captures, read as a stream: pcap and pcapng, plain or gzipped.

A capture may be larger than memory, so one record is in memory at a time, and a record may have 16 MiB. pcap is read in
both byte orders, with micro- and nanoseconds, and in the variant with 24 octets a record header; pcapng with any number
of sections and interfaces, each with its own link type, resolution and offset of time. Blocks of other types are
skipped (draft-ietf-opsawg-pcapng §3.1 asks for that).

A file that is neither is a refusal (`NoCaptureError`). A file that ends inside a record, or goes on with what cannot
be one, is a warning: what stands before is good, and `CaptureFile.cut` says where reading ended and why. dpkt's own
readers were no choice here: they hand out a cut record as if it were whole, take a record length of 4 GiB at its word,
and know one interface of a pcapng (dpkt 1.9.8).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from smtpguard.evidence.capture.gzipped import BUFFER, opened

RECORD_MAX: Final = 16 * 1024 * 1024
"""Octets of a record; tcpdump's largest snapshot is 256 KiB. More is damage."""

_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_FILE_HEADER: Final = 24


class _Variant(NamedTuple):
    order: str
    resolution: float
    """Seconds of one tick."""
    header: int
    """Octets of a record header."""


_VARIANTS: Final = {
    b"\xa1\xb2\xc3\xd4": _Variant(">", 1e-6, 16),
    b"\xd4\xc3\xb2\xa1": _Variant("<", 1e-6, 16),
    b"\xa1\xb2\x3c\x4d": _Variant(">", 1e-9, 16),
    b"\x4d\x3c\xb2\xa1": _Variant("<", 1e-9, 16),
    b"\xa1\xb2\xcd\x34": _Variant(">", 1e-6, 24),
    b"\x34\xcd\xb2\xa1": _Variant("<", 1e-6, 24),
}
"""First four octets of a pcap file -> how to read it."""


class Frame(NamedTuple):
    """One captured packet, with its link layer."""

    at: float
    """Seconds since the epoch, by the clock of the capturing machine."""
    link: int
    """Link type, LINKTYPE_ of tcpdump.org."""
    octets: bytes
    size: int
    """Octets on the wire; more than were captured where the snapshot length cut the packet."""


class NoCaptureError(ValueError):
    """The file is no capture; the text says what it is."""


class _CutError(Exception):
    """The file ends, or goes on with what cannot be a record; the text says which."""


class _Interface(NamedTuple):
    link: int
    snapshot: int
    resolution: float
    offset: int


class CaptureFile:
    """One capture, opened: iterate over it once for its frames.

    Raises:
        NoCaptureError: by the constructor, when it is neither pcap nor pcapng.
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.cut = ""
        """Why reading ended before the end of the file; empty where it did not, or not yet."""
        self.links: set[int] = set()
        """Link types seen so far."""
        self._at = 0
        self._file = opened(path)
        try:
            self._magic = self._file.read(4)
            if not is_capture(self._magic):
                raise NoCaptureError(_what_it_is(self._magic))
        except EOFError as error:
            self._file.close()
            raise NoCaptureError(f"it is gzipped and damaged from the start ({error})") from None
        except (NoCaptureError, OSError):
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Frame]:
        frames = self._blocks() if self._magic == _SECTION else self._records()
        try:
            yield from frames
        except _CutError as error:
            self.cut = str(error)
        except EOFError as error:
            self.cut = f"its gzip stream is cut or damaged ({error})"

    def _read(self, octets: int, what: str) -> bytes:
        """Read so many octets of a thing, or raise if the file ends inside it."""
        data = self._file.read(octets)
        if len(data) < octets:
            raise _CutError(f"it ends inside {what}, {self._at + len(data)} octets from its start")
        self._at += octets
        return data

    # --- pcap (draft-ietf-opsawg-pcap) --------------------------------------------------------------------------------

    def _records(self) -> Iterator[Frame]:
        self._at = len(self._magic)
        order, resolution, size = _VARIANTS[self._magic]
        header = self._read(_FILE_HEADER - len(self._magic), "the file header")
        # The upper half of the word tells of frame check sequences, which the length in IP's header cuts off anyway.
        link = struct.unpack(f"{order}I", header[16:])[0] & 0xFFFF
        self.links.add(link)
        unpack = struct.Struct(f"{order}IIII{size - 16}x").unpack
        read = self._file.read
        while first := read(size):
            self._at += len(first)
            if len(first) < size:
                raise _CutError(f"it ends inside a record header, {self._at} octets from its start")
            seconds, ticks, captured, whole = unpack(first)
            if captured > RECORD_MAX:
                raise _CutError(f"the record header {self._at - size} octets from its start is damaged")
            octets = read(captured)
            self._at += len(octets)
            if len(octets) < captured:
                raise _CutError(f"it ends inside a packet, {self._at} octets from its start")
            yield Frame(seconds + ticks * resolution, link, octets, whole)

    # --- pcapng (draft-ietf-opsawg-pcapng) ----------------------------------------------------------------------------

    def _blocks(self) -> Iterator[Frame]:
        order, interfaces, at = "<", list[_Interface](), 0.0
        kind = self._magic
        while kind:
            if len(kind) < 4:
                raise _CutError(f"it ends inside a block, {self._at + len(kind)} octets from its start")
            self._at += len(kind)
            if kind == _SECTION:
                order, interfaces = self._section(), []
            else:
                number = int(struct.unpack(f"{order}I", kind)[0])
                body = self._body(order, number)
                if number == _INTERFACE:
                    interfaces.append(_interface(order, body))
                    self.links.add(interfaces[-1].link)
                elif number in _PACKETS:
                    frame = self._frame(_PACKETS[number](order, body, interfaces, at))
                    at = frame.at
                    yield frame
            kind = self._file.read(4)

    def _frame(self, frame: Frame | None) -> Frame:
        if frame is None:
            raise _CutError(f"the block that ends {self._at} octets from its start is damaged")
        return frame

    def _section(self) -> str:
        head = self._read(8, "a section header")
        order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(head[4:])
        if order is None:
            raise _CutError(f"the section header {self._at - 12} octets from its start is damaged")
        length = struct.unpack(f"{order}I", head[:4])[0]
        self._skip(self._checked(length, 28) - 12, "a section header")
        return order

    def _body(self, order: str, number: int) -> bytes:
        length = self._checked(struct.unpack(f"{order}I", self._read(4, "a block"))[0], 12)
        if number != _INTERFACE and number not in _PACKETS:
            self._skip(length - 8, "a block")
            return b""
        if length > RECORD_MAX:
            raise _CutError(f"the block {self._at - 8} octets from its start is damaged")
        return self._read(length - 8, "a block")[:-4]

    def _checked(self, length: int, least: int) -> int:
        if length < least or length % 4:
            raise _CutError(f"the block {self._at - 8} octets from its start is damaged")
        return length

    def _skip(self, octets: int, what: str) -> None:
        while octets:
            octets -= len(self._read(min(octets, BUFFER), what))


_INTERFACE: Final = 1


def _interface(order: str, body: bytes) -> _Interface:
    """Read an Interface Description Block (§4.2); a damaged one has no link type that anybody knows."""
    if len(body) < 8:
        return _Interface(-1, 0, 1e-6, 0)
    link, snapshot = struct.unpack_from(f"{order}HxxI", body)
    resolution, offset, at = 1e-6, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == 9 and value:
            resolution = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        elif code == 14 and len(value) == 8:
            offset = struct.unpack(f"{order}q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link, snapshot, resolution, offset)


def _enhanced(order: str, body: bytes, interfaces: list[_Interface], _at: float) -> Frame | None:
    """Read an Enhanced Packet Block (§4.3)."""
    return _stamped(f"{order}IIIII", body, interfaces) if len(body) >= 20 else None


def _obsolete(order: str, body: bytes, interfaces: list[_Interface], _at: float) -> Frame | None:
    """Read a Packet Block (§A)."""
    return _stamped(f"{order}HxxIIII", body, interfaces) if len(body) >= 20 else None


def _stamped(layout: str, body: bytes, interfaces: list[_Interface]) -> Frame | None:
    number, high, low, captured, whole = struct.unpack_from(layout, body)
    if number >= len(interfaces) or 20 + captured > len(body):
        return None
    link, _, resolution, offset = interfaces[number]
    return Frame(offset + (high << 32 | low) * resolution, link, body[20 : 20 + captured], whole)


def _simple(order: str, body: bytes, interfaces: list[_Interface], at: float) -> Frame | None:
    """Read a Simple Packet Block (§4.4): it has no time, so it has that of the packet before."""
    if len(body) < 4 or not interfaces:
        return None
    whole = struct.unpack_from(f"{order}I", body)[0]
    captured = min(whole, interfaces[0].snapshot or whole)
    return Frame(at, interfaces[0].link, body[4 : 4 + captured], whole) if captured <= len(body) - 4 else None


_PACKETS: Final = {2: _obsolete, 3: _simple, 6: _enhanced}
"""Block type -> how to read the packet in it."""


def is_capture(head: bytes) -> bool:
    """Tell whether a file that begins so is a capture."""
    return head[:4] in _VARIANTS or head[:4] == _SECTION


def _what_it_is(head: bytes) -> str:
    if not head:
        return "it is empty"
    return f"it begins with {head!r}, which neither pcap nor pcapng does"

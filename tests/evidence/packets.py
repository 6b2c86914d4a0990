"""Builds packets and capture files octet by octet, by the formats' own documents and nothing of smtpguard.

IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293), link layers (tcpdump.org/linktypes.html), pcap and pcapng
(draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

FIN: Final = 1
SYN: Final = 2
RST: Final = 4
PSH: Final = 8
ACK: Final = 16

CLIENT: Final = ("192.0.2.7", 40001)
UPSTREAM: Final = ("198.51.100.25", 25)
CLIENT6: Final = ("2001:db8::7", 40001)
UPSTREAM6: Final = ("2001:db8::25", 25)

TCP: Final = 6


def octets_of(address: str) -> bytes:
    """Return an address as it stands in a header."""
    if ":" not in address:
        return bytes(map(int, address.split(".")))
    head, _, tail = address.partition("::")
    groups = [int(group, 16) for group in head.split(":") if group]
    rest = [int(group, 16) for group in tail.split(":") if group]
    whole = [*groups, *[0] * (8 - len(groups) - len(rest)), *rest]
    return struct.pack(">8H", *whole)


def tcp(
    source: int, destination: int, seq: int, ack: int, flags: int, payload: bytes = b"", options: bytes = b""
) -> bytes:
    """Return a TCP segment; its checksum is that of a card that computes it later."""
    header = (20 + len(options)) // 4 << 4
    fixed = struct.pack(">HHIIBBHHH", source, destination, seq % 2**32, ack % 2**32, header, flags, 65535, 0xDEAD, 0)
    return fixed + options + payload


def ipv4(
    source: str,
    destination: str,
    payload: bytes,
    *,
    options: bytes = b"",
    number: int = 1,
    offset: int = 0,
    more: bool = False,
    protocol: int = TCP,
    length: int | None = None,
) -> bytes:
    """Return an IPv4 packet; `offset` in octets."""
    words = 5 + len(options) // 4
    length = words * 4 + len(payload) if length is None else length
    fixed = struct.pack(">BBHHHBBH", 0x40 | words, 0, length, number, more << 13 | offset // 8, 64, protocol, 0xBEEF)
    return fixed + octets_of(source) + octets_of(destination) + options + payload


def ipv6(source: str, destination: str, payload: bytes, *, extensions: Sequence[tuple[int, bytes]] = ()) -> bytes:
    """Return an IPv6 packet; an extension header is its number and its octets less the first (Next Header)."""
    numbers = [number for number, _ in extensions] + [TCP]
    chain = b"".join(bytes([following]) + rest for (_, rest), following in zip(extensions, numbers[1:], strict=True))
    fixed = struct.pack(">IHBB", 6 << 28, len(chain) + len(payload), numbers[0], 64)
    return fixed + octets_of(source) + octets_of(destination) + chain + payload


MACS: Final = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02"
IPV4: Final = b"\x08\x00"
IPV6: Final = b"\x86\xdd"


def ethernet(packet: bytes, *, tags: bytes = b"") -> bytes:
    """Return an Ethernet frame, padded to what the wire asks for; `tags` stand before the EtherType."""
    frame = MACS + tags + _ethertype(packet) + packet
    return frame + bytes(max(0, 60 - len(frame)))


def sll(packet: bytes) -> bytes:
    """Return a frame of Linux' cooked capture, link type 113."""
    return struct.pack(">HHH8s", 0, 772, 6, b"") + _ethertype(packet) + packet


def sll2(packet: bytes) -> bytes:
    """Return a frame of Linux' cooked capture v2, link type 276."""
    return _ethertype(packet) + struct.pack(">HIHBB8s", 0, 1, 772, 0, 6, b"") + packet


def null(packet: bytes, order: str = "<") -> bytes:
    """Return a frame of BSD's loopback, link type 0, in the byte order of the capturing machine."""
    return struct.pack(f"{order}I", 30 if packet[0] >> 4 == 6 else 2) + packet


def _ethertype(packet: bytes) -> bytes:
    return IPV6 if packet[0] >> 4 == 6 else IPV4


class Line:
    """A TCP conversation that writes its packets down: `up` and `down` say something, `packets` is the capture."""

    def __init__(
        self,
        client: tuple[str, int] = CLIENT,
        upstream: tuple[str, int] = UPSTREAM,
        *,
        client_seq: int = 1000,
        upstream_seq: int = 5000,
    ) -> None:
        self.client, self.upstream = client, upstream
        self.client_seq, self.upstream_seq = client_seq, upstream_seq
        self.packets: list[bytes] = []

    def _add(self, up: bool, flags: int, payload: bytes = b"", *, seq: int | None = None) -> bytes:
        (source, source_port), (destination, port) = (self.client, self.upstream)[:: 1 if up else -1]
        own, other = (self.client_seq, self.upstream_seq)[:: 1 if up else -1]
        segment = tcp(source_port, port, own if seq is None else seq, other if flags & ACK else 0, flags, payload)
        packet = (ipv6 if ":" in source else ipv4)(source, destination, segment)
        self.packets.append(packet)
        return packet

    def open(self) -> "Line":
        """Shake hands."""
        self._add(True, SYN)
        self.client_seq += 1
        self._add(False, SYN | ACK)
        self.upstream_seq += 1
        self._add(True, ACK)
        return self

    def up(self, payload: bytes) -> bytes:
        """Let CLIENT say something."""
        packet = self._add(True, PSH | ACK, payload)
        self.client_seq += len(payload)
        return packet

    def down(self, payload: bytes) -> bytes:
        """Let UPSTREAM say something."""
        packet = self._add(False, PSH | ACK, payload)
        self.upstream_seq += len(payload)
        return packet

    def acks(self, *, up: bool) -> bytes:
        """Let one side acknowledge all that was said."""
        return self._add(up, ACK)

    def close(self) -> "Line":
        """Let CLIENT close, then UPSTREAM."""
        self._add(True, FIN | ACK)
        self.client_seq += 1
        self._add(False, FIN | ACK)
        self.upstream_seq += 1
        self._add(True, ACK)
        return self

    def reset(self, *, up: bool) -> "Line":
        """Let one side reset."""
        self._add(up, RST | ACK)
        return self

    def said(self, *turns: bytes) -> "Line":
        """Let both say something by turns, UPSTREAM first, as a session begins."""
        for place, turn in enumerate(turns):
            (self.up if place % 2 else self.down)(turn)
        return self


class Record(NamedTuple):
    """A packet for a capture file."""

    octets: bytes
    size: int | None = None
    """Octets on the wire, where the capture holds fewer."""
    interface: int = 0


START: Final = 1_795_000_000
"""Seconds since the epoch of the first packet; each later one comes a millisecond after the one before."""


def pcap(
    frames: Iterable[bytes | Record], link: int = 1, *, order: str = "<", nano: bool = False, start: float = START
) -> bytes:
    """Return a pcap file."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link)]
    for number, frame in enumerate(frames):
        record = frame if isinstance(frame, Record) else Record(frame)
        ticks = round((start + number / 1000) * 1000) * (1_000_000 if nano else 1000)
        seconds, rest = divmod(ticks, 1_000_000_000 if nano else 1_000_000)
        size = len(record.octets) if record.size is None else record.size
        parts += [struct.pack(f"{order}IIII", seconds, rest, len(record.octets), size), record.octets]
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """Return a section header."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int, *, options: bytes = b"", order: str = "<") -> bytes:
    """Return an interface description."""
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """Return an option of a block."""
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(record: Record | bytes, ticks: int, order: str = "<") -> bytes:
    """Return an enhanced packet block."""
    record = record if isinstance(record, Record) else Record(record)
    size = len(record.octets) if record.size is None else record.size
    fixed = struct.pack(f"{order}IIIII", record.interface, ticks >> 32, ticks & 0xFFFFFFFF, len(record.octets), size)
    return block(6, fixed + record.octets, order)


def pcapng(frames: Iterable[Record | bytes], link: int = 1, *, order: str = "<") -> bytes:
    """Return a pcapng file of one interface, in microseconds."""
    packets = (enhanced(frame, START * 1_000_000 + n * 1000, order) for n, frame in enumerate(frames))
    return section(order) + interface(link, order=order) + b"".join(packets)

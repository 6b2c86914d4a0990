"""From a captured frame to the TCP segment in it: link layer, tags, IPv4 and IPv6, fragments.

Nearly all frames of a capture are TCP in IPv4 or IPv6 straight behind an Ethernet header, or behind Linux' "cooked"
one: those are read by hand, in a third of the time that dpkt takes for them (2.6 and 8.2 microseconds, measured). All
others are given to dpkt: VLAN and QinQ tags, LLC, MPLS, PPPoE, loopback headers, IPv6 extension headers.

Checksums are not looked at: a sending host that leaves them to its network card is captured with wrong ones. A length
of 0 in IP's header is the card's work too (segmentation offload): the packet is as long as it was captured. Fragments
are put together (64 packets at most at a time wait for theirs, first copy wins); a packet that never became whole is
missing octets of its connection, and reassembly finds that hole. `Layers` counts what it could not read.
"""

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import dpkt  # type: ignore[import-untyped] # it has no types

from smtpguard.evidence.capture.files import Frame
from smtpguard.evidence.capture.reassembly import Segment

FRAGMENTED_MAX: Final = 64
"""Packets whose fragments are kept at a time; the oldest makes room."""

PORTS_MAX: Final = 1000
"""Ports that are counted to say what a capture without mail holds."""

_TCP: Final = 6
_NEXT_IS_TCP: Final = b"\x06"
_IPV4: Final = b"\x08\x00"
_IPV6: Final = b"\x86\xdd"
_ETHERNET: Final = 1
_HEADER = struct.Struct(">HHIIBB").unpack_from
_LENGTH = struct.Struct(">H").unpack_from


class Layers:
    """Reads frames, and keeps the fragments that wait for others.

    Args:
        ports: the ports that count; segments of others are only counted.
    """

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._fragments: OrderedDict[tuple[object, ...], _Fragments] = OrderedDict()
        self.unreadable = 0
        """Frames that are damaged, or cut inside their headers."""
        self.unfinished = 0
        """Fragmented packets that never became whole."""
        self.unknown: Counter[int] = Counter()
        """Frames of link types that we cannot read."""
        self.elsewhere: Counter[int] = Counter()
        """Segments of other ports, by the lower of their two."""

    def segment(self, frame: Frame) -> Segment | None:
        """Return the TCP segment of a frame, None where there is none of our ports."""
        place = _PLACES.get(frame.link)
        if place is not None:
            start = place.start
            kind = frame.octets[place.kind : place.kind + 2]
            if kind == _IPV4:
                return self._ipv4(frame, start)
            if kind == _IPV6 and frame.octets[start + 6 : start + 7] == _NEXT_IS_TCP:
                return self._ipv6(frame, start)
        return self._by_dpkt(frame)

    def _ipv4(self, frame: Frame, start: int) -> Segment | None:
        octets = frame.octets
        # Version 4 and a header of five words or more.
        if len(octets) < start + 20 or not 0x45 <= octets[start] <= 0x4F:
            self.unreadable += 1
            return None
        if octets[start + 9] != _TCP:
            return None
        # More Fragments, or an offset.
        if octets[start + 6] & 0x3F or octets[start + 7]:
            return self._by_dpkt(frame)
        length = _LENGTH(octets, start + 2)[0]
        return self._tcp(
            frame.at,
            octets,
            start + (octets[start] & 0x0F) * 4,
            start + length if length else frame.size,
            octets[start + 12 : start + 16],
            octets[start + 16 : start + 20],
        )

    def _ipv6(self, frame: Frame, start: int) -> Segment | None:
        octets = frame.octets
        if len(octets) < start + 40:
            self.unreadable += 1
            return None
        length = _LENGTH(octets, start + 4)[0]
        end = start + 40 + length if length else frame.size
        return self._tcp(
            frame.at, octets, start + 40, end, octets[start + 8 : start + 24], octets[start + 24 : start + 40]
        )

    def _tcp(  # noqa: PLR0913 - two addresses, two ends
        self, at: float, octets: bytes, start: int, end: int, source: bytes, destination: bytes
    ) -> Segment | None:
        """Read a TCP header and cut its payload out: it ends where IP says, or where the capture does."""
        if len(octets) < start + 14:
            self.unreadable += 1
            return None
        source_port, destination_port, seq, ack, offset, flags = _HEADER(octets, start)
        if destination_port not in self._ports and source_port not in self._ports:
            self._count(min(source_port, destination_port))
            return None
        begin = start + (offset >> 4) * 4
        if begin < start + 20:
            self.unreadable += 1
            return None
        payload = octets[begin:end]
        missing = max(0, end - max(begin, len(octets)))
        return Segment(at, source, source_port, destination, destination_port, seq, ack, flags, payload, missing)

    def _count(self, port: int) -> None:
        if port in self.elsewhere or len(self.elsewhere) < PORTS_MAX:
            self.elsewhere[port] += 1

    # --- all other frames ---------------------------------------------------------------------------------------------

    def _by_dpkt(self, frame: Frame) -> Segment | None:
        unpack = _LINKS.get(frame.link)
        if unpack is None:
            self.unknown[frame.link] += 1
            return None
        try:
            layer = unpack(frame.octets)
            while not isinstance(layer, bytes | dpkt.ip.IP | dpkt.ip6.IP6):
                layer = layer.data
            return None if isinstance(layer, bytes) else self._ip(frame.at, layer)
        # dpkt reads octets of strangers, and says so in many ways: UnpackError, IndexError, struct.error, ...
        except Exception:
            self.unreadable += 1
            return None

    def _ip(self, at: float, ip: Any) -> Segment | None:
        """Read what dpkt took for an IP packet."""
        protocol, fragment, length = _described(ip)
        if protocol != _TCP:
            return None
        payload = bytes(ip.data)
        missing = max(0, length - len(payload))
        if fragment is None:
            return self._tcp(at, payload, 0, len(payload) + missing, ip.src, ip.dst)
        if missing:
            # A fragment without its end never becomes whole.
            self.unfinished += 1
            return None
        return self._fragment(at, ip, fragment, payload)

    def _fragment(self, at: float, ip: Any, fragment: "_Fragment", payload: bytes) -> Segment | None:
        key = (ip.src, ip.dst, fragment.number)
        parts = self._fragments.setdefault(key, _Fragments())
        whole = parts.put(fragment, payload)
        if whole is None:
            if len(self._fragments) > FRAGMENTED_MAX:
                self._fragments.popitem(last=False)
                self.unfinished += 1
            return None
        del self._fragments[key]
        return self._tcp(at, whole, 0, len(whole), ip.src, ip.dst)

    def end(self) -> None:
        """Count the fragments that waited in vain."""
        self.unfinished += len(self._fragments)
        self._fragments.clear()


class _Fragment(NamedTuple):
    number: int
    offset: int
    """Octets."""
    more: bool


class _Fragments:
    """The fragments of one packet so far (RFC 791 §3.2, RFC 8200 §4.5)."""

    __slots__ = ("_end", "_parts")

    def __init__(self) -> None:
        self._parts: dict[int, bytes] = {}
        self._end: int | None = None

    def put(self, fragment: _Fragment, payload: bytes) -> bytes | None:
        """Add a fragment; return the packet's payload if it is whole now."""
        self._parts.setdefault(fragment.offset, payload)
        if not fragment.more:
            self._end = fragment.offset + len(payload)
        if self._end is None:
            return None
        whole = bytearray()
        for offset, part in sorted(self._parts.items()):
            if offset > len(whole):
                return None
            whole += part[len(whole) - offset :]
        return bytes(whole[: self._end]) if len(whole) >= self._end else None


def _described(ip: Any) -> tuple[int, _Fragment | None, int]:
    """Return protocol, fragment and length of the payload that IP's header tells."""
    if isinstance(ip, dpkt.ip.IP):
        length = ip.len - ip.hl * 4 if ip.len else len(ip.data)
        return ip.p, _Fragment(ip.id, ip.offset * 8, bool(ip.mf)) if ip.mf or ip.offset else None, length
    extensions = ip.all_extension_headers
    length = ip.plen - sum(each.length for each in extensions) if ip.plen else len(ip.data)
    for each in extensions:
        if isinstance(each, dpkt.ip6.IP6FragmentHeader) and (each.frag_off or each.m_flag):
            # After the first fragment dpkt leaves the protocol to us.
            return each.nxt, _Fragment(each.id, each.frag_off * 8, bool(each.m_flag)), length
    return getattr(ip, "p", ip.nxt), None, length


def _raw(octets: bytes) -> Any:
    return dpkt.ip6.IP6(octets) if octets[:1] >= b"\x60" else dpkt.ip.IP(octets)


_LINKS: Final[dict[int, Callable[[bytes], Any]]] = {
    0: dpkt.loopback.Loopback,
    _ETHERNET: dpkt.ethernet.Ethernet,
    12: _raw,
    14: _raw,
    101: _raw,
    108: dpkt.loopback.Loopback,
    113: dpkt.sll.SLL,
    228: _raw,
    229: _raw,
    276: dpkt.sll2.SLL2,
}
"""Link type (tcpdump.org/linktypes.html) -> how dpkt reads it."""


class _Place(NamedTuple):
    kind: int
    """Where the EtherType is."""
    start: int
    """Where IP begins."""


_PLACES: Final = {_ETHERNET: _Place(12, 14), 113: _Place(14, 16), 276: _Place(0, 20)}
"""The link types that are read by hand."""

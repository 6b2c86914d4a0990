"""Link and network layers: whatever was around its packets, the conversation is the same."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from smtpguard.evidence.capture.capture import CaptureError
from smtpguard.evidence.capture.reassembly import Hole
from smtpguard.evidence.judge.pieces import Piece
from tests.evidence import packets as wire
from tests.evidence.captures import C, U, heard, is_whole, read, session, written
from tests.evidence.packets import CLIENT, CLIENT6, UPSTREAM, UPSTREAM6, Line, Record, ethernet, pcap

VLAN = b"\x81\x00\x00\x07"
LAYERS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "Ethernet": (1, ethernet),
    "VLAN": (1, lambda packet: ethernet(packet, tags=VLAN)),
    "QinQ": (1, lambda packet: ethernet(packet, tags=b"\x88\xa8\x00\x09" + VLAN)),
    "SLL": (113, wire.sll),
    "SLL2": (276, wire.sll2),
    "raw 101": (101, bytes),
    "raw 12": (12, bytes),
    "null, little-endian": (0, wire.null),
    "null, big-endian": (0, lambda packet: wire.null(packet, ">")),
    "loop": (108, lambda packet: wire.null(packet, ">")),
}
ENDS = {"IPv4": (CLIENT, UPSTREAM), "IPv6": (CLIENT6, UPSTREAM6)}


@pytest.mark.parametrize("family", ENDS)
@pytest.mark.parametrize("layer", LAYERS)
def test_every_link_layer_carries_both_families(layer: str, family: str, tmp_path: Path) -> None:
    """The session is the same whatever was around its packets."""
    link, around = LAYERS[layer]
    _, said = read(written(tmp_path, pcap(map(around, session(*ENDS[family])), link)))
    assert is_whole(said)
    client, upstream = ENDS[family]
    expected = (wire.octets_of(client[0]), client[1], wire.octets_of(upstream[0]), upstream[1])
    assert said[0].talk.key == expected


def ip_parts(packet: bytes) -> tuple[str, str, bytes]:
    """Return addresses and payload of a plain IPv4 packet."""
    source, destination = (".".join(map(str, packet[at : at + 4])) for at in (12, 16))
    return source, destination, packet[20:]


def test_ip_and_tcp_options_are_stepped_over(tmp_path: Path) -> None:
    """The header says how long it is."""
    frames = []
    for packet in session():
        source, destination, segment = ip_parts(packet)
        # Timestamps: a header of eight words.
        longer = segment[:12] + b"\x80" + segment[13:20] + b"\x01\x01\x08\x0a" + bytes(8) + segment[20:]
        frames.append(ethernet(wire.ipv4(source, destination, longer, options=b"\x07\x04\x04\x00")))
    assert is_whole(read(written(tmp_path, pcap(frames)))[1])


EXTENSIONS = {
    "hop by hop": [(0, b"\x00" + bytes(6))],
    "routing": [(43, b"\x02\x00\x00" + bytes(20))],
    "destination options": [(60, b"\x01" + bytes(14))],
    "authentication": [(51, b"\x04" + bytes(22))],
    "several": [(0, b"\x00" + bytes(6)), (60, b"\x00" + bytes(6))],
    "fragment that is none": [(44, bytes(7))],
}


@pytest.mark.parametrize("name", EXTENSIONS)
def test_extension_headers_of_ipv6_are_stepped_over(name: str, tmp_path: Path) -> None:
    """Each says what follows, and how far it goes."""
    frames = []
    for packet in session(CLIENT6, UPSTREAM6):
        up = packet[8:24] == wire.octets_of(CLIENT6[0])
        source, destination = (CLIENT6[0], UPSTREAM6[0])[:: 1 if up else -1]
        frames.append(ethernet(wire.ipv6(source, destination, packet[40:], extensions=EXTENSIONS[name])))
    assert is_whole(read(written(tmp_path, pcap(frames)))[1])


def fragments(packet: bytes, number: int) -> list[bytes]:
    """Cut an IPv4 packet into fragments of 16 octets."""
    source, destination, segment = ip_parts(packet)
    return [
        wire.ipv4(source, destination, segment[at : at + 16], number=number, offset=at, more=at + 16 < len(segment))
        for at in range(0, len(segment), 16)
    ]


@pytest.mark.parametrize("step", [1, -1])
def test_fragments_of_ipv4_are_put_together(step: int, tmp_path: Path) -> None:
    """In their order and the other way round."""
    frames = [part for number, packet in enumerate(session()) for part in fragments(packet, number)[::step]]
    capture, said = read(written(tmp_path, pcap(map(ethernet, frames))))
    assert is_whole(said)
    assert list(capture.warnings()) == []


def test_a_fragment_that_the_snapshot_length_cut_never_becomes_whole(tmp_path: Path) -> None:
    """Nobody knows its end."""
    packets = session()
    cut = [
        Record(frame[:-4], len(frame)) for frame in (wire.MACS + wire.IPV4 + part for part in fragments(packets[3], 9))
    ]
    capture, said = read(written(tmp_path, pcap([*map(ethernet, packets[:3]), *cut])))
    assert [one for one in said if isinstance(one.item, Piece)] == []
    assert capture.layers.unfinished == len(cut)


def test_fragments_of_ipv6_are_put_together(tmp_path: Path) -> None:
    """The fragment header says offset, more and number (RFC 8200 §4.5)."""
    frames = []
    for number, packet in enumerate(session(CLIENT6, UPSTREAM6)):
        up = packet[8:24] == wire.octets_of(CLIENT6[0])
        source, destination = (CLIENT6[0], UPSTREAM6[0])[:: 1 if up else -1]
        segment = packet[40:]
        for at in range(0, len(segment), 24):
            more = at + 24 < len(segment)
            header = b"\0" + struct.pack(">HI", at | more, number)
            frames.append(ethernet(wire.ipv6(source, destination, segment[at : at + 24], extensions=[(44, header)])))
    assert is_whole(read(written(tmp_path, pcap(frames)))[1])


def test_a_fragment_that_was_not_captured_is_a_hole_and_is_said(tmp_path: Path) -> None:
    """The packet never becomes whole: its octets are missing, and the session is judged up to there."""
    packets = session()
    frames = [packets[0], packets[1], packets[2], packets[3], *fragments(packets[4], 4)[:-1], *packets[5:]]
    capture, said = read(written(tmp_path, pcap(map(ethernet, frames))))
    assert heard(said, C) == b""
    holes = [one.item for one in said if isinstance(one.item, Hole)]
    assert [(hole.side, hole.offset, hole.octets) for hole in holes] == [(C, 0, 16)]
    assert [text.partition(": ")[2] for text in capture.warnings()] == [
        "1 packet is left out: in fragments, of which some were not captured"
    ]


def test_a_flood_of_half_fragmented_packets_is_bounded(tmp_path: Path) -> None:
    """Each of a thousand packets begins and never ends; the session between them is whole."""
    half = [wire.ipv4("192.0.2.1", "192.0.2.2", bytes(16), number=n, more=True) for n in range(1000)]
    capture, said = read(written(tmp_path, pcap(map(ethernet, [*half, *session()]))))
    assert is_whole(said)
    assert capture.layers.unfinished == 1000


def test_a_length_of_zero_is_the_card_s_work(tmp_path: Path) -> None:
    """Segmentation offload: a packet larger than IP can say is as long as it was captured."""
    content = b"x" * 70_000
    line = Line().open().said(b"220 x\r\n")
    ends = line.client[0], line.upstream[0]
    large = wire.ipv4(*ends, wire.tcp(line.client[1], 25, line.client_seq, line.upstream_seq, 24, content), length=0)
    _, said = read(written(tmp_path, pcap([*map(ethernet, line.packets), wire.MACS + wire.IPV4 + large])))
    assert heard(said, C) == content


def test_what_is_no_tcp_is_left_alone(tmp_path: Path) -> None:
    """ARP, UDP, ICMP in both families, a frame of no known type."""
    odd = [
        wire.MACS + b"\x08\x06" + bytes(28),
        ethernet(wire.ipv4("192.0.2.1", "192.0.2.2", bytes(16), protocol=17)),
        ethernet(wire.ipv4("192.0.2.1", "192.0.2.2", bytes(16), protocol=1, more=True)),
        wire.MACS + wire.IPV6 + struct.pack(">IHBB", 6 << 28, 8, 58, 255) + bytes(32) + b"\x87" + bytes(7),
        wire.MACS + b"\x88\xcc" + bytes(30),
        wire.MACS + b"\x00\x26" + b"\x42\x42\x03" + bytes(35),
    ]
    capture, said = read(written(tmp_path, pcap([*odd, *map(ethernet, session())])))
    assert is_whole(said)
    assert list(capture.warnings()) == []


def test_damaged_packets_are_counted(tmp_path: Path) -> None:
    """Cut inside IPv4, IPv6 and TCP headers, and headers that are shorter than they can be."""
    packet = session()[3]
    damaged = [
        ethernet(packet)[:30],
        ethernet(packet)[:40],
        wire.MACS + wire.IPV6 + b"\x60" + bytes(5) + b"\x06" + bytes(3),
        wire.MACS + wire.IPV4 + b"\x41" + packet[1:],
        wire.MACS + wire.IPV4 + packet[:32] + b"\x10" + packet[33:],
    ]
    capture, said = read(written(tmp_path, pcap([*damaged, *map(ethernet, session())])))
    assert is_whole(said)
    assert [text.partition(": ")[2] for text in capture.warnings()] == [
        f"{len(damaged)} packets are left out: damaged, or cut inside its headers"
    ]


def test_frames_that_dpkt_cannot_read_are_counted(tmp_path: Path) -> None:
    """It says so in many ways."""
    capture, said = read(written(tmp_path, pcap([b"\x45", b"\x60", *session()], 101)))
    assert is_whole(said)
    assert capture.layers.unreadable == 2


def test_ports_are_counted_up_to_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of all ports does not fill the memory."""
    monkeypatch.setattr("smtpguard.evidence.capture.layers.PORTS_MAX", 1)
    frames = [ethernet(packet) for port in (80, 443) for packet in session(upstream=(UPSTREAM[0], port))]
    with pytest.raises(CaptureError, match=r"ports with their packets: 80 \(11\); name"):
        read(written(tmp_path, pcap(frames)))


def test_a_snapshot_length_makes_holes(tmp_path: Path) -> None:
    """68 octets of each packet: of a line of 16 octets the first 14 are there."""
    frames = [Record(frame[:68], len(frame)) for frame in map(ethernet, session())]
    _, said = read(written(tmp_path, pcap(frames)))
    holes = [one.item for one in said if isinstance(one.item, Hole)]
    assert [(hole.side, hole.offset, hole.octets) for hole in holes] == [(U, 14, 8)]

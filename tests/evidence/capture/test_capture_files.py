"""Containers: pcap and pcapng in all their forms give the same session at the same time; damage is said, not hidden."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from smtpguard.evidence.capture.capture import CaptureError
from smtpguard.evidence.capture.files import CaptureFile, NoCaptureError
from tests.evidence import packets as wire
from tests.evidence.captures import C, heard, is_whole, read, session, written
from tests.evidence.packets import CLIENT, START, Record, ethernet, pcap, pcapng

CONTAINERS: dict[str, Callable[[list[bytes]], bytes]] = {
    "pcap": pcap,
    "pcap, big-endian": lambda frames: pcap(frames, order=">"),
    "pcap, nanoseconds": lambda frames: pcap(frames, nano=True),
    "pcap, nanoseconds, big-endian": lambda frames: pcap(frames, nano=True, order=">"),
    "pcapng": pcapng,
    "pcapng, big-endian": lambda frames: pcapng(frames, order=">"),
    "gzipped pcap": lambda frames: gzip.compress(pcap(frames)),
    "gzipped in two members": lambda frames: gzip.compress(pcap(frames)[:400]) + gzip.compress(pcap(frames)[400:]),
    "gzipped pcapng": lambda frames: gzip.compress(pcapng(frames)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_session_at_the_same_time(name: str, tmp_path: Path) -> None:
    """Both byte orders, micro- and nanoseconds, plain and gzipped; the clock is the capture's."""
    capture, said = read(written(tmp_path, CONTAINERS[name](list(map(ethernet, session())))))
    assert is_whole(said)
    assert capture.first == pytest.approx(START, abs=1e-4)
    # The greeting is the fourth packet, three milliseconds later.
    assert said[0].item.at == pytest.approx(START + 0.003, abs=1e-4)
    assert list(capture.warnings()) == []


def test_a_modified_pcap_has_longer_record_headers(tmp_path: Path) -> None:
    """The variant of old kernels: eight octets more before each packet."""
    whole = pcap(list(map(ethernet, session())))
    parts, at = [struct.pack("<I", 0xA1B2CD34), whole[4:24]], 24
    while at < len(whole):
        size = struct.unpack_from("<I", whole, at + 8)[0]
        parts += [whole[at : at + 16], b"\1\2\3\4\5\6\7\0", whole[at + 16 : at + 16 + size]]
        at += 16 + size
    assert is_whole(read(written(tmp_path, b"".join(parts)))[1])


def test_a_pcapng_of_two_interfaces_is_read_with_the_terms_of_each(tmp_path: Path) -> None:
    """CLIENT's packets come from an Ethernet card in nanoseconds with an offset, UPSTREAM's from `any` in 2^-10 s."""
    blocks = [
        wire.section(),
        wire.interface(1, options=wire.option(9, b"\x09") + wire.option(14, struct.pack("<q", 1000))),
        wire.interface(113, options=wire.option(1, b"a comment") + wire.option(9, b"\x8a") + wire.option(0, b"")),
    ]
    for number, packet in enumerate(session()):
        milliseconds = START * 1000 + number * 1000
        if packet[12:16] == wire.octets_of(CLIENT[0]):
            blocks.append(wire.enhanced(Record(ethernet(packet)), (milliseconds - 1_000_000) * 1_000_000))
        else:
            blocks.append(wire.enhanced(Record(wire.sll(packet), interface=1), milliseconds * 1024 // 1000))
    _, said = read(written(tmp_path, b"".join(blocks)))
    assert is_whole(said)
    assert [one.item.at for one in said[:2]] == [START + 3, START + 4]


def test_blocks_that_nobody_knows_are_skipped(tmp_path: Path) -> None:
    """Name resolution, statistics, a private block, and one larger than any packet."""
    frames = list(map(ethernet, session()))
    odd = wire.block(4, b"names") + wire.block(5, bytes(12)) + wire.block(0x40000BAD, bytes(20 * 1024 * 1024))
    blocks = [wire.section(), wire.interface(1), odd]
    blocks += [wire.enhanced(frame, 0) + wire.block(0xBAD, b"?") for frame in frames]
    assert is_whole(read(written(tmp_path, b"".join(blocks)))[1])


def test_a_second_section_has_interfaces_and_an_order_of_its_own(tmp_path: Path) -> None:
    """Two captures, one behind the other in one file (`cat a b`)."""
    packets = session()
    first = pcapng(list(map(ethernet, packets[:5])))
    second = pcapng(list(map(wire.sll2, packets[5:])), 276, order=">")
    assert is_whole(read(written(tmp_path, first + second))[1])


def test_simple_and_obsolete_packet_blocks_are_read(tmp_path: Path) -> None:
    """A simple block has neither interface nor time: the time is that of the packet before."""
    first, *rest = map(ethernet, session())
    high, low = divmod(START * 1_000_000, 2**32)
    old = wire.block(2, struct.pack("<HHIIII", 0, 0, high, low, len(first), len(first)) + first)
    simple = [wire.block(3, struct.pack("<I", len(frame)) + frame) for frame in rest]
    _, said = read(written(tmp_path, b"".join([wire.section(), wire.interface(1), old, *simple])))
    assert is_whole(said)
    assert said[0].item.at == START


# --- what is no capture, or not all of one ----------------------------------------------------------------------------

WHOLE = pcap(list(map(ethernet, session())))
WHOLE_NG = pcapng(list(map(ethernet, session())))


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        pytest.param(WHOLE[:-3], f"it ends inside a packet, {len(WHOLE) - 3} octets from its start", id="packet"),
        pytest.param(WHOLE[:-70], "it ends inside a record header", id="record header"),
        pytest.param(
            WHOLE + b"\xff" * 16, f"the record header {len(WHOLE)} octets from its start is damaged", id="junk"
        ),
        pytest.param(WHOLE_NG[:-3], f"it ends inside a block, {len(WHOLE_NG) - 3} octets from its start", id="block"),
        pytest.param(WHOLE_NG + b"\6\0", f"it ends inside a block, {len(WHOLE_NG) + 2} octets", id="block type"),
        pytest.param(WHOLE_NG + wire.block(6, bytes(8)), "is damaged", id="short packet block"),
        pytest.param(WHOLE_NG + wire.enhanced(Record(b"?", interface=1), 0), "is damaged", id="no such interface"),
        pytest.param(
            WHOLE_NG + wire.section() + wire.block(3, bytes(8)), "is damaged", id="simple packet without interface"
        ),
        pytest.param(WHOLE_NG + b"\x0a\x0d\x0d\x0a" + bytes(20), "the section header", id="section"),
        pytest.param(WHOLE_NG + b"\6\0\0\0\x0d\0\0\0" + bytes(9), "is damaged", id="odd length"),
        pytest.param(WHOLE_NG + b"\6\0\0\0\0\0\0\x7f" + bytes(9), "is damaged", id="two gigabyte"),
        pytest.param(gzip.compress(WHOLE)[:-12], "its gzip stream is cut or damaged", id="gzip"),
        pytest.param(gzip.compress(WHOLE)[:-8] + bytes(8), "its gzip stream is cut or damaged", id="gzip's sum"),
    ],
)
def test_what_stands_before_the_damage_is_judged_and_the_place_is_said(octets: bytes, why: str, tmp_path: Path) -> None:
    """A full disk, a broken copy: nothing that was there is lost."""
    capture, said = read(written(tmp_path, octets))
    assert heard(said, C).startswith(b"EHLO c.example\r\n")
    assert why in capture.cut
    assert next(capture.warnings()).endswith("what stands before is judged")


@pytest.mark.parametrize(
    ("octets", "code", "why"),
    [
        pytest.param(b"", 65, "no packet capture: it is empty", id="empty"),
        pytest.param(b"220 mx.example ESMTP\r\n", 65, "it begins with b'220 '", id="text"),
        pytest.param(b"\x1f\x8b\x08" + bytes(20), 65, "gzipped and damaged", id="damaged gzip"),
        pytest.param(gzip.compress(b"220 mx"), 65, "it begins with b'220 '", id="gzipped text"),
        pytest.param(WHOLE[:10], 66, "no packet in this capture (it ends inside the file header", id="cut file header"),
        pytest.param(WHOLE[:24], 66, "no packet in this capture", id="no packet"),
        pytest.param(pcap([b"\0" * 60], 65), 65, "link type 65 is not known", id="link type"),
        pytest.param(
            pcap(map(ethernet, session(upstream=("192.0.2.9", 2525)) + session(upstream=("192.0.2.9", 80))[:4])),
            66,
            "no TCP connection to port 25 or 587 among 15 packets; ports with their packets: 2525 (11), 80 (4); "
            "name one with --port",
            id="other ports",
        ),
        pytest.param(pcap([wire.MACS + b"\x08\x06" + bytes(46)]), 66, "there is no TCP in it at all", id="no TCP"),
        pytest.param(pcap([ethernet(session()[3])[:30]]), 66, "it holds damaged packets only", id="damage only"),
    ],
)
def test_what_is_no_capture_of_mail_is_said_once(octets: bytes, code: int, why: str, tmp_path: Path) -> None:
    """One message with file, cause and cure, and the exit code that says which kind of mistake it is."""
    file = written(tmp_path, octets)
    with pytest.raises(CaptureError) as error:
        read(file)
    assert (error.value.code, str(error.value).startswith(f"{file}: ")) == (code, True)
    assert why in str(error.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A directory, or none at all."""
    for file in (tmp_path, tmp_path / "none.pcap"):
        with pytest.raises(CaptureError) as error:
            read(file)
        assert error.value.code == 74


def test_a_link_type_among_others_that_is_not_known_is_a_warning(tmp_path: Path) -> None:
    """The packets of the other interface are judged."""
    frames = [Record(frame, interface=1) for frame in map(ethernet, session())]
    blocks = [wire.section(), wire.interface(65), wire.interface(1), wire.enhanced(Record(b"?"), 0)]
    capture, said = read(written(tmp_path, b"".join(blocks + [wire.enhanced(frame, 0) for frame in frames])))
    assert is_whole(said)
    assert [text.partition(": ")[2] for text in capture.warnings()] == [
        "1 packet is left out: of a link type that is not known (65)"
    ]


def test_an_interface_that_is_damaged_has_no_known_link_type(tmp_path: Path) -> None:
    """Its packets are counted, those of the others are judged."""
    frames = [Record(frame, interface=1) for frame in map(ethernet, session())]
    blocks = [wire.section(), wire.block(1, bytes(4)), wire.interface(1), wire.enhanced(Record(b"?"), 0)]
    capture, said = read(written(tmp_path, b"".join(blocks + [wire.enhanced(frame, 0) for frame in frames])))
    assert is_whole(said)
    assert capture.layers.unknown == {-1: 1}


def test_a_file_that_the_kernel_will_not_read_is_said() -> None:
    """Opened, but its first octet cannot be read."""
    with pytest.raises(CaptureError) as error:
        read(Path("/proc/self/mem"))
    assert error.value.code == 74


def test_the_file_is_closed_when_it_is_no_capture(tmp_path: Path) -> None:
    """No warning of a file left open: pytest makes errors of them."""
    with pytest.raises(NoCaptureError):
        CaptureFile(written(tmp_path, b"GET / HTTP/1.1\r\n"))

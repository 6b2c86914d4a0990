"""PROXY headers laid out by hand after the specification, and a caller that reads one."""

from smtpguard.net.proxy import Header, HeaderReader

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
IPV4 = bytes.fromhex("c6336407 c0000219 a87a 0019")  # 198.51.100.7:43130 to 192.0.2.25:25
IPV6 = bytes.fromhex("20010db8000000000000000000000007 20010db8000000000000000000000019 ffff 0000")
MAPPED = bytes.fromhex("00000000000000000000ffffc6336407 20010db8000000000000000000000019 0001 0019")


def v2(command: int, family: int, block: bytes = b"") -> bytes:
    """Lay out a header: signature, version and command, family and transport, length, block."""
    return SIGNATURE + bytes((command, family, len(block) >> 8, len(block) & 0xFF)) + block


def tlv(kind: int, value: bytes) -> bytes:
    """Lay out a vector: type, length in two octets, value."""
    return bytes((kind, len(value) >> 8, len(value) & 0xFF)) + value


def tls(client: int, *vectors: bytes) -> bytes:
    """Lay out an SSL vector: client, verify in four octets, vectors."""
    return tlv(0x20, bytes((client, 0, 0, 0, 1)) + b"".join(vectors))


def read(octets: bytes, at_once: int = 1 << 16) -> tuple[Header | None, int]:
    """Feed a reader what it wants, at most so many at once; return the header and how many octets it took."""
    reader, taken, header = HeaderReader(), 0, None
    while taken < len(octets) and reader.wanted:
        piece = octets[taken : taken + min(reader.wanted, at_once)]
        taken += len(piece)
        header = reader.put(piece)
        assert reader.got == taken
        assert (header is None) is (reader.wanted > 0)
    return header, taken

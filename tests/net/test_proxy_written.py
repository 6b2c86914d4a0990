"""The PROXY headers that we write, octet by octet, and the checksum in them."""

import pytest

from smtpguard.net.proxy import header_v1, header_v2
from smtpguard.net.proxy.crc32c import crc32c
from tests.net.headers import IPV4, MAPPED, read, tlv, v2


@pytest.mark.parametrize(
    ("source", "destination", "line"),
    [
        (("192.0.2.1", 43130), ("192.0.2.25", 25), b"PROXY TCP4 192.0.2.1 192.0.2.25 43130 25\r\n"),
        (("::ffff:192.0.2.1", 0), ("192.0.2.25", 65535), b"PROXY TCP4 192.0.2.1 192.0.2.25 0 65535\r\n"),
        (("2001:DB8::1", 1), ("fe80::2%eth0", 25), b"PROXY TCP6 2001:db8::1 fe80::2 1 25\r\n"),
        (("192.0.2.1", 1), ("2001:db8::2", 25), b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 25\r\n"),
        (("2001:db8::2", 1), ("192.0.2.1", 25), b"PROXY TCP6 2001:db8::2 ::ffff:192.0.2.1 1 25\r\n"),
    ],
)
def test_lines(source: tuple[str, int], destination: tuple[str, int], line: bytes) -> None:
    """The line names one family for both addresses."""
    assert header_v1(source, destination) == line


def test_block_ipv4() -> None:
    """PROXY, TCP over IPv4, addresses, ports, CRC32c, unique id."""
    assert header_v2(("198.51.100.7", 43130), ("192.0.2.25", 25), session_id="01JDFZ8Q0V7M") == (
        v2(0x21, 0x11, IPV4 + tlv(3, bytes.fromhex("6db274b5")) + tlv(5, b"01JDFZ8Q0V7M"))
    )


def test_block_mapped_with_tls() -> None:
    """An IPv4 CLIENT before an IPv6 destination is mapped; a TLS version brings the SSL vector."""
    written = header_v2(
        ("198.51.100.7", 1), ("2001:db8::19", 25), session_id="01JDFZ8Q0V7M", tls_version="TLSv1.3", cipher="AES"
    )
    assert written == v2(
        0x21,
        0x21,
        MAPPED
        + tlv(3, bytes.fromhex("9d62eea8"))
        + tlv(5, b"01JDFZ8Q0V7M")
        + bytes.fromhex("20 0015 01 00000001 21 0007 544c5376312e33 23 0003 414553"),
    )


def test_tls_without_cipher() -> None:
    """A cipher that is not known is not told."""
    written = header_v2(("198.51.100.7", 43130), ("192.0.2.25", 25), session_id="s", tls_version="TLSv1.2")
    assert written.endswith(bytes.fromhex("05 0001 73 20 000f 01 00000001 21 0007 544c5376312e32"))


def test_the_longest_that_we_write() -> None:
    """A header of ours fits into the 536 octets that every receiver must take, and into our own reader."""
    source, destination = ("2001:db8::1", 65535), ("2001:db8::2", 65535)
    longest = header_v2(source, destination, session_id="s" * 128, tls_version="T" * 32, cipher="C" * 64)
    assert len(longest) == 300
    header, _ = read(longest)
    assert header
    assert (header.unique_id, header.tls_version) == (b"s" * 128, "T" * 32)


@pytest.mark.parametrize(
    ("session_id", "tls_version", "cipher"),
    [("", "", ""), ("s" * 129, "", ""), ("ä", "", ""), ("a\n", "", ""), ("s", "T" * 33, ""), ("s", "T", "C" * 65)],
)
def test_texts_that_are_not_written(session_id: str, tls_version: str, cipher: str) -> None:
    """What is too long, empty or not printable ASCII is a mistake of ours."""
    with pytest.raises(ValueError):
        header_v2(("::1", 1), ("::1", 1), session_id=session_id, tls_version=tls_version, cipher=cipher)


@pytest.mark.parametrize("endpoint", [("", 1), ("mail.example", 1), ("1.2.3.4\r\nX", 1), ("::1", -1), ("::1", 65536)])
def test_no_endpoints(endpoint: tuple[str, int]) -> None:
    """What is no address, or no port, is written in neither place of neither version."""
    for source, destination in ((endpoint, ("::1", 1)), (("::1", 1), endpoint)):
        with pytest.raises(ValueError):
            header_v1(source, destination)
        with pytest.raises(ValueError):
            header_v2(source, destination, session_id="s")


@pytest.mark.parametrize(
    ("octets", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # these four: RFC 3720 B.4, there with the lowest octet first
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_crc32c(octets: bytes, checksum: int) -> None:
    """The checksum is the one of the published examples."""
    assert crc32c(octets) == checksum

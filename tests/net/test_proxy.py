"""The PROXY protocol by octets laid out by hand after the specification: what is read, what is refused and when."""

from functools import partial

import pytest

from smtpguard.net.proxy import BadHeader, Header, HeaderReader
from tests.net.headers import IPV4, IPV6, MAPPED, SIGNATURE, read, tls, tlv, v2


def header(
    version: int,
    source: tuple[str, int],
    destination: tuple[str, int],
    *,
    unique_id: bytes = b"",
    tls: bool = False,
    tls_version: str = "",
) -> Header:
    """Return what a header says."""
    return Header(
        version=version,
        local=False,
        source_ip=source[0],
        source_port=source[1],
        destination_ip=destination[0],
        destination_port=destination[1],
        unique_id=unique_id,
        tls=tls,
        tls_version=tls_version,
    )


of_ipv4 = partial(header, 2, ("198.51.100.7", 43130), ("192.0.2.25", 25))
"""What a header with `IPV4` says."""

CHECKED = v2(0x21, 0x11, IPV4 + tlv(0x05, b"0123456789ab") + tlv(0x03, bytes.fromhex("0f570fe8")))

GOOD = {
    "v1 IPv4": (
        b"PROXY TCP4 198.51.100.7 192.0.2.25 43130 25\r\n",
        header(1, ("198.51.100.7", 43130), ("192.0.2.25", 25)),
    ),
    "v1 shortest IPv4, ports 0": (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", header(1, ("0.0.0.0", 0), ("0.0.0.0", 0))),
    "v1 longest IPv4": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        header(1, ("255.255.255.255", 65535), ("255.255.255.255", 65535)),
    ),
    "v1 shortest IPv6": (b"PROXY TCP6 :: ::1 1 25\r\n", header(1, ("::", 1), ("::1", 25))),
    "v1 longest IPv6": (
        b"PROXY TCP6 FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        header(1, (":".join(["ffff"] * 8), 65535), (":".join(["ffff"] * 8), 65535)),
    ),
    "v1 upper case and leading zeros in IPv6": (
        b"PROXY TCP6 2001:0DB8::000A 2001:db8:0:0:0:0:0:19 1 25\r\n",
        header(1, ("2001:db8::a", 1), ("2001:db8::19", 25)),
    ),
    "v1 mapped": (
        b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:c000:219 1 25\r\n",
        header(1, ("198.51.100.7", 1), ("192.0.2.25", 25)),
    ),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", Header(version=1, local=True)),
    "v1 UNKNOWN with more": (b"PROXY UNKNOWN ::1 \0\xff x\r\n", Header(version=1, local=True)),
    "v1 UNKNOWN of 107 octets": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", Header(version=1, local=True)),
    "v2 IPv4": (v2(0x21, 0x11, IPV4), of_ipv4()),
    "v2 IPv6": (
        v2(0x21, 0x21, IPV6),
        header(2, ("2001:db8::7", 65535), ("2001:db8::19", 0)),
    ),
    "v2 mapped": (
        v2(0x21, 0x21, MAPPED),
        header(2, ("198.51.100.7", 1), ("2001:db8::19", 25)),
    ),
    "v2 LOCAL": (v2(0x20, 0x00), Header(version=2, local=True)),
    "v2 LOCAL with addresses": (v2(0x20, 0x11, IPV4), Header(version=2, local=True)),
    "v2 LOCAL of any family, any block": (v2(0x20, 0xFF, b"\x05\xff"), Header(version=2, local=True)),
    "v2 UNSPEC": (v2(0x21, 0x00), Header(version=2, local=True)),
    "v2 UNSPEC stream with a block": (v2(0x21, 0x01, b"junk"), Header(version=2, local=True)),
    "v2 unique id": (v2(0x21, 0x11, IPV4 + tlv(5, b"\0" * 128)), of_ipv4(unique_id=b"\0" * 128)),
    "v2 NOOP, unknown, twice": (
        v2(0x21, 0x11, IPV4 + tlv(4, b"") + tlv(4, b"pad") + tlv(0xEE, b"") + tlv(0xEE, b"x") + tlv(5, b"id")),
        of_ipv4(unique_id=b"id"),
    ),
    "v2 TLS": (
        v2(0x21, 0x11, IPV4 + tls(1, tlv(0x23, b"AES"), tlv(0x21, b"TLSv1.3"))),
        of_ipv4(tls=True, tls_version="TLSv1.3"),
    ),
    "v2 TLS, a client's certificate, no version": (v2(0x21, 0x11, IPV4 + tls(7)), of_ipv4(tls=True)),
    "v2 no TLS": (v2(0x21, 0x11, IPV4 + tls(6, tlv(0x21, b"TLSv1.3"))), of_ipv4()),
    "v2 TLS version not printable": (v2(0x21, 0x11, IPV4 + tls(1, tlv(0x21, b"TLS\n"))), of_ipv4(tls=True)),
    "v2 TLS version of 33": (v2(0x21, 0x11, IPV4 + tls(1, tlv(0x21, b"T" * 33))), of_ipv4(tls=True)),
    "v2 CRC32c": (CHECKED, of_ipv4(unique_id=b"0123456789ab")),
    "v2 longest": (v2(0x21, 0x11, IPV4 + tlv(4, bytes(2048 - 15))), of_ipv4()),
}

PIECES = pytest.mark.parametrize("at_once", [1, 2, 7, 1 << 16])


@PIECES
@pytest.mark.parametrize(("octets", "header"), GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("behind", [b"", b"EHLO client.example\r\n", b"\r\n", b"\x16\x03\x01"])
def test_good_headers(octets: bytes, header: Header, behind: bytes, at_once: int) -> None:
    """Each says what it says however it is cut, and not one octet behind it is taken."""
    assert read(octets + behind, at_once) == (header, len(octets))


@pytest.mark.parametrize("octets", [octets for octets, _ in GOOD.values()], ids=GOOD)
def test_no_header_ends_early(octets: bytes) -> None:
    """At no point before its end is a header judged, or wanted to be longer than it is."""
    reader = HeaderReader()
    for place in range(len(octets)):
        assert 0 < reader.wanted <= len(octets) - place
        header = reader.put(octets[place : place + 1])
        assert (header is not None) is (place + 1 == len(octets))
    assert reader.wanted == 0


WRONG_V1 = {
    # The line as far as it may be read; the last octet is the first that is wrong.
    b"E": "no PROXY header",
    b"p": "no PROXY header",
    b" ": "no PROXY header",
    b"\n": "no PROXY header",
    b"PROXy": "no PROXY header",
    b"PROXY\t": "no PROXY header",
    b"PROXY  ": "PROXY v1 header of an unknown protocol",
    b"PROXY t": "PROXY v1 header of an unknown protocol",
    b"PROXY TCP5": "PROXY v1 header of an unknown protocol",
    b"PROXY TCP4\r": "PROXY v1 header of an unknown protocol",
    b"PROXY UD": "PROXY v1 header of an unknown protocol",
    b"PROXY UNKNOWNs": "PROXY v1 header of an unknown protocol",
    b"PROXY UNKNOWN\n": "PROXY v1 header of an unknown protocol",
    b"PROXY UNKNOWN\rx": "PROXY v1 header with a bare CR",
    b"PROXY UNKNOWN \r\r": "PROXY v1 header with a bare CR",
    b"PROXY UNKNOWN \n": "PROXY v1 header with a bare LF",
    b"PROXY UNKNOWN " + b"f" * 92: "PROXY v1 header of more than 107 octets",
    b"PROXY TCP4  ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 :": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 2001": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 256": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 01": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 1..": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 1.2.3 ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 1.2.3.4.": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 1.2.3.4%": "PROXY v1 header with a wrong source address",
    b"PROXY TCP4 1.2.3.4\r": "PROXY v1 header of too few fields",
    b"PROXY TCP4 1.2.3.4  ": "PROXY v1 header with a wrong destination address",
    b"PROXY TCP4 1.2.3.4 1.2.3.00": "PROXY v1 header with a wrong destination address",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 +": "PROXY v1 header with a wrong source port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 -": "PROXY v1 header with a wrong source port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4  ": "PROXY v1 header with a wrong source port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 04": "PROXY v1 header with a wrong source port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536": "PROXY v1 header with a wrong source port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 4_": "PROXY v1 header with a wrong source port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r": "PROXY v1 header of too few fields",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \xb2": "PROXY v1 header with a wrong destination port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r": "PROXY v1 header with a wrong destination port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n": "PROXY v1 header with a wrong destination port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 100000": "PROXY v1 header with a wrong destination port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ": "PROXY v1 header with a wrong destination port",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r": "PROXY v1 header with a bare CR",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r ": "PROXY v1 header with a bare CR",
    b"PROXY TCP6 1.2.3.4 ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 fe80::1%": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 [": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 : ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 1::2::3 ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 12345:: ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 1:2:3:4:5:6:7 ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 ::ffff:1.2.3.04 ": "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 " + b"0000:" * 8: "PROXY v1 header with a wrong source address",
    b"PROXY TCP6 ::1 1.2.3.4 ": "PROXY v1 header with a wrong destination address",
}

WRONG_V2 = {
    b"\r\r": "no PROXY header",
    SIGNATURE[:11] + b"\r": "no PROXY header",
    SIGNATURE + b"\x11": "PROXY v2 header of version and command 0x11",
    SIGNATURE + b"\x22": "PROXY v2 header of version and command 0x22",
    SIGNATURE + b"\x21\x02": "PROXY v2 header of family and transport 0x02",
    SIGNATURE + b"\x21\x10": "PROXY v2 header of family and transport 0x10",
    SIGNATURE + b"\x21\x12": "PROXY v2 header of family and transport 0x12",
    SIGNATURE + b"\x21\x22": "PROXY v2 header of family and transport 0x22",
    SIGNATURE + b"\x21\x31": "PROXY v2 header of family and transport 0x31",
    SIGNATURE + b"\x21\x41": "PROXY v2 header of family and transport 0x41",
    SIGNATURE + b"\x21\x11\x9c\x40": "PROXY v2 header of 40016 octets",
    SIGNATURE + b"\x21\x11\x08\x01": "PROXY v2 header of 2065 octets",
    SIGNATURE + b"\x20\x00\xff\xff": "PROXY v2 header of 65551 octets",
    SIGNATURE + b"\x21\x11\x00\x0b": "PROXY v2 header too short for its addresses",
    SIGNATURE + b"\x21\x21\x00\x23": "PROXY v2 header too short for its addresses",
    v2(0x21, 0x11, IPV4 + b"\x04\x00"): "PROXY v2 header with a cut TLV",
    v2(0x21, 0x11, IPV4 + b"\x04\x00\x02x"): "PROXY v2 header with a TLV that overruns it",
    v2(0x21, 0x11, IPV4 + b"\x04\xff\xff"): "PROXY v2 header with a TLV that overruns it",
    v2(0x21, 0x11, IPV4 + tlv(5, b"a") * 2): "PROXY v2 header with two TLVs of type 0x05",
    v2(0x21, 0x11, IPV4 + tls(1) * 2): "PROXY v2 header with two TLVs of type 0x20",
    v2(0x21, 0x11, IPV4 + tlv(5, b"a" * 129)): "PROXY v2 header with a unique id of 129 octets",
    v2(0x21, 0x11, IPV4 + tlv(0x20, b"\1\0\0\0")): "PROXY v2 header with a cut SSL TLV",
    v2(0x21, 0x11, IPV4 + tls(1, b"\x21\0")): "PROXY v2 header with a cut TLV",
    v2(0x21, 0x11, IPV4 + tls(1, b"\x21\0\2T") + tlv(4, b"x")): "PROXY v2 header with a TLV that overruns it",
    v2(0x21, 0x11, IPV4 + tls(1, tlv(0x21, b"") * 2)): "PROXY v2 header with two TLVs of type 0x21",
    v2(0x21, 0x11, IPV4 + tlv(3, b"abc")): "PROXY v2 header with a wrong CRC32c",
    v2(0x21, 0x11, IPV4 + tlv(3, b"abcde")): "PROXY v2 header with a wrong CRC32c",
    v2(0x21, 0x11, IPV4 + tlv(3, bytes(4))): "PROXY v2 header with a wrong CRC32c",
    CHECKED[:-1] + b"\xe9": "PROXY v2 header with a wrong CRC32c",
    CHECKED[:16] + b"\xc7" + CHECKED[17:]: "PROXY v2 header with a wrong CRC32c",
}
WRONG = WRONG_V1 | WRONG_V2


@pytest.mark.parametrize(("octets", "reason"), WRONG.items(), ids=map(ascii, WRONG))
def test_wrong_headers(octets: bytes, reason: str) -> None:
    """Each is refused with its first wrong octet, not before, and then nothing more is wanted."""
    reader = HeaderReader()
    for octet in octets[:-1]:
        assert reader.put(bytes((octet,))) is None
    with pytest.raises(BadHeader) as refusal:
        reader.put(octets[-1:])
    assert refusal.value.reason == str(refusal.value) == reason
    assert reader.wanted == 0


@PIECES
@pytest.mark.parametrize(("octets", "reason"), WRONG.items(), ids=map(ascii, WRONG))
def test_wrong_headers_cut(octets: bytes, reason: str, at_once: int) -> None:
    """However it is cut, the reason is the same, with octets behind it or without."""
    with pytest.raises(BadHeader) as refusal:
        read(octets + b"EHLO client.example\r\n", at_once)
    assert refusal.value.reason == reason


def test_first_wanted() -> None:
    """Nothing shorter than `PROXY UNKNOWN` is a header, so 15 octets are safe to read, and 1 more of version 2."""
    reader = HeaderReader()
    assert (reader.wanted, reader.got) == (15, 0)
    assert reader.put(CHECKED[:15]) is None
    assert reader.wanted == 1
    assert reader.put(CHECKED[15:16]) is None
    assert (reader.wanted, reader.got) == (len(CHECKED) - 16, 16)


@pytest.mark.parametrize("octets", [b"", b"PROXY TCP4 1.2.3.4 "])
def test_what_the_caller_must_not_do(octets: bytes) -> None:
    """No octets are no news, and more than wanted are not ours; neither spoils the header."""
    reader = HeaderReader()
    with pytest.raises(ValueError):
        reader.put(octets)
    assert (reader.wanted, reader.got) == (15, 0)
    assert reader.put(b"PROXY UNKNOWN\r\n") == Header(version=1, local=True)
    with pytest.raises(ValueError):
        reader.put(b"E")

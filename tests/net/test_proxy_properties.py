"""The PROXY protocol: what holds for every header, and for octets that are none."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from smtpguard.net.proxy import BadHeader, Header, HeaderReader, header_v1, header_v2
from smtpguard.net.proxy.v2 import LONGEST

Address = IPv4Address | IPv6Address

MAPPED = st.ip_addresses(v=4).map(lambda address: IPv6Address(f"::ffff:{address}"))
ENDPOINTS = st.tuples(st.ip_addresses() | MAPPED, st.integers(0, 0xFFFF))
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=32)
CUTS = st.lists(st.integers(1, 40), min_size=1)

FRONTS = [
    b"",
    b"PROXY ",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2",
    b"PROXY TCP6 ::1 ",
    b"PROXY UNKNOWN",
    *(
        b"\r\n\r\n\0\r\nQUIT\n" + rest
        for rest in (b"", b"\x21\x11\0\x30", b"\x21\x21\0\x40", b"\x21\x11\x08\0", b"\x20")
    ),
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x30" + bytes(12) + b"\x20\0\x20\1\0\0\0\0\x21",
]
WORDS = st.sampled_from([b" ", b"\r\n", b"1.2.3.4", b"::", b"25", b"TCP4 ", b"\x03\0\4", b"\x05\0", b"\x20\0", b"\xff"])
OCTETS = st.tuples(st.sampled_from(FRONTS), st.lists(WORDS | st.binary(max_size=60)).map(b"".join)).map(b"".join)


def text(endpoint: tuple[Address, int]) -> tuple[str, int]:
    """Return the endpoint as the rest of the program has it."""
    return str(endpoint[0]), endpoint[1]


def folded(address: Address) -> str:
    """Return the address as a header should tell it."""
    return str(getattr(address, "ipv4_mapped", None) or address)


def meant(version: int, source: tuple[Address, int], destination: tuple[Address, int]) -> Header:
    """Return what a header between these endpoints should say."""
    return Header(
        version=version,
        local=False,
        source_ip=folded(source[0]),
        source_port=source[1],
        destination_ip=folded(destination[0]),
        destination_port=destination[1],
    )


def read(octets: bytes, cuts: list[int]) -> tuple[Header | str | None, int]:
    """Feed a reader in pieces of these sizes in turn; return the header, why it is none or None, and what it took."""
    reader, taken, turn = HeaderReader(), 0, 0
    while taken < len(octets) and reader.wanted:
        piece = octets[taken:][: min(reader.wanted, cuts[turn % len(cuts)])]
        taken, turn = taken + len(piece), turn + 1
        assert taken + reader.wanted - len(piece) <= LONGEST
        try:
            header = reader.put(piece)
        except BadHeader as refusal:
            assert reader.wanted == 0
            return refusal.reason, taken
        if header:
            return header, taken
    return None, taken


@given(source=ENDPOINTS, destination=ENDPOINTS, behind=st.binary(max_size=30), cuts=CUTS)
def test_lines_come_back(
    source: tuple[Address, int], destination: tuple[Address, int], behind: bytes, cuts: list[int]
) -> None:
    """A line that is written is read as it was meant, however it is cut, and nothing behind it is taken."""
    line = header_v1(text(source), text(destination))
    assert line.endswith(b"\r\n")
    assert read(line + behind, cuts) == (meant(1, source, destination), len(line))


@given(
    source=ENDPOINTS,
    destination=ENDPOINTS,
    session_id=TEXTS.filter(bool),
    tls_version=TEXTS,
    cipher=TEXTS,
    behind=st.binary(max_size=30),
    cuts=CUTS,
)
def test_blocks_come_back(
    source: tuple[Address, int],
    destination: tuple[Address, int],
    session_id: str,
    tls_version: str,
    cipher: str,
    behind: bytes,
    cuts: list[int],
) -> None:
    """A block that is written is read as it was meant, with its checksum, session and TLS version."""
    block = header_v2(text(source), text(destination), session_id=session_id, tls_version=tls_version, cipher=cipher)
    header = replace(
        meant(2, source, destination), unique_id=session_id.encode(), tls=tls_version != "", tls_version=tls_version
    )
    assert read(block + behind, cuts) == (header, len(block))


@given(octets=OCTETS, cuts=CUTS)
def test_any_octets(octets: bytes, cuts: list[int]) -> None:
    """Any octets are a header, are none, or may become one; how they are cut changes nothing but when that is said."""
    judged, taken = read(octets, cuts)
    alone, alone_taken = read(octets, [1])
    assert judged == alone
    assert alone_taken <= taken
    if isinstance(judged, Header):
        assert taken == alone_taken
    if isinstance(judged, str):
        assert judged.isascii()
        assert judged.isprintable()
    if judged is None:
        assert taken == len(octets)


@given(place=st.integers(0, 8 * 50 - 1))
def test_no_bit_flips_unseen(place: int) -> None:
    """Any one bit of a block being wrong, it tells no other CLIENT: it is refused, waits, names none, or lost its
    checksum only."""
    good = header_v2(("192.0.2.1", 1), ("192.0.2.2", 25), session_id="01JDFZ8Q0V7M")
    assert len(good) == 50
    block = bytearray(good)
    block[place // 8] ^= 1 << place % 8
    judged, _ = read(bytes(block), [LONGEST])
    assert not isinstance(judged, Header) or judged.local or judged == read(good, [LONGEST])[0]

"""The dot guard against the automaton of single octets: what is forwarded, and what the content came to."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import Session, Side, policy_for
from tests.model import End, look
from tests.properties.driver import SESSION_ID

POLICY = policy_for()
LETTERS = b"\r\n\0.a"
LONGEST = 7
"""Octets of the contents that are tried exhaustively."""


def in_content() -> Session:
    """Bring a session to the first octet of its content."""
    session = Session(POLICY, session_id=SESSION_ID)
    session.receive(Side.UPSTREAM, b"220 x\r\n")
    session.receive(Side.CLIENT, b"EHLO x\r\n")
    session.receive(Side.UPSTREAM, b"250-x\r\n250 PIPELINING\r\n")
    session.receive(Side.CLIENT, b"MAIL FROM:<a>\r\n")
    session.receive(Side.UPSTREAM, b"250 ok\r\n")
    session.receive(Side.CLIENT, b"RCPT TO:<b>\r\n")
    session.receive(Side.UPSTREAM, b"250 ok\r\n")
    session.receive(Side.CLIENT, b"DATA\r\n")
    session.receive(Side.UPSTREAM, b"354 go\r\n")
    return session


def check(content: bytes, sizes: list[int]) -> None:
    """Feed `content` in pieces and compare each step with the automaton's."""
    session, up, down, at = in_content(), b"", b"", 0
    for size in sizes:
        out = session.receive(Side.CLIENT, content[at : at + size])
        at += size
        up += b"".join(bytes(each) for each in out.up)
        down += b"".join(bytes(each) for each in out.down)
        sight = look(content[:at])
        if sight.end is End.HIDDEN:
            assert content[: sight.forwardable].startswith(up), (content, at)
            assert session.over, (content, at)
            assert session.ending is not None
            assert session.ending.cut
            assert down.startswith(b"550 5.5.2 "), (content, at)
            return
        if sight.end is End.LAWFUL:
            assert up == content[: sight.forwardable], (content, at)
            assert not session.over
            verdict = session.receive(Side.UPSTREAM, b"250 queued\r\n")
            assert b"".join(bytes(each) for each in verdict.down).startswith(b"250 queued\r\n")
            return
        assert up == content[: sight.forwardable], (content, at)
        assert not session.over, (content, at)
    assert down == b""


def test_every_short_content_whole() -> None:
    """All contents of CR, LF, NUL, dot and a letter, up to seven octets, in one piece."""
    for length in range(1, LONGEST + 1):
        for octets in product(LETTERS, repeat=length):
            check(bytes(octets), [length])


def test_every_short_content_octet_by_octet() -> None:
    """The same contents in single octets, those left out that came to an end before their last octet."""
    for length in range(1, LONGEST + 1):
        for octets in product(LETTERS, repeat=length):
            content = bytes(octets)
            if look(content[:-1]).end is End.NONE:
                check(content, [1] * length)


def test_every_short_content_behind_plain_lines() -> None:
    """All contents of up to five octets behind and before so much plain text that the quick way through is taken."""
    for length in range(1, 6):
        for octets in product(LETTERS, repeat=length):
            content = b"plain text\r\n" + bytes(octets) + b"plain text\r\n"
            check(content, [len(content)])
            check(content, [12, length, 12])


pieces_of_content = st.lists(
    st.one_of(
        st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"\0", b"\r\n.", b"\r\n.\r\n", b"\n.\n", b"a", b"text " * 4]),
        st.integers(0, 70).map(lambda count: b"\0" * count),
        st.integers(0, 300).map(lambda count: b"plain\r\n" * count),
    ),
    max_size=12,
).map(b"".join)


@given(content=pieces_of_content, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_longer_contents_cut_anywhere(content: bytes, sizes: list[int]) -> None:
    """Random contents with long runs of NUL and of plain lines, cut anywhere."""
    covered: list[int] = []
    while sum(covered) < len(content):
        covered.append(sizes[len(covered)] if len(covered) < len(sizes) else len(content))
    check(content, covered)


@given(content=pieces_of_content, other=st.binary(max_size=30), size=st.integers(1, 7))
def test_octets_of_every_kind(content: bytes, other: bytes, size: int) -> None:
    """The same with arbitrary octets between, in pieces of one size."""
    mixed = content[:60] + other + content[60:120]
    check(mixed, [size] * (len(mixed) // size + 1) if mixed else [])

"""BDAT: counting, swallowing, LAST, early refusals, limits, and lines that are none (design rule 13)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.smtp import Side
from tests.model import FakeUpstream, Manner
from tests.model.upstream import BAD_SEQUENCE, MANY_LINES, NOT_KNOWN, OBEY, REFUSE, WRONG_CLASS
from tests.model.words import chunk_size
from tests.properties.driver import HELD, Play, pieces, quarrel, retained
from tests.properties.scripts import HELLO, MAIL, RCPT, Unit, chunk, schedules, unit
from tests.properties.test_sessions import POLICIES, policies

payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"QUIT\r\n", b"\r\n.\r\n", b"BDAT 5 LAST\r\n", b".\n", b"\0" * 70, b"x" * 3000]),
)
whims = st.sampled_from([OBEY, OBEY, OBEY, REFUSE, NOT_KNOWN, MANY_LINES, BAD_SEQUENCE, WRONG_CLASS])
between = st.sampled_from(
    [[], [], [], [unit("NOOP\r\n")], [unit("RSET\r\n")], [MAIL], [RCPT], [unit("DATA\r\n")], [HELLO]]
)


@st.composite
def chunked(draw: st.DrawFn) -> list[Unit]:
    """Draw a session of chunks, in order or not."""
    script = draw(
        st.sampled_from([[HELLO, MAIL, RCPT], [HELLO, MAIL, RCPT], [HELLO, MAIL], [HELLO], [unit("HELO x\r\n"), MAIL]])
    )
    script = list(script)
    for _ in range(draw(st.integers(1, 4))):
        script.append(chunk(draw(payloads), last=draw(st.booleans())))
        script += draw(between)
    return script


@st.composite
def chunking_mtas(draw: st.DrawFn) -> Manner:
    """Draw an MTA that mostly offers CHUNKING."""
    keywords = draw(
        st.sampled_from([("PIPELINING", "CHUNKING"), ("CHUNKING",), ("PIPELINING", "CHUNKING"), ("PIPELINING",)])
    )
    drawn = draw(st.lists(whims, max_size=8))
    return Manner(keywords=keywords, whims=(OBEY, OBEY, OBEY, *drawn), permissive=draw(st.booleans()))


@given(chunked(), chunking_mtas(), policies, schedules, st.booleans())
def test_streamed_chunks(
    script: list[Unit], manner: Manner, policy: str, schedule: list[int], client_first: bool
) -> None:
    """Chunks sent ahead of every reply, cut anywhere: the model agrees, and what UPSTREAM accepted CLIENT sent so."""
    play = Play(POLICIES[policy].policy, FakeUpstream(manner))
    play.stream(b"".join(one.octets for one in script), [-999, *schedule], client_first=client_first)
    words = quarrel(play, play.model(POLICIES[policy].terms))
    assert not words, f"{words}\n{play.steps}"


@given(chunked(), chunking_mtas(), policies, st.lists(st.integers(1, 30), max_size=10))
def test_chunks_in_lock_step(script: list[Unit], manner: Manner, policy: str, cut: list[int]) -> None:
    """The same, each chunk's reply heard before the next."""
    play = Play(POLICIES[policy].policy, FakeUpstream(manner))
    play.lock_step(script, pieces(cut))
    words = quarrel(play, play.model(POLICIES[policy].terms))
    assert not words, f"{words}\n{play.steps}"


def begin(*, recipients: int = 1, keywords: tuple[str, ...] = ("PIPELINING", "CHUNKING")) -> Play:
    """Bring a session to where a first chunk may stand."""
    play = Play(POLICIES["standard"].policy, FakeUpstream(Manner(keywords=keywords)))
    play.lock_step([HELLO, MAIL, *([RCPT] * recipients)], pieces([]))
    return play


spoilt = st.builds(
    lambda head, size, tail: head + size + tail,
    st.sampled_from(
        [b"BDAT ", b"bdat ", b"BDAT", b" BDAT ", b"BDAT  ", b"BDAT\t", b"\0BDAT ", b"B\x01DAT ", b"BDAT:", b"bDaT "]
    ),
    st.one_of(
        st.integers(0, 99).map(b"%d".__mod__),
        st.sampled_from([b"", b"+1", b"-1", b"0x1", b"1e1", b"2147483648", b"00000000001"]),
    ),
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b" LAST\r\n",
            b" last\r\n",
            b"  LAST\r\n",
            b" LAST \r\n",
            b" FIRST\r\n",
            b" 1\r\n",
            b"\r\r\n",
            b" LAST\n",
        ]
    ),
)


@given(spoilt)
def test_a_line_of_another_shape_closes(line: bytes) -> None:
    """Whatever begins like BDAT and has not its exact shape is answered 501 5.5.4, closed, and never forwarded."""
    play = begin()
    before = play.up
    play.client_says(line + b"QUIT\r\nRSET\r\n")
    if chunk_size(line) is None:
        assert play.session.over
        assert play.down.splitlines()[-1].startswith(b"501 5.5.4 ")
        assert play.up == before
    else:
        assert play.up.startswith(before + line)


@pytest.mark.parametrize("size", [1, 4096, 16 * 1024 * 1024])
def test_a_refused_chunk_is_swallowed_whole(size: int) -> None:
    """No recipient: exactly n octets are read and dropped, then comes the answer, and the next line is a command."""
    play = begin(recipients=0)
    before = play.up
    play.client_says(b"BDAT %d LAST\r\n" % size)
    block = b"RSET\r\n" * 5000
    left = size
    while left:
        assert b"503" not in play.down
        left -= play.client_says(block[: min(left, len(block))])
        assert retained(play.session) <= HELD
    assert play.down.splitlines()[-1].startswith(b"503 5.5.1 ")
    assert play.up == before
    play.client_says(b"NOOP\r\n")
    assert play.up == before + b"NOOP\r\n"


def test_a_refused_chunk_over_the_limit_closes() -> None:
    """Over 16 MiB nothing is swallowed: the answer comes at once and the session ends."""
    play = begin(recipients=0)
    before = play.up
    play.client_says(b"BDAT %d LAST\r\n" % (16 * 1024 * 1024 + 1))
    assert play.session.over
    assert play.down.splitlines()[-1].startswith(b"503 5.5.1 ")
    assert play.up == before


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=20), st.booleans())
def test_a_lawful_chunk_goes_out_at_once(cut: list[int], last: bool) -> None:
    """Every octet of a chunk is forwarded in the read that brought it: nothing of it is held."""
    play = begin()
    size = sum(cut)
    play.client_says(b"BDAT %d%s\r\n" % (size, b" LAST" if last else b""))
    for piece in cut:
        before = len(play.up)
        play.client_says(b"\r\n.\r\n" * 800 if piece == 4000 else b"." * piece)
        assert len(play.up) == before + piece
    assert play.session.receive(Side.CLIENT, b"NOOP\r\n").up == ()

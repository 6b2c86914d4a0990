"""Each framing case whole, byte by byte, cut in two at every octet, and with trailing octets."""

from collections.abc import Iterator
from typing import Final

import pytest

from smtpguard.smtp import Finding, Profile, Session, Side

from .playbook import play
from .stages import DATA, EHLO, GREETED, RCPT

QUIT: Final = b"QUIT\r\n"


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """Give `data` whole, byte by byte, and in two pieces in every way."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def send(session: Session, side: Side, pieces: list[bytes]) -> tuple[bytes, bytes, list[str]]:
    """Let one side send pieces until the session is over; return UPSTREAM's octets, CLIENT's and the rules."""
    up, down, rules = b"", b"", []
    for piece in pieces:
        if session.over:
            break
        out = session.receive(side, piece)
        up, down = up + b"".join(map(bytes, out.up)), down + b"".join(map(bytes, out.down))
        rules += [event.rule.id for event in out.events if isinstance(event, Finding)]
    return up, down, rules


# --- the end of content -----------------------------------------------------------------------------------------------

ENDS: Final = [
    b".\r\n",
    b"\r\n.\r\n",
    b"a\r\n.\r\n",
    b"..\r\n.\r\n",
    b"a\r\r\n.\r\n",
    b"a\n\r\n.\r\n",
    b"\0\r\n.\r\n",
    b".x\r\n.\r\n",
]

# By hand from design rule 10: a lone dot between anything that some reader takes for line ends, not exactly CRLF.CRLF.
HIDDEN: Final = [
    b".\n",
    b".\rx",
    b".\r\rx",
    b".\0\r\n",
    b".\0\n",
    b".\r\0\n",
    b".\r\r\n",
    b"\0.\r\n",
    b"\0.\n",
    b"\0\0.\0\0\r\n",
    b"a\n.\n",
    b"a\n.\r\n",
    b"a\n.\rx",
    b"a\r.\n",
    b"a\r.\r\n",
    b"a\r.\rx",
    b"a\r\n.\n",
    b"a\r\n.\rx",
    b"a\r\n.\r\r\n",
    b"a\r\n\0.\r\n",
    b"a\n\0.\r\n",
    b"a\r\0.\r\n",
    b"a\r\n\0\0\0.\n",
    b"a\r\n.\0\r\n",
    b"a\r\n.\0\n",
    b"a\r\n.\0\r\0\n",
    b"a\n.\0\0\r\n",
    b"a\r\n.\r\0\n",
    b"a\r\n.\r\0\r\n",
    b"a\r\n\n.\r\n",
    b"a\r\n\r.\r\n",
    b"a\n\n.\n",
    b"a\r\n." + bytes(65) + b"x",
    b"a\n." + bytes(65),
    b"a\n" + bytes(200) + b".\n",
    b"a\r\n." + b"\0" * 64 + b"\r\n",
    b"a\r\n.x\n.\r\n",
    b"a\n.x\r.\r",
]

TEXT: Final = [
    b"a.\r\n",
    b"a.\n",
    b"..\r\n",
    b"\r\n..\n",
    b"\n..\n",
    b"\n.x\n",
    b"\r.x",
    b"\0.a\r\n",
    b"\n\0.\0a",
    b"\n.\0x\n",
    b"a\0.\r\n",
    b"x\r\n" + bytes(200) + b"x\r\n",
    b"\n." + b"\0" * 64 + b"x\r\n",
    b". \r\n",
    b".\t\n",
    b"\n .\n",
    b"\r\n.\xff\r\n",
    b"\r\nx.\r.x",
    b"\r\n.\x0b\n",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\r\n.\x1a\n",
]


@pytest.mark.parametrize("behind", [b"", b"MAIL FROM:<x@x>\r\nQUIT\r\n", b".\r\n", b"\n"])
@pytest.mark.parametrize("content", ENDS)
def test_the_end_of_content(content: bytes, behind: bytes) -> None:
    """CRLF.CRLF ends the content: it is forwarded to its last octet, and what stands behind waits for the verdict."""
    for pieces in cuts(content + behind):
        session = play(DATA)
        up, down, _ = send(session, Side.CLIENT, pieces)
        assert (up, down) == (content, b"")
        assert session.waiting.value == "verdict"


@pytest.mark.parametrize("behind", [b"", b"\r\n.\r\nMAIL FROM:<x@x>\r\n"])
@pytest.mark.parametrize("content", HIDDEN)
def test_a_hidden_end_is_never_forwarded(content: bytes, behind: bytes) -> None:
    """A match closes with 550; of the pattern no dot was forwarded, and UPSTREAM is cut; however it is cut."""
    for pieces in cuts(content + behind):
        session = play(DATA, Profile.LENIENT)
        up, down, rules = send(session, Side.CLIENT, pieces)
        assert down.startswith(b"550 5.5.2 ")
        assert rules == ["SG304"]
        assert session.ending is not None
        assert session.ending.cut
        assert content.startswith(up)
        assert b"." not in up.replace(b".x", b"")


@pytest.mark.parametrize("content", TEXT)
def test_a_dot_that_is_text_passes(content: bytes) -> None:
    """What is no pattern passes unchanged, up to the end of content behind it."""
    message = content + b"x\r\n.\r\n"
    for pieces in cuts(message):
        session = play(DATA, Profile.LENIENT)
        assert send(session, Side.CLIENT, pieces) == (message, b"", [])
        assert session.waiting.value == "verdict"


def test_octets_wait_for_the_one_that_decides() -> None:
    """Rule 10: from a possible dot on octets wait; what comes before it does not."""
    session = play(DATA)
    waited = [(b"a\r\n", b"a\r\n"), (b".", b""), (b"\r", b""), (b"\n", b".\r\n")]
    assert [send(session, Side.CLIENT, [sent])[0] for sent, _ in waited] == [up for _, up in waited]
    session = play(DATA)
    waited = [(b"a\n", b"a\n"), (b".", b""), (b"\0", b""), (b"x", b".\0x")]
    assert [send(session, Side.CLIENT, [sent])[0] for sent, _ in waited] == [up for _, up in waited]


@pytest.mark.parametrize("content", [b"a\nb\r\n.\r\n", b"a\rb\r\n.\r\n", b"\n\r\n.\r\n", b"a\r\r\n.\r\n", b"a\r\nb\r"])
def test_bare_newlines_where_strict_close_in_every_cut(content: bytes) -> None:
    """SG305 strict: 550, and never an end of content at UPSTREAM, however the message is cut."""
    for pieces in cuts(content + b"x\r\n.\r\n"):
        session = play(DATA, Profile.STRICT)
        up, down, rules = send(session, Side.CLIENT, pieces)
        assert down.startswith(b"550 5.5.2 ")
        assert rules == ["SG305"]
        assert b"\r\n.\r\n" not in up
        assert session.over


def test_a_bare_newline_is_noted_once_in_every_cut() -> None:
    """SG305 standard: one note a message, and the octets as they are; the next message is noted again."""
    content = b"a\nb\rc\n\r\n.\r\n"
    for pieces in cuts(content):
        session = play(DATA)
        assert send(session, Side.CLIENT, pieces) == (content, b"", ["SG305"])


# --- command lines ----------------------------------------------------------------------------------------------------

LINES: Final = [
    b"NOOP\r\n",
    b"noop x\r\n",
    b"\r\n",
    b"XYZZY\r\n",
    b" \tVRFY a\r\n",
    b"EHLO \xff\r\n",
    b"MAIL FROM:<a>\r\n",
    b"NOOP\n",
    b"\n",
]
REFUSED: Final = [
    (b"NO\0OP\r\n", b"500 5.5.2 "),
    (b"NOOP\r\r\n", b"500 5.5.2 "),
    (b"\0\n", b"500 5.5.2 "),
    (b"RCPT TO:<a>\r\n", b"503 5.5.1 "),
    (b"DATA\r\n", b"503 5.5.1 "),
    (b"XCLIENT a\r\n", b"502 5.5.1 "),
    (b"RCPT TO:<a>\n", b"503 5.5.1 "),
    (b"BDAT 0\r\n", b"503 5.5.1 "),
    (b"BDAT 3\r\nQUI", b"503 5.5.1 "),
    (b"BDAT 3 last\r\n\r\n\n", b"503 5.5.1 "),
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_in_order_in_every_cut(line: bytes) -> None:
    """A whole line is forwarded, and what stands behind it waits for the reply."""
    for behind in (b"", b"x", b"NOOP\r\nNOOP\r\n"):
        for pieces in cuts(line + behind):
            session = play(EHLO)
            up, down, _ = send(session, Side.CLIENT, pieces)
            assert (up, down) == (line, b"")
            assert session.waiting.value == "reply"


@pytest.mark.parametrize(("line", "answer"), REFUSED)
def test_a_refused_line_in_every_cut(line: bytes, answer: bytes) -> None:
    """A refused line hears one answer, nothing of it is forwarded, and the line behind it is."""
    # Behind a refused DATA nothing may stand (SG204).
    behind = b"" if line == b"DATA\r\n" else b"NOOP\r\n"
    for pieces in cuts(line + behind):
        session = play(EHLO)
        up, down, _ = send(session, Side.CLIENT, pieces)
        assert up == behind
        assert down.startswith(answer)
        assert down.count(b"\r\n") == 1
        assert not session.over


@pytest.mark.parametrize("line", [b" BDAT 3\r\n", b"BDAT 3\n", b"B\0DAT 3\r\n", b"BDAT 3  LAST\r\n", b"BDAT\r\n"])
def test_a_malformed_bdat_closes_in_every_cut(line: bytes) -> None:
    """SG306: closed before a single octet of a payload is looked at."""
    for pieces in cuts(line + QUIT):
        session = play(RCPT)
        up, down, rules = send(session, Side.CLIENT, pieces)
        assert (up, down[:10], rules) == (b"", b"501 5.5.4 ", ["SG306"])
        assert session.over


def test_chunks_in_every_cut() -> None:
    """A chunk ends behind n octets, wherever the cuts are."""
    sent = b"BDAT 7\r\n\r\n.\r\n\0\nBDAT 2 LAST\r\n.\nQUIT\r\n"
    for pieces in cuts(sent):
        session = play(RCPT)
        up, down, _ = send(session, Side.CLIENT, pieces)
        assert (up, down) == (sent[:15], b"")
        out = session.receive(Side.UPSTREAM, b"250 Ok\r\n")
        assert b"".join(map(bytes, out.up)) == sent[15:30]
        out = session.receive(Side.UPSTREAM, b"250 Ok\r\n")
        assert b"".join(map(bytes, out.up)) == QUIT


# --- replies ----------------------------------------------------------------------------------------------------------

REPLIES: Final = [
    b"250 Ok\r\n",
    b"250\r\n",
    b"250-a\r\n250 b\r\n",
    b"250-a\r\n250-\r\n250\r\n",
    b"550 5.1.1 \xff\r\n",
    b"451-4.3.0 x\r\n451 y\r\n",
]
BROKEN: Final = [
    b"250 Ok\n",
    b"250-a\r\n550 b\r\n",
    b"250 a\rb\r\n",
    b"250 \0\r\n",
    b"2x0 a\r\n",
    b"\r\n",
    b"250-a\n250 b\r\n",
    b"150 a\r\n",
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_in_every_cut(reply: bytes) -> None:
    """A reply is handed on when it is whole, as it came."""
    for pieces in cuts(reply):
        session = play(EHLO + "C>U VRFY a\n")
        *part, last = pieces
        assert send(session, Side.UPSTREAM, part) == (b"", b"", [])
        assert send(session, Side.UPSTREAM, [last]) == (b"", reply, [])
        assert not session.over


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_with_trailing_octets_in_every_cut(reply: bytes) -> None:
    """The reply is handed on, the rest never: nobody asked for it."""
    for pieces in cuts(reply + b"250 x\r\n"):
        session = play(EHLO + "C>U VRFY a\n")
        up, down, rules = send(session, Side.UPSTREAM, pieces)
        assert up == b""
        assert down.startswith(reply + b"421 4.3.0 ")
        assert down.count(b"\r\n") == reply.count(b"\r\n") + 1
        assert rules == ["SG502"]


@pytest.mark.parametrize("reply", BROKEN)
def test_a_malformed_reply_in_every_cut(reply: bytes) -> None:
    """Out of step however it is cut; not one octet of it is handed on."""
    for pieces in cuts(reply):
        session = play(EHLO + "C>U VRFY a\n")
        up, down, rules = send(session, Side.UPSTREAM, pieces)
        assert (up, down[:10], rules) == (b"", b"421 4.3.0 ", ["SG502"])
        assert session.over


def test_the_greeting_in_every_cut() -> None:
    """The greeting is a reply as any."""
    for pieces in cuts(b"220-up\r\n220 ESMTP\r\n"):
        session = play("")
        assert send(session, Side.UPSTREAM, pieces) == (b"", b"220-up\r\n220 ESMTP\r\n", [])


def test_keywords_in_every_cut() -> None:
    """An EHLO reply cut anywhere sets the keywords: BDAT is in order behind it."""
    for pieces in cuts(b"250-up\r\n250-PIPELINING\r\n250 CHUNKING\r\n"):
        session = play(GREETED + "C>U EHLO a\n")
        send(session, Side.UPSTREAM, pieces)
        up, _, rules = send(session, Side.CLIENT, [b"BDAT 0\r\n"])
        assert (up, rules) == (b"", ["SG103"])

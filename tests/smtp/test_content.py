"""The content scanner by itself: its quick way and its close look give one answer, and nothing is copied needlessly."""

import random
import re
from typing import Final

import pytest

from smtpguard.smtp.content import Content, Fed, Outcome

END: Final = b"\r\n.\r\n"
# Design rule 10, literally; the DATA line's CRLF stands before the content.
GUARD: Final = re.compile(rb"(?=([\r\n]\0*\.[\0\r]*[\r\n]))")


def judged(content: bytes) -> tuple[Outcome, int]:
    """Judge whole content by the letter of the rule: the outcome, and the octet at which it stands."""
    view = b"\r\n" + content
    for match in GUARD.finditer(view):
        dot = view.index(b".", match.start())
        if view[dot - 2 : dot + 3] == END:
            return Outcome.ENDED, dot + 3 - 2
        # CR of the pattern's end may be half of a CRLF that has not come.
        if view[dot - 2 : dot] == b"\r\n" and view[dot + 1 :] == b"\r":
            return Outcome.GOES_ON, dot - 2
        return Outcome.HIDDEN_END, dot - 2
    return Outcome.GOES_ON, len(content)


def fed(content: bytes, sizes: list[int]) -> tuple[Outcome, bytes, bytes]:
    """Feed content in pieces of these sizes, over and over; return outcome, what went out, what is no content."""
    scanner, out, at, turn = Content(), b"", 0, 0
    while at < len(content):
        piece = content[at : at + sizes[turn % len(sizes)]]
        at, turn = at + len(piece), turn + 1
        came = scanner.feed(piece)
        out += came.forward
        if came.outcome is not Outcome.GOES_ON:
            return came.outcome, out, came.rest + content[at:]
    return Outcome.GOES_ON, out, b""


@pytest.mark.parametrize("seed", range(400))
def test_random_content_in_random_pieces(seed: int) -> None:
    """Octets that are mostly line ends, dots and NULs: the outcome is that of the rule, in any pieces."""
    chance = random.Random(seed)
    alphabet = chance.choice([b"\r\n.", b"\r\n.\0", b"\r\n.\0ab", b"\r\n.abcdefgh"])
    pairs = [b"\r\n", b"\r\n.", b"text text", b".", END] if seed % 2 else []
    content = b"".join(
        chance.choice(pairs) if pairs and chance.random() < 0.5 else bytes([chance.choice(alphabet)])
        for _ in range(chance.randint(1, 60))
    )
    outcome, at = judged(content)
    for sizes in ([1], [2], [3, 1], [9], [17, 2], [len(content)]):
        came, out, rest = fed(content, sizes)
        assert came is outcome
        if outcome is Outcome.ENDED:
            assert (out, rest) == (content[:at], content[at:])
        else:
            assert content[:at].startswith(out)
            assert outcome is not Outcome.HIDDEN_END or out == content[:at]


@pytest.mark.parametrize("seed", range(50))
def test_bare_newlines_are_seen_in_any_pieces(seed: int) -> None:
    """A bare CR or LF is seen wherever the pieces end."""
    chance = random.Random(seed)
    content = (
        b"".join(
            chance.choice([b"\r\n", b"word word", b"\r" if seed % 3 else b"", b"\n" if seed % 2 else b"x"])
            for _ in range(12)
        )
        + b"end"
    )
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", content) is not None
    for size in (1, 2, 3, 8, 11, len(content)):
        scanner = Content()
        for at in range(0, len(content), size):
            scanner.feed(content[at : at + size])
        assert scanner.bare_newline is bare


def test_plain_content_is_the_same_object() -> None:
    """Content without an end in it comes out as the same object, and so does the last piece that ends it."""
    scanner = Content()
    for piece in (
        b"Subject: x\r\n\r\nlong enough text",
        b" going on\r\n",
        b"a ..stuffed line\r\n",
        b"the last line\r\n.\r\n",
    ):
        assert scanner.feed(piece).forward is piece


def test_a_line_end_cut_in_two() -> None:
    """CR at the end of a piece, LF at the beginning of the next, then a dot."""
    scanner = Content()
    assert scanner.feed(b"some text\r") == Fed(Outcome.GOES_ON, b"some text\r")
    assert scanner.feed(b"\nmore text\r\n.") == Fed(Outcome.GOES_ON, b"\nmore text\r\n")
    assert scanner.feed(b"\r") == Fed(Outcome.GOES_ON, b"")
    assert scanner.feed(b"\nQUIT\r\n") == Fed(Outcome.ENDED, b".\r\n", b"QUIT\r\n")


def test_a_dot_behind_a_cut_line_end() -> None:
    """LF of a cut CRLF, then the dot, in a piece long enough for the quick way."""
    scanner = Content()
    scanner.feed(b"some text\r")
    assert scanner.feed(b"\n.\r\nQUIT\r\n") == Fed(Outcome.ENDED, b"\n.\r\n", b"QUIT\r\n")


def test_held_octets_are_bounded() -> None:
    """Behind a possible dot at most 64 NULs wait."""
    scanner = Content()
    assert scanner.feed(b"text\r\n.") == Fed(Outcome.GOES_ON, b"text\r\n")
    for _ in range(64):
        assert scanner.feed(b"\0") == Fed(Outcome.GOES_ON, b"")
    assert scanner.feed(b"\0").outcome is Outcome.HIDDEN_END

"""The transcript runner itself: what it takes, and that it fails where it should."""

import pytest

from .playbook import octets, parse, play, shown
from .stages import GREETED


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("NOOP", b"NOOP\r\n"),
        ("NOOP\\", b"NOOP"),
        ("a\\\\", b"a\\\r\n"),
        ("a\\\\\\", b"a\\"),
        ("\\r\\n\\t\\0\\x7f\\", b"\r\n\t\0\x7f"),
        ("\\{3*x}\\", b"xxx"),
        ("\\{2*\\x00}y", b"\0\0y\r\n"),
        ("", b"\r\n"),
        ("\\", b""),
        ("ü\\", "ü".encode()),
    ],
)
def test_octets(text: str, data: bytes) -> None:
    """Escapes, repetitions, and a line without its end."""
    assert octets(text) == data


@pytest.mark.parametrize("data", [b"NOOP", b"a\\b", b"\r\n\t\0\x01\x7f\xff", b"x" * 200, b"a" + b"\0" * 99 + b"b"])
def test_shown_is_read_back(data: bytes) -> None:
    """What a failure shows can be written into a transcript."""
    assert octets(shown(data) + "\\") == data


@pytest.mark.parametrize(
    "wrong",
    [
        "C>U NOOP\nc< 250 Ok",
        "C> NOOP",
        "C> DATA\nG< 503 5.5.1 SG102\n! SG103 refuse",
        "C> DATA\nG< 503 5.5.1 SG103",
        "C> DATA\nG< 503 5.5.1 SG103\n! SG103 note",
        "C> DATA\nG< 503 5.5.1 SG103\n! SG103 refuse cause=scanner",
        "C>U QUIT\nu>c 221 Bye",
        "C>U NOOP\n= quit",
        "C>U QUIT\nu>c 221 Bye\n= quit cut",
        "? waiting=reply",
        "C>U QUIT\nu>c 221 Bye\n= quit\nC> NOOP",
        "C>U NOOP\\\nC> x",
    ],
)
def test_a_difference_fails(wrong: str) -> None:
    """Octets, answers, events and ends that do not come, and such that come unasked, fail the test."""
    with pytest.raises(AssertionError):
        play(GREETED + wrong)


@pytest.mark.parametrize("wrong", ["X> NOOP", "u+ 250 Ok", "C+ NOOP\nu> 250", "C: gone", "-- wait"])
def test_a_mistake_in_a_transcript_is_named(wrong: str) -> None:
    """A line that is none raises ValueError."""
    with pytest.raises(ValueError, match=r"transcript line|nothing"):
        play(wrong)


def test_blank_lines_and_comments() -> None:
    """They mean nothing."""
    assert len(parse("\n  # note\n\nC> NOOP\n")) == 2


def test_the_diff_is_readable() -> None:
    """A failure shows what came before, what was expected and what came."""
    with pytest.raises(AssertionError) as failure:
        play(GREETED + "C>U NOOP\nu>c 250 Ok\nC> DATA\nU< DATA")
    lines = str(failure.value).splitlines()
    assert lines[0] == "- expected, + came"
    assert "- U< DATA" in lines
    assert "+ G< 503 5.5.1 SG103" in lines
    assert "  C> DATA" in lines

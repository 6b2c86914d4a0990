"""Wire text is printable ASCII, whatever came over the wire."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.record.escape import bracketed, clean, cut, printable, quoted


def read_back(text: str) -> bytes:
    """Undo `printable`, by another road than it takes."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode("ascii"))


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"MAIL FROM:<a@example.net> SIZE=5", "MAIL FROM:<a@example.net> SIZE=5"),
        (b"a\r\nNOQUEUE: reject:", "a\\x0d\\x0aNOQUEUE: reject:"),
        (b"\x1b[31m\x1b]0;title\x07", "\\x1b[31m\\x1b]0;title\\x07"),
        ("\u202egpj.exe".encode(), "\\xe2\\x80\\xaegpj.exe"),
        (b"\x7f\x80\x9b\xff\x00\t", "\\x7f\\x80\\x9b\\xff\\x00\\x09"),
        (b"\\x41", "\\x5cx41"),
        (b"{} {0} <red>%s", "{} {0} <red>%s"),
    ],
)
def test_spelling(octets: bytes, text: str) -> None:
    """Terminal escapes, line ends, bidi marks, DEL, C1 and the backslash are spelt out, all else stands."""
    assert printable(octets) == text


@given(st.binary(max_size=600))
def test_any_octets(octets: bytes) -> None:
    """Any octets become 0x20 to 0x7E, within the limit, and what is shown reads back as a prefix of them."""
    text = printable(octets)
    assert all(0x20 <= ord(character) < 0x7F for character in text)
    shown = text.removesuffix("...") if len(text) > 256 or read_back(text) != octets else text
    assert len(shown) <= 256
    assert octets.startswith(read_back(shown))
    if shown == text:
        assert read_back(shown) == octets
    else:
        assert len(shown) > 252


@given(st.binary(max_size=60))
def test_quoted(octets: bytes) -> None:
    """Inside a line wire text holds nothing that a reader would split the line at, and reads back."""
    text = quoted(octets)
    assert ": " not in text
    assert "; " not in text
    assert read_back(text) == b"<" + octets + b">"


def test_quoted_separators() -> None:
    """Only the blank behind a separator is spelt out."""
    assert quoted(b"RCPT TO: <a> X=1; y") == "<RCPT TO:\\x20<a> X=1;\\x20y>"


def test_limit() -> None:
    """256 characters are shown whole; one more is cut, and three dots say so."""
    assert printable(b"x" * 256) == "x" * 256
    assert printable(b"x" * 257) == "x" * 256 + "..."
    assert printable(b"x" * 254 + b"\x1b") == "x" * 254 + "..."


def test_cut_stays_outside_an_escape() -> None:
    """No half of a `\\xNN` is left at the end."""
    assert [cut("ab\\x1b", limit) for limit in (1, 2, 3, 4, 5, 6)] == ["a...", *["ab..."] * 4, "ab\\x1b"]


def test_clean_takes_text() -> None:
    """Text of the system may hold what a locale or a file name can, octets that are no UTF-8 among it."""
    assert clean("Erl\u00e4uterung\n\udcff", 100) == "Erl\\xc3\\xa4uterung\\x0a\\xff"


def test_bracketed() -> None:
    """A field's value with a blank, or none at all, stands in angle brackets."""
    assert [bracketed(text) for text in ("public", "two words", "")] == ["public", "<two words>", "<>"]

"""Octets of a file, or of a paste -> lines of text, without what mail programs, terminals and logs put around them.

Be generous: UTF-8 or UTF-16 with a mark, any line end, colours of a terminal, non-breaking blanks, quotation marks of
mail (`> `), indentation, and in front of a marked line the time and the name that a log writes there.
"""

import codecs
import re
import textwrap
from typing import Final

from smtpguard.evidence.transcripts.shapes import Line

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ANSI: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[=>()][0-9A-B]?)")
_BLANKS: Final = str.maketrans(dict.fromkeys("\N{NO-BREAK SPACE}\N{FIGURE SPACE}\N{NARROW NO-BREAK SPACE}", " "))
_NOTHING: Final = str.maketrans(dict.fromkeys("\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}\N{WORD JOINER}"))
_QUOTED: Final = re.compile(r" ?> ?")

# At most one time, one day and one name of a log, each with a length that bounds the search.
LOGGED: Final = re.compile(
    r"(?:[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{8} \S{1,255} \S{1,100}: "
    r"|<?[\[(]?(?:[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ])?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?[\])]?>? (?:\S{1,255} \S{1,100}\[[0-9]{1,7}\]: )?)?"
)
"""What a log may have put in front of a line."""


def lines_of(octets: bytes) -> list[Line]:
    """Cut a text into lines. Octets that are no text of their encoding stay what they are (surrogates)."""
    text = _decoded(octets).translate(_BLANKS).translate(_NOTHING)
    text = _ANSI.sub("", text.replace("\0", "")) if "\x1b" in text or "\0" in text else text
    lines = [line.rstrip("\r") for line in text.replace("\r\n", "\n").split("\n")]
    if len(lines) == 1 and "\r" in text:
        lines = text.split("\r")
    unquoted = _unquoted(lines)
    return [Line(place, line) for place, line in enumerate(textwrap.dedent("\n".join(unquoted)).split("\n"), 1)]


def _decoded(octets: bytes) -> str:
    for mark, encoding in _MARKS:
        if octets.startswith(mark):
            errors = "surrogateescape" if encoding == "utf-8" else "replace"
            return octets[len(mark) :].decode(encoding, errors)
    return octets.decode("utf-8", "surrogateescape")


def _unquoted(lines: list[str]) -> list[str]:
    """Take the quotation marks of a mail away, as deep as they are."""
    while (said := [line for line in lines if line.strip()]) and all(line.lstrip(" ").startswith(">") for line in said):
        if any(line.lstrip(" ").startswith(">>>") for line in said) and not all(">>>" in line for line in said):
            break
        lines = [_QUOTED.sub("", line, count=1) for line in lines]
    return lines


def unlogged(text: str) -> str:
    """Return a line without what a log put in front of it."""
    found = LOGGED.match(text)
    return text[found.end() :] if found else text

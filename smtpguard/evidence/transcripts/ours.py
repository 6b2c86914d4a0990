"""smtpguard's own transcripts: `smtpguard show`, its `--json`, and `session-end` lines of the audit.

All of them name the lines of CLIENT that were sent in one packet. There, a line stands where its turn came; here, all
lines of a packet are moved to the place of its first, which is when they were read. What a transcript does not hold
stands in brackets and is read as what it was: so many octets of content, or of a chunk, or of a word that no command
is; a line of an authentication exchange.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from smtpguard.evidence.transcripts.shapes import Form, Kind, Line, NoTranscriptError, Written

_SHOWN: Final = re.compile(r"[ !-]? *([0-9]+\.[0-9]{3}) ([CUG]) ([ /|\\:]) (.*)")
_SHOWN_BARE: Final = re.compile(r"[ !-]? *([0-9]+\.[0-9]{3}) ([CUG])()()\s*")
_OMITTED: Final = re.compile(r"\s*\.\.\. [0-9,]+ earlier lines? not kept \.\.\.")
_HIDDEN: Final = re.compile(r"\[([0-9]+) octets( of content| of chunk)?\]")
_ESCAPED: Final = re.compile(rb"\\x([0-9a-f]{2})")

LARGEST: Final = 64 * 1024 * 1024
"""Octets that stand in for what was left out; more say no more."""


class Own(NamedTuple):
    """One line of a transcript of ours."""

    place: int
    voice: str
    text: str
    piece: int


def read_shown(lines: Sequence[Line]) -> Iterator[Written]:
    """Read what `smtpguard show` printed."""
    yield from _in_order(_shown(lines))


def _shown(lines: Sequence[Line]) -> Iterator[Own]:
    packet, within = 0, False
    for place, text in lines:
        found = _SHOWN.fullmatch(text) or _SHOWN_BARE.fullmatch(text)
        if found is None:
            continue
        _, voice, bracket, said = found.groups()
        if voice == "C":
            if bracket == "/" or (bracket in "|\\" and not within):
                packet, within = packet + 1, True
            yield Own(place, voice, said, packet if within and bracket in "/|\\" else 0)
        else:
            yield Own(place, voice, said, 0)
        within = within and bracket != "\\"


def read_json(lines: Sequence[Line]) -> Iterator[Written]:
    """Read `smtpguard show --json`, or lines of the audit."""
    yield from _in_order(_documents(lines))


def _documents(lines: Sequence[Line]) -> Iterator[Own]:
    held = [(first, transcript) for first, document in documents(lines) if (transcript := _said(document))]
    if len(held) > 1:
        raise NoTranscriptError(
            f"this holds the transcripts of {len(held)} sessions: give one, as `smtpguard show SESSION --json` prints "
            "it, or have all judged by `smtpguard replay`"
        )
    for first, transcript in held:
        for place, said in enumerate(transcript, first):
            voice, text = said.get("dir", said.get("speaker")), said.get("line")
            if voice in ("C", "U", "G") and isinstance(text, str):
                piece = said.get("piece")
                yield Own(place, voice, text, piece if isinstance(piece, int) and voice == "C" else 0)


def documents(lines: Sequence[Line]) -> Iterator[tuple[int, Any]]:
    """Yield each JSON document of a text with the number of its first line: one a line, or one for all."""
    text = "\n".join(line.text for line in lines)
    decoder, at = json.JSONDecoder(), 0
    while (at := _skipped(text, at)) < len(text):
        try:
            document, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = text.find("\n", at) + 1 or len(text)
        else:
            yield text.count("\n", 0, at) + 1, document
        at = end


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _said(document: Any) -> list[dict[str, Any]]:
    """Return the lines of a transcript wherever a document of ours holds them."""
    if not isinstance(document, dict):
        return []
    smtp = document.get("smtp")
    held = document.get("transcript") or (smtp.get("transcript") if isinstance(smtp, dict) else None)
    if isinstance(held, dict):
        held = held.get("lines")
    return [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []


# --- both ------------------------------------------------------------------------------------------------------------


def _in_order(said: Iterable[Own]) -> Iterator[Written]:
    """Put the lines of each packet where the first of them stands."""
    every = list(said)
    packets: dict[int, list[Own]] = {}
    for one in every:
        if one.piece:
            packets.setdefault(one.piece, []).append(one)
    for one in every:
        if not one.piece:
            yield _written(one)
        elif packets[one.piece][0] is one:
            yield from map(_written, packets[one.piece])


def _written(one: Own) -> Written:
    kind = Kind.CLIENT if one.voice == "C" else Kind.UPSTREAM
    hidden = _HIDDEN.fullmatch(one.text) if kind is Kind.CLIENT else None
    octets = _stand_in(int(hidden[1][:9]), hidden[2]) if hidden else _octets(one.text)
    return Written(one.place, kind, octets, one.piece)


def _octets(text: str) -> bytes:
    spelt = text.encode("utf-8", "surrogateescape")
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), spelt) + b"\r\n"


def _stand_in(octets: int, what: str | None) -> bytes:
    """Return so many octets of the same meaning."""
    octets = min(octets, LARGEST)
    if what is None:
        return b"X" * max(1, octets) + b"\r\n"
    lines = b"%s\r\n" % (b"x" * 62) * (octets // 64)
    rest = octets % 64
    return lines + (b"x" * (rest - 2) + b"\r\n" if rest >= 2 else b"x" * rest)


SHOWN: Final = Form(
    name="show",
    what="transcript of `smtpguard show`",
    looks="seconds, `C`, `U` or `G`, and the line",
    read=read_shown,
    timed=True,
)
JSON: Final = Form(
    name="json",
    what="transcript of smtpguard as JSON",
    looks="`smtpguard show --json`, or a `session-end` line of the audit",
    read=read_json,
    timed=True,
)

"""Forms whose lines say by a mark whose they are: swaks, a log, Postfix's notice, letters, arrows.

Each is a row of patterns: a line of CLIENT, a line that CLIENT heard, and lines that tell of something else. A line
without a mark is content while content is under way, and nothing otherwise.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from smtpguard.evidence.transcripts.clean import unlogged
from smtpguard.evidence.transcripts.shapes import Form, Kind, Line, Written, wire


class Marks(NamedTuple):
    """How the lines of a form look; group 1 is the line itself, where there is one."""

    client: re.Pattern[str]
    upstream: re.Pattern[str]
    events: tuple[tuple[re.Pattern[str], Kind], ...] = ()
    """Lines of their own that tell of something, or (LOOSE) of nothing."""
    hidden: re.Pattern[str] | None = None
    """A line of CLIENT that stands for content."""
    trailer: re.Pattern[str] | None = None
    """What is not of the wire at the end of a line."""


def read(marks: Marks, lines: Sequence[Line]) -> Iterator[Written]:
    """Read a text by its marks."""
    for place, text in lines:
        yield from _line(marks, place, unlogged(text))


def _line(marks: Marks, place: int, text: str) -> Iterator[Written]:
    for pattern, kind in marks.events:
        if kind is not Kind.LOOSE and pattern.search(text):
            yield Written(place, kind)
    if (found := marks.client.match(text)) is not None:
        yield _client(marks, place, found[1] or "")
    elif (found := marks.upstream.match(text)) is not None:
        yield Written(place, Kind.UPSTREAM, wire(_trimmed(marks, found[1] or "")))
    elif not any(pattern.search(text) for pattern, _ in marks.events):
        yield Written(place, Kind.LOOSE, wire(text))


def _client(marks: Marks, place: int, said: str) -> Written:
    if marks.hidden is not None and marks.hidden.fullmatch(said):
        return Written(place, Kind.HIDDEN)
    return Written(place, Kind.CLIENT, wire(_trimmed(marks, said)))


def _trimmed(marks: Marks, said: str) -> str:
    return marks.trailer.sub("", said) if marks.trailer is not None else said


def read_explained(lines: Sequence[Line]) -> Iterator[Written]:
    """Read the transcript of an explanation: octets that cannot be printed are spelt in angle brackets there."""
    for one in read(_LETTERS, lines):
        yield one._replace(octets=_spelt_out(one.octets)) if one.kind is Kind.CLIENT else one


_NAMED: Final = {b"CR": b"\r", b"LF": b"\n", b"NUL": b"\0"}
_SPELT: Final = re.compile(rb"<(?:(CR|LF|NUL)|0x([0-9a-f]{2})|([0-9]{1,5}) times (.))>")


def _spelt_out(octets: bytes) -> bytes:
    line = octets.removesuffix(b"\r\n")
    said = _SPELT.sub(_meant, line)
    return said if line.endswith(b"<LF>") else said + b"\r\n"


def _meant(spelt: re.Match[bytes]) -> bytes:
    named, code, count, octet = spelt.groups()
    return _NAMED[named] if named else bytes.fromhex(code.decode()) if code else octet * int(count)


_SWAKS: Final = Marks(
    client=re.compile(r"\s*[-~]>(?: (.*)|$)"),
    upstream=re.compile(r"\s*<(?:[-~] |\*\*|~\*)(?: ?(.*)|$)"),
    events=(
        (re.compile(r"^=== TLS started "), Kind.TLS),
        (re.compile(r"^=== Connection closed with remote host"), Kind.CLIENT_LEFT),
        (re.compile(r"^\*\*\* Remote host closed connection"), Kind.UPSTREAM_LEFT),
        (re.compile(r"^(?:===|\*\*\*)(?! TLS started| Connection closed with| Remote host closed)"), Kind.LOOSE),
    ),
    hidden=re.compile(r"[0-9]+ lines sent|\[[0-9]+ octets of (?:content|chunk)\]"),
)
_GATEWAY: Final = Marks(
    client=re.compile(r".{0,200}?\[rx\](?: (.*)|$)", re.IGNORECASE),
    upstream=re.compile(r".{0,200}?\[tx\](?: (.*)|$)", re.IGNORECASE),
    hidden=re.compile(r"\s*\.{3} ?message body ?\.{3}\s*", re.IGNORECASE),
    trailer=re.compile(r"  <-- SG[0-9]{3}\b.*$"),
)
_POSTFIX: Final = Marks(
    client=re.compile(r"\s*In: {0,2}(.*)"),
    upstream=re.compile(r"\s*Out: ?(.*)"),
    events=((re.compile(r"^\s*Session aborted, reason: "), Kind.CLIENT_LEFT),),
)
_LETTERS: Final = Marks(
    client=re.compile(r"\s{0,20}(?:[!~-]\s{0,4})?(?:C|Client|CLIENT)\s?[:>]\s?(.*)"),
    upstream=re.compile(r"\s{0,20}(?:[!~-]\s{0,4})?(?:[SUG]|Server|SERVER)\s?[:>]\s?(.*)"),
    events=(
        (re.compile(r"^\s*[!~]?\s*\*: TLS is up"), Kind.TLS),
        (re.compile(r"^\s*[!~]?\s*\*: the client is gone"), Kind.CLIENT_LEFT),
        (re.compile(r"^\s*[!~]?\s*\*: the upstream closes"), Kind.UPSTREAM_LEFT),
        (re.compile(r"^\s*[!~]?\s*\*: (?!TLS is up|the client is gone|the upstream closes)"), Kind.LOOSE),
    ),
    hidden=re.compile(r"\s*(?:\.\.\.|<.*(?:content|message|body|data).*>|\[[0-9]+ octets of (?:content|chunk)\])\s*"),
)
_ARROWS: Final = Marks(
    client=re.compile(r"\s*(?:>>>|-->|>)(?: (.*)|$)"),
    upstream=re.compile(r"\s*(?:<<<|<--|<)(?: (.*)|$)"),
    events=(
        (re.compile(r"^\} \[[0-9]+ bytes data\]"), Kind.HIDDEN),
        (re.compile(r"^[*{}] (?!\[[0-9]+ bytes data\])"), Kind.LOOSE),
    ),
)

SWAKS: Final = Form(
    name="swaks",
    what="output of swaks",
    looks="` -> ` and `<-  ` before each line, `<** ` before a refusal, `~` for `-` within TLS",
    read=partial(read, _SWAKS),
    timed=True,
)
SWAKS_SHOWN: Final = Form(
    name=SWAKS.name,
    what="transcript of `smtpguard show --style swaks`",
    looks=SWAKS.looks,
    read=SWAKS.read,
    at_server=True,
)
GATEWAY: Final = Form(
    name="gateway",
    what="log of a mail gateway",
    looks="`[rx]` before what the client sent, `[tx]` before what it heard",
    read=partial(read, _GATEWAY),
    at_server=True,
)
POSTFIX: Final = Form(
    name="postfix",
    what="Postfix's notice to the postmaster",
    looks="` In:  ` before what the client sent, ` Out: ` before what it heard",
    read=partial(read, _POSTFIX),
    at_server=True,
)
LETTERS: Final = Form(
    name="letters",
    what="lines as RFCs print them",
    looks="`C:` before what the client sent, `S:` (or `U:`, `G:`) before what it heard",
    read=partial(read, _LETTERS),
)
EXPLAINED: Final = Form(
    name=LETTERS.name,
    what="transcript of an explanation of smtpguard",
    looks=LETTERS.looks,
    read=read_explained,
    timed=True,
    whole=True,
)
ARROWS: Final = Form(
    name="arrows",
    what="output of curl, msmtp or sendmail",
    looks="`> `, `--> ` or `>>> ` before what the client sent, `< `, `<-- ` or `<<< ` before what it heard",
    read=partial(read, _ARROWS),
)

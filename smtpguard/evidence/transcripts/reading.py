"""A text -> its form -> the dialogue in it.

Every form's reader is tried. The one that finds most replies with three digits and most commands of the vocabulary is
right; among equals the earlier row of `FORMS`. Where no reader finds any reply, or any line of CLIENT, there is no
transcript.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from smtpguard.evidence.transcripts.clean import lines_of
from smtpguard.evidence.transcripts.dialogue import Dialogue, Part, Said
from smtpguard.evidence.transcripts.marked import ARROWS, EXPLAINED, GATEWAY, LETTERS, POSTFIX, SWAKS, SWAKS_SHOWN
from smtpguard.evidence.transcripts.ours import JSON, SHOWN
from smtpguard.evidence.transcripts.shapes import Form, Kind, Line, NoTranscriptError, Written
from smtpguard.evidence.transcripts.smtplib import SMTPLIB
from smtpguard.evidence.transcripts.terminal import TERMINAL
from smtpguard.smtp import Side, Verb, parse_command

FORMS: Final[tuple[Form, ...]] = (SHOWN, JSON, SMTPLIB, SWAKS, GATEWAY, POSTFIX, LETTERS, ARROWS, TERMINAL)

LOOKED_AT: Final = 5000
"""Lines of a text by which its form is told."""

_CAPTURES: Final = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
)
_OUR_LETTERS: Final = re.compile(r"\s*(?:[!~] )?\s*[UG]: [2-5][0-9][0-9]")
_CONNECTED: Final = ("=== Connected to ", "Connected to ", "connect: to (", "* Connected to ", "Transcript of session ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What a text holds."""

    form: Form
    lines: int
    """Of the text."""
    said: tuple[Said, ...]
    start: bool | None
    """The text tells of the connection, so its first reply is the greeting; None: it does not say."""
    tls: bool
    """All of it was said within TLS."""


def read(octets: bytes, form_name: str | None = None) -> Transcript:
    """Read a text.

    Args:
        octets: the file as it is.
        form_name: a name in `FORMS`; None: find it out.

    Raises:
        NoTranscriptError: there is no transcript in it.
    """
    if octets.startswith(_CAPTURES):
        raise NoTranscriptError("this is a capture, no text; `smtpguard replay FILE` judges captures")
    lines = lines_of(octets)
    forms = [form for form in FORMS if form_name in (None, form.name)]
    form = max(forms, key=lambda one: _score(one, lines[:LOOKED_AT]))
    form = _kind_of(form, lines)
    said = Dialogue().take(form.read(lines))
    _check(form, forms, said)
    return Transcript(
        form=form,
        lines=len(lines),
        said=tuple(said),
        start=True if (form.whole or _tells_of_connection(lines)) and not _resumes_in_tls(form, said) else None,
        tls=_begins_in_tls(said),
    )


def _kind_of(form: Form, lines: Sequence[Line]) -> Form:
    """Tell apart what looks alike, but says another thing about the order of its lines."""
    if form is LETTERS and any(_OUR_LETTERS.match(text) for _, text in lines):
        return EXPLAINED
    if form is SWAKS and any(text.lstrip().startswith("=== Session ") for _, text in lines):
        return SWAKS_SHOWN
    return form


def _score(form: Form, lines: Sequence[Line]) -> int:
    return sum(map(_fits, form.read(lines)))


def _fits(one: Written) -> int:
    """Tell whether a line is what its reader takes it for."""
    text = one.octets.rstrip()
    is_reply = text[:1] in b"2345" and text[:3].isdigit() and text[3:4] in (b" ", b"-", b"") if text else False
    if one.kind is Kind.UPSTREAM:
        return int(is_reply)
    if one.kind in (Kind.CLIENT, Kind.EITHER):
        known = bool(text) and parse_command(text + b"\r\n").verb is not Verb.UNKNOWN
        return int(known or (is_reply and one.kind is Kind.EITHER))
    return 0


def _check(form: Form, tried: Iterable[Form], said: Sequence[Said]) -> None:
    heard = any(one.part is Part.REPLY for one in said)
    sent = any(one.side is Side.CLIENT and one.octets and not one.made_up for one in said)
    if heard and sent:
        return
    if heard:
        raise NoTranscriptError(
            f"this looks like {form.what}, but shows no line of the client, only what it heard: nothing can be judged"
        )
    if sent:
        raise NoTranscriptError(
            f"this looks like {form.what}, but shows no reply: without replies nobody can tell what was in order"
        )
    looked = "\n".join(f"  {one.name:10} {one.what}: {one.looks}" for one in tried)
    raise NoTranscriptError(f"no SMTP transcript was found in this; looked for\n{looked}")


def _tells_of_connection(lines: Sequence[Line]) -> bool:
    return any(text.lstrip().startswith(_CONNECTED) for _, text in islice(lines, LOOKED_AT))


def _resumes_in_tls(form: Form, said: Sequence[Said]) -> bool:
    """Tell whether what is shown began behind a STARTTLS that is not."""
    return _begins_in_tls(said) and not form.whole


def _begins_in_tls(said: Sequence[Said]) -> bool:
    """Tell whether TLS came before any line that is shown."""
    first = next((one for one in said if one.part is not Part.LEFT), None)
    return first is not None and first.part is Part.TLS

"""A session's transcript -> `smtp.transcript` of its end: times since the session's beginning, printable text, bounded.

The engine hands out at most 200 lines, redacted. Of an event of more than `EVENT_SIZE` octets the oldest lines go, so
that one session cannot fill a disk; `smtp.omitted` counts them.
"""

from typing import Final

from smtpguard.record.clock import elapsed
from smtpguard.record.privacy import PRIVACY, Privacy
from smtpguard.record.shapes import TranscriptRecord
from smtpguard.smtp import Transcript

EVENT_SIZE: Final = 64 * 1024
"""Octets of a `session-end` with a transcript, with its line end."""

LINE_SHOWN: Final = 512
"""Characters of an escaped line."""

_FRAME: Final = 100
"""Octets of a line's JSON besides its text and its rules: names, time, number."""

_ROOM: Final = EVENT_SIZE - 8 * 1024
"""Octets that lines may have; the rest is for the event around them."""


def transcribed(
    transcript: Transcript, started: float, privacy: Privacy = PRIVACY
) -> tuple[tuple[TranscriptRecord, ...], int]:
    """Return the lines for the audit, and the number of those before them that are not among them."""
    kept: list[TranscriptRecord] = []
    room = _ROOM
    for line in reversed(transcript.lines):
        text = privacy.shown(line.text, LINE_SHOWN)
        # JSON writes a backslash and a quotation mark with another backslash before it.
        room -= len(text) + text.count("\\") + text.count('"') + 8 * len(line.rules) + _FRAME
        if room < 0:
            break
        kept.append(
            TranscriptRecord(
                t=elapsed(started, line.at), dir=line.voice.value, line=text, piece=line.piece, rules=line.rules
            )
        )
    kept.reverse()
    return tuple(kept), transcript.omitted + len(transcript.lines) - len(kept)

"""The transcript of a session's end, as the audit holds it."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from smtpguard.record import SessionEndRecord
from smtpguard.record.audit import Auditor
from smtpguard.record.identity import Numbering
from smtpguard.record.transcript import EVENT_SIZE
from smtpguard.smtp import Transcript, TranscriptLine, Voice
from tests.record.samples import LINK, NOW, ended


def written(transcript: Transcript) -> bytes:
    """Return the line of a session's end with this transcript."""
    auditor = Auditor(hostname="mx1", version="0.1.0", numbering=Numbering("GM7DCF"))
    return auditor.session_end(LINK, NOW, ended(transcript=transcript))


def test_lines_name_by_name() -> None:
    """Times count from the session's beginning; octets that do not print are spelt out."""
    start = LINK.started
    lines = (
        TranscriptLine(start + 0.25, Voice.CLIENT, b"RCPT TO:<\xc3\xa4@y>", 3, ("SG102", "SG301")),
        TranscriptLine(start + 0.2504, Voice.GUARD, b"503 5.5.1 no", 0),
        TranscriptLine(start - 5, Voice.UPSTREAM, b'250 "ok"', 4),
    )
    smtp = json.loads(written(Transcript(lines, 7)))["smtp"]
    assert smtp["omitted"] == 7
    assert smtp["transcript"] == [
        {"t": 0.25, "dir": "C", "line": "RCPT TO:<\\xc3\\xa4@y>", "piece": 3, "rules": ["SG102", "SG301"]},
        {"t": 0.25, "dir": "G", "line": "503 5.5.1 no"},
        {"t": 0.0, "dir": "U", "line": '250 "ok"', "piece": 4},
    ]


def test_without_one_there_is_no_key() -> None:
    """A clean session's end stays short."""
    assert b"transcript" not in written(Transcript())
    assert b"omitted" not in written(Transcript())


@given(st.sampled_from([b"a", b"\x00", b"\\", b'"', b"\xff"]), st.integers(1, 512), st.integers(1, 200))
def test_an_event_stays_within_its_size(octet: bytes, length: int, count: int) -> None:
    """The oldest lines go until it does, and are counted."""
    rules = ("SG101", "SG301", "SG305")
    lines = tuple(TranscriptLine(NOW, Voice.CLIENT, octet * length, 123456, rules) for _ in range(count))
    line = written(Transcript(lines, 3))
    assert len(line) <= EVENT_SIZE
    smtp = msgspec.json.decode(line, type=SessionEndRecord).smtp
    assert smtp.omitted + len(smtp.transcript) == 3 + count
    assert smtp.transcript

"""Replay of anything: what a file is, and what is said where it is nothing that can be replayed."""

import gzip
import json
import os
import threading
from pathlib import Path

import pytest

from smtpguard.evidence.replay.sources import SourceError, source_of
from tests.evidence.replays import (
    CHARGE,
    LENIENT,
    NESTED,
    STANDARD,
    SWAKS,
    asked,
    capture,
    end,
    nested,
    one_of,
    stored,
    verdicts,
)


def test_a_pasted_transcript_is_a_session(tmp_path: Path) -> None:
    """Of no host and no time."""
    file = tmp_path / "swaks.txt"
    file.write_bytes(SWAKS)
    played = one_of(file, asked(STANDARD, LENIENT))
    assert verdicts(played) == [("SG105", "refuse", "note")]
    assert (played.host, played.at, played.name) == ("", None, "swaks.txt")


@pytest.mark.parametrize(
    ("name", "octets", "code", "why"),
    [
        pytest.param("a.txt", b"", 65, "it is empty; give a capture, a transcript", id="empty"),
        pytest.param("a.txt", b"dear all,\nit is down\n", 65, "no capture and no audit segment, and no", id="letter"),
        pytest.param("a.pcap", SWAKS, 65, "no packet capture: it begins with b'=== '", id="text named .pcap"),
        pytest.param("a.pcap.gz", gzip.compress(SWAKS), 65, "no packet capture", id="gzipped text named .pcap"),
        pytest.param("b.gz", gzip.compress(SWAKS)[:10], 65, "damaged from the start", id="gzip of nothing"),
        pytest.param("a.gz", gzip.compress(SWAKS)[:12], 65, "gzipped and damaged", id="cut gzip"),
        pytest.param("a.jsonl", b'{"event": {}}\n', 65, "no line of it is an event of an audit", id="other JSON"),
    ],
)  # fmt: skip
def test_what_can_not_be_replayed_is_said(name: str, octets: bytes, code: int, why: str, tmp_path: Path) -> None:
    """One sentence with file and cause, and the exit code."""
    file = tmp_path / name
    file.write_bytes(octets)
    with pytest.raises(SourceError) as error:
        list(source_of(file, asked(STANDARD)))
    assert error.value.code == code
    assert str(error.value).startswith(f"{file}: ")
    assert why in str(error.value)


def test_a_transcript_tells_how_far_it_was_judged(tmp_path: Path) -> None:
    """To STARTTLS, from a hello on, to where it ends; lines whose reply is missing are a warning."""
    texts = {
        "until-starttls": b"S: 220 mx\nC: EHLO x\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nC: \x16\x03\n",
        "mid-stream": b"S: 250 ok\nC: EHLO x\nS: 250 mx\nC: QUIT\nS: 221 x\n",
        "unfinished": b"S: 220 mx\nC: EHLO x\nS: 250 mx\nC: NOOP\nC: NOOP\n",
    }
    for seen, text in texts.items():
        file = tmp_path / "a.txt"
        file.write_bytes(text)
        source = source_of(file, asked(STANDARD))
        assert [played.seen for played in source] == [seen]
        assert len(list(source.warnings())) == (seen == "unfinished")


def test_a_file_that_goes_away_meanwhile_is_said(tmp_path: Path) -> None:
    """74, for a segment and for a transcript."""
    for text in (json.dumps(CHARGE).encode(), SWAKS):
        file = tmp_path / "a"
        file.write_bytes(text)
        source = source_of(file, asked(STANDARD))
        file.unlink()
        with pytest.raises(SourceError) as error:
            list(source)
        assert error.value.code == 74


def test_a_file_that_the_kernel_will_not_read_is_said() -> None:
    """Opened, but its first octet cannot be read."""
    with pytest.raises(SourceError) as error:
        source_of(Path("/proc/self/mem"), asked(STANDARD))
    assert error.value.code == 74


def test_a_transcript_whose_gzip_is_cut_is_said(tmp_path: Path) -> None:
    """Its beginning reads like a transcript, its end is not there."""
    file = tmp_path / "a.gz"
    file.write_bytes(gzip.compress(SWAKS)[:-6])
    with pytest.raises(SourceError, match="gzipped and damaged"):
        list(source_of(file, asked(STANDARD)))


def test_a_pipe_is_a_capture(tmp_path: Path) -> None:
    """`tcpdump -w - | smtpguard replay /dev/stdin`: nothing of it is read twice."""
    octets = capture(tmp_path, nested()).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(octets,))
    writer.start()
    assert verdicts(one_of(pipe, asked(STANDARD))) == [("SG105", "refuse", "refuse")]
    writer.join()


def test_an_audit_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """What stands in the place of a segment is a directory: 74."""
    audit = stored(tmp_path, CHARGE)
    (audit / "events/2026-11-23/mx-w0-11.jsonl").mkdir()
    with pytest.raises(SourceError) as error:
        list(source_of(audit, asked(STANDARD)))
    assert error.value.code == 74


def test_too_large_for_a_transcript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk image is not read into memory."""
    monkeypatch.setattr("smtpguard.evidence.replay.sources.TRANSCRIPT_MAX", 100)
    file = tmp_path / "image"
    file.write_bytes(b"x" * 101)
    with pytest.raises(SourceError, match="too large for a transcript"):
        list(source_of(file, asked(STANDARD)))


def test_what_is_not_there_or_holds_no_audit_is_said(tmp_path: Path) -> None:
    """66 both."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SourceError) as error:
            list(source_of(path, asked(STANDARD)))
        assert error.value.code == 66


def test_half_a_line_is_a_warning(tmp_path: Path) -> None:
    """The session before it stands, in a directory and in a segment."""
    audit = stored(tmp_path, CHARGE, end("1M85FEK6375Z", NESTED))
    file = audit / "events/2026-11-23/mx-w0-10.jsonl"
    with file.open("ab") as half:
        half.write(b'{"event": {"action": "sess')
    for path in (audit, file):
        source = source_of(path, asked(STANDARD))
        assert len(list(source)) == 1
        assert [text.partition(": ")[2] for text in source.warnings()] == [
            "1 line could not be read, and left out (a cut line or no event)"
        ]


def test_a_cut_segment_is_a_warning(tmp_path: Path) -> None:
    """A gzip stream that ends too soon: what stood before is ruled on."""
    lines = "".join(json.dumps(event) + "\n" for event in (CHARGE, end("1M85FEK6375Z", NESTED)))
    file = tmp_path / "segment.jsonl.gz"
    file.write_bytes(gzip.compress(lines.encode())[:-6])
    source = source_of(file, asked(STANDARD))
    assert len(list(source)) == 1
    assert len(list(source.warnings())) == 1

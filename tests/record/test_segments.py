"""The audit's files: by process and hour, made again when they vanish."""

import shutil
import stat
from pathlib import Path

import pytest

from smtpguard.record.append import NO_LOSS, Loss
from smtpguard.record.clock import hour_of
from smtpguard.record.segments import Segments
from tests.record.samples import NOW

HOUR = hour_of(NOW)


@pytest.fixture
def segments(tmp_path: Path) -> Segments:
    """Return segments below a directory that does not exist yet."""
    return Segments(tmp_path / "audit", "mx1", 0)


def test_path_and_modes(segments: Segments, tmp_path: Path) -> None:
    """One file per process and hour; directories 0750, files 0640."""
    assert segments.write([(HOUR, b"{}\n")]) == NO_LOSS
    segments.close()
    file = tmp_path / "audit" / "events" / "2026-11-23" / "mx1-w0-18.jsonl"
    assert file.read_bytes() == b"{}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    for directory in (file.parent, file.parent.parent, tmp_path / "audit"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o750


def test_hour_changes_within_a_batch(segments: Segments, tmp_path: Path) -> None:
    """Each event lies in the file of its own hour, midnight included, a late one too."""
    batch = [(HOUR + 5, b"a\n"), (HOUR + 5, b"b\n"), (HOUR + 6, b"c\n"), (HOUR + 5, b"late\n")]
    assert segments.write(batch) == NO_LOSS
    segments.close()
    events = tmp_path / "audit" / "events"
    assert (events / "2026-11-23" / "mx1-w0-23.jsonl").read_bytes() == b"a\nb\nlate\n"
    assert (events / "2026-11-24" / "mx1-w0-00.jsonl").read_bytes() == b"c\n"


def test_vanished_directory_is_made_again(segments: Segments, tmp_path: Path) -> None:
    """Somebody's `rm -r` loses what was there, not what comes."""
    segments.write([(HOUR, b"gone\n")])
    shutil.rmtree(tmp_path / "audit")
    assert segments.write([(HOUR, b"kept\n")]) == NO_LOSS
    segments.close()
    assert segments.path(HOUR).read_bytes() == b"kept\n"


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way: every line is counted, with the reason, and when it is away writing goes on."""
    (tmp_path / "audit").write_bytes(b"")
    segments = Segments(tmp_path / "audit", "mx1", 0)
    assert segments.write([(HOUR, b"a\nb\n"), (HOUR + 1, b"c\n")]) == Loss(3, "File exists")
    with pytest.raises(FileExistsError):
        segments.prepare()
    (tmp_path / "audit").unlink()
    assert segments.write([(HOUR, b"d\n")]) == NO_LOSS
    segments.close()


def test_host_name_is_no_path(tmp_path: Path) -> None:
    """A host name with a slash makes no directory."""
    segments = Segments(tmp_path, "../mx 1", 3)
    assert segments.path(HOUR) == tmp_path / "events" / "2026-11-23" / ".._mx_1-w3-18.jsonl"

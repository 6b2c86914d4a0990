"""The audit's files: by process and hour, made again when they vanish, left alone when they are gzipped."""

import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

import pytest

from smtpguard.record.append import NO_LOSS, Appender, Loss
from smtpguard.record.clock import hour_of
from smtpguard.record.segments import Segments, packed, segment_at, segments_below
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
        segments.prepare(HOUR)
    (tmp_path / "audit").unlink()
    assert segments.write([(HOUR, b"d\n")]) == NO_LOSS
    segments.close()


def test_host_name_is_no_path(tmp_path: Path) -> None:
    """A host name with a slash makes no directory."""
    segments = Segments(tmp_path, "../mx 1", 3)
    assert segments.path(HOUR) == tmp_path / "events" / "2026-11-23" / ".._mx_1-w3-18.jsonl"


# --- files that were gzipped -----------------------------------------------------------------------------------------


def test_a_file_of_an_hour_that_is_gzipped(segments: Segments) -> None:
    """A late event opens the next number, and what comes behind it goes there too."""
    segments.write([(HOUR, b"first\n")])
    segments.close()
    segments.path(HOUR).rename(packed(segments.path(HOUR)))
    assert segments.write([(HOUR, b"late\n")]) == NO_LOSS
    segments.close()
    assert segments.write([(HOUR, b"later\n")]) == NO_LOSS
    segments.close()
    assert segments.path(HOUR, 1).name == "mx1-w0-18.1.jsonl"
    assert segments.path(HOUR, 1).read_bytes() == b"late\nlater\n"
    assert not segments.path(HOUR).exists()


def test_a_file_that_is_being_gzipped(segments: Segments) -> None:
    """Who gzips has the file for himself: nothing is written into it, and nobody waits."""
    segments.write([(HOUR, b"first\n")])
    segments.close()
    with segments.path(HOUR).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert segments.write([(HOUR, b"late\n")]) == NO_LOSS
    assert segments.path(HOUR).read_bytes() == b"first\n"
    assert segments.path(HOUR, 1).read_bytes() == b"late\n"
    segments.close()


def test_the_open_file_is_held(segments: Segments) -> None:
    """As long as it is open nobody can have it for himself; closed, he can."""
    segments.write([(HOUR, b"first\n")])
    with segments.path(HOUR).open("rb") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segments.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("moment", ["open", "hold"])
def test_gzipped_between_look_and_lock(segments: Segments, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The file is put away in the very moment: the event goes to the next one, and nothing plain is left behind."""
    segments.write([(HOUR, b"first\n")])
    segments.close()
    original = getattr(Appender, moment)

    def late(given: object) -> object:
        segments.path(HOUR).rename(packed(segments.path(HOUR)))
        monkeypatch.setattr(Appender, moment, original)
        return original(given)

    monkeypatch.setattr(Appender, moment, late)
    assert segments.write([(HOUR, b"late\n")]) == NO_LOSS
    segments.close()
    assert not segments.path(HOUR).exists()
    assert packed(segments.path(HOUR)).read_bytes() == b"first\n"
    assert segments.path(HOUR, 1).read_bytes() == b"late\n"


def test_a_file_system_without_locks(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are written all the same."""

    def lockless(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", lockless)
    assert segments.write([(HOUR, b"{}\n")]) == NO_LOSS
    segments.close()


# --- trying ----------------------------------------------------------------------------------------------------------


def test_a_probe_leaves_nothing_behind(segments: Segments) -> None:
    """Whether an event could be written is found out beside the segment, not in it."""
    segments.prepare(HOUR)
    assert segments.probe(HOUR) == ""
    segments.close()
    assert [path.name for path in segments.path(HOUR).parent.iterdir()] == ["mx1-w0-18.jsonl"]
    assert segments.path(HOUR).read_bytes() == b""


def test_a_probe_of_a_full_disk(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a part of a page only is full."""
    monkeypatch.setattr(os, "write", lambda _fd, octets: len(octets) - 1)
    assert segments.probe(HOUR) == "No space left on device"
    with pytest.raises(OSError, match="No space left on device"):
        segments.prepare(HOUR)
    segments.close()
    assert [path.name for path in segments.path(HOUR).parent.iterdir()] == ["mx1-w0-18.jsonl"]


def test_a_descriptor_that_cannot_be_closed_well(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """What close(2) complains of stops nobody; the next event opens the file afresh."""
    segments.write([(HOUR, b"one\n")])
    with monkeypatch.context() as broken:
        broken.setattr(Appender, "close", _complain)
        segments.close()
    assert segments.write([(HOUR, b"two\n")]) == NO_LOSS
    segments.close()
    assert segments.path(HOUR).read_bytes() == b"one\ntwo\n"


def _complain(appender: Appender) -> None:
    os.close(appender._fd)
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


# --- names -----------------------------------------------------------------------------------------------------------


def test_names_are_read_back(segments: Segments) -> None:
    """What a writer's name says: who, when, which of the late ones, gzipped or not."""
    for path in (segments.path(HOUR), packed(segments.path(HOUR)), segments.path(HOUR, 12)):
        found = segment_at(path)
        assert found is not None
        assert found.path == path
        assert (found.hour, found.stem) == (HOUR, "mx1-w0")
        assert (found.number, found.packed) == (12 * path.name.endswith("18.12.jsonl"), path.suffix == ".gz")


@pytest.mark.parametrize(
    "name",
    [
        "2026-11-23/mx1-w0-24.jsonl",
        "2026-11-23/mx1-w0-18.0.jsonl",
        "2026-11-23/mx1-w0-18.jsonl.gz.part",
        "2026-11-23/mx1-w0-18.jsonl.bz2",
        "2026-11-23/mx1-w-18.jsonl",
        "2026-11-23/mx1-w0.probe",
        "2026-11-31/mx1-w0-18.jsonl",
        "events/mx1-w0-18.jsonl",
    ],
)
def test_names_that_are_none_of_ours(name: str) -> None:
    """Whoever lists segments leaves these alone."""
    assert segment_at(Path(name)) is None


def test_order_of_files(segments: Segments) -> None:
    """Oldest hour first, late events behind those of their hour, the tenth file of them behind the second."""
    for hour, number in [(HOUR + 1, 0), (HOUR, 10), (HOUR, 2), (HOUR, 0), (HOUR - 24, 0)]:
        segments.path(hour, number).parent.mkdir(parents=True, exist_ok=True)
        segments.path(hour, number).touch()
    found = [(segment.hour - HOUR, segment.number) for segment in segments_below(segments.root)]
    assert found == [(-24, 0), (0, 0), (0, 2), (0, 10), (1, 0)]

"""Old files of the audit: gzipped when their hour is over, thrown away when they are too old or too many."""

import errno
import fcntl
import gzip
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smtpguard.record import archive
from smtpguard.record.archive import SETTLED, Archive, Retention
from smtpguard.record.clock import HOUR, hour_of
from smtpguard.record.segments import Segments, segments_below
from tests.record.desk import Disk
from tests.record.samples import NOW

THIS = hour_of(NOW)
"""18:00 of 2026-11-23."""

SETTLED_AT = THIS * HOUR + SETTLED
"""When the hour before may be gzipped."""

NO_BOUND = Retention(days=0, size=0)

EVENT = b'{"event":"%d"}\n'


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[Segments]:
    """Hand out a writer of files, and close it."""
    made = Segments(tmp_path, "mx1", 0)
    yield made
    made.close()


def keeper(segments: Segments, retention: Retention = NO_BOUND) -> Archive:
    """Return who keeps a writer's files in order."""
    return Archive(segments.root, segments.stem, retention)


def written(segments: Segments, *hours: int, size: int = 0) -> None:
    """Write an event into each hour, `size` octets at least, and close the file."""
    for hour in hours:
        segments.write([(hour, EVENT % hour + b" " * size)])
    segments.close()


def names(segments: Segments) -> list[str]:
    """Return all that lies in the directory of events."""
    return sorted(str(path.relative_to(segments.root)) for path in segments.root.rglob("*"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be another process that has the file open for writing."""
    with path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        yield


# --- gzipping --------------------------------------------------------------------------------------------------------


def test_an_hour_that_is_over(segments: Segments) -> None:
    """It is gzipped, whole, readable by the group, as old as it was; the hour that runs stays plain."""
    written(segments, THIS - 1, THIS)
    os.utime(segments.path(THIS - 1), (1.0, 2.0))
    assert keeper(segments).tidy(SETTLED_AT) == []
    assert names(segments) == ["2026-11-23", "2026-11-23/mx1-w0-17.jsonl.gz", "2026-11-23/mx1-w0-18.jsonl"]
    packed = segments.root / "2026-11-23/mx1-w0-17.jsonl.gz"
    assert gzip.decompress(packed.read_bytes()) == EVENT % (THIS - 1)
    assert stat.S_IMODE(packed.stat().st_mode) == 0o640
    assert packed.stat().st_mtime == 2.0


def test_the_same_events_make_the_same_octets(tmp_path: Path) -> None:
    """Neither name nor time stands in the gzip."""
    made = []
    for host in ("one", "two"):
        segments = Segments(tmp_path / host, host, 0)
        segments.write([(THIS - 1, b"{}\n" * 100_000)])
        segments.close()
        keeper(segments).tidy(SETTLED_AT)
        (segment,) = segments_below(segments.root)
        made.append(segment.path.read_bytes())
    assert made[0] == made[1]
    # RFC 1952 §2.3: no name (FLG 0), no time (MTIME 0).
    assert made[0][3:8] == bytes(5)


def test_the_order_of_things(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken away before what stands for it is on disk, name and all."""
    written(segments, THIS - 1)
    done: list[str] = []
    fsync, rename, unlink = os.fsync, Path.rename, Path.unlink

    def synced(fd: int) -> None:
        done.append("fsync directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "fsync file")
        fsync(fd)

    def renamed(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    def unlinked(path: Path, *, missing_ok: bool = False) -> None:
        done.append("unlink")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "unlink", unlinked)
    keeper(segments).tidy(SETTLED_AT)
    assert done == ["fsync file", "rename", "fsync directory", "unlink"]


def test_the_last_events_of_an_hour_have_a_minute(segments: Segments) -> None:
    """What was born at 17:59:59 may be on its way to the file; the start of a minute later is late enough."""
    written(segments, THIS - 1)
    house = keeper(segments)
    assert house.due(SETTLED_AT - 0.001)
    house.tidy(SETTLED_AT - 0.001)
    assert names(segments)[-1] == "2026-11-23/mx1-w0-17.jsonl"
    assert house.due(SETTLED_AT)
    assert not house.due(SETTLED_AT + HOUR - 1)
    house.tidy(SETTLED_AT)
    assert names(segments)[-1] == "2026-11-23/mx1-w0-17.jsonl.gz"


def test_only_our_own_files_are_gzipped(segments: Segments, tmp_path: Path) -> None:
    """Another process gzips its own, and what has another name is none of ours."""
    written(segments, THIS - 1)
    written(Segments(tmp_path, "mx1", 1), THIS - 1)
    day = segments.path(THIS).parent
    for stray in ("notes.txt", "mx1-w0-17.jsonl.bak", "mx1-w0-99.jsonl"):
        (day / stray).write_text("x")
    (segments.root / "elsewhere").mkdir()
    (segments.root / "elsewhere" / "mx1-w0-17.jsonl").write_text("x")
    assert keeper(segments).tidy(SETTLED_AT) == []
    assert [name for name in names(segments) if name.endswith(".gz")] == ["2026-11-23/mx1-w0-17.jsonl.gz"]
    assert len(names(segments)) == 8


def test_a_file_that_is_written_still(segments: Segments) -> None:
    """An hour that is over, and open: it is left, and gzipped the next time."""
    written(segments, THIS - 1)
    with locked(segments.path(THIS - 1)):
        assert keeper(segments).tidy(SETTLED_AT) == []
        assert names(segments)[-1] == "2026-11-23/mx1-w0-17.jsonl"
    keeper(segments).tidy(SETTLED_AT)
    assert names(segments)[-1] == "2026-11-23/mx1-w0-17.jsonl.gz"


def test_late_events_lose_nothing(segments: Segments) -> None:
    """What comes for an hour that is gzipped goes to a file of its own, and that is gzipped too."""
    house = keeper(segments)
    for count in range(3):
        segments.write([(THIS - 1, EVENT % count)])
        segments.close()
        house.tidy(SETTLED_AT)
    assert names(segments)[1:] == [f"2026-11-23/mx1-w0-17{late}.jsonl.gz" for late in (".1", ".2", "")]
    found = [gzip.decompress(segment.path.read_bytes()) for segment in segments_below(segments.root)]
    assert found == [EVENT % count for count in range(3)]


def test_an_empty_file_goes(segments: Segments) -> None:
    """A disk that was full leaves a file with nothing in it: that is nobody's evidence."""
    segments.write([(THIS - 1, b"")])
    segments.close()
    assert keeper(segments).tidy(SETTLED_AT) == []
    assert segments_below(segments.root) == []


# --- crashes ---------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The machine goes down."""


@pytest.mark.parametrize("step", ["fsync", "rename", "unlink"])
def test_a_crash_at_each_step(segments: Segments, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whatever it leaves, every event is there once for a reader, and the next start makes good."""
    written(segments, THIS - 1)

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as broken:
        # What a crash leaves nobody tidies up.
        broken.setattr(Path, "unlink", crash)
        if step != "unlink":
            broken.setattr(os if step == "fsync" else Path, step, crash)
        with pytest.raises(Crash):
            keeper(segments).tidy(SETTLED_AT)
    left = names(segments)[1:]
    plain, part, packed = (f"2026-11-23/mx1-w0-17.jsonl{tail}" for tail in ("", ".gz.part", ".gz"))
    assert left == ([plain, packed] if step == "unlink" else [plain, part])
    assert segments.path(THIS - 1).read_bytes() == EVENT % (THIS - 1)
    keeper(segments).tidy(SETTLED_AT)
    assert names(segments)[1:] == [packed]
    assert gzip.decompress((segments.root / packed).read_bytes()) == EVENT % (THIS - 1)


def test_a_part_without_its_file_goes(segments: Segments) -> None:
    """Half a gzip whose plain file somebody removed is of no use; another process's is not ours."""
    written(segments, THIS)
    day = segments.path(THIS).parent
    for stem in ("mx1-w0", "mx1-w1"):
        (day / f"{stem}-11.jsonl.gz.part").write_bytes(b"half")
    assert keeper(segments).tidy(SETTLED_AT) == []
    assert names(segments)[1:] == ["2026-11-23/mx1-w0-18.jsonl", "2026-11-23/mx1-w1-11.jsonl.gz.part"]


def test_a_full_disk(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for the gzip: the plain file stays as it is, no half one beside it, and somebody is told."""
    written(segments, THIS - 2, THIS - 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copyfileobj", full)
        told = keeper(segments).tidy(SETTLED_AT)
    assert told == [f"mx1-w0-{hour}.jsonl is not gzipped: No space left on device" for hour in (16, 17)]
    assert names(segments)[1:] == ["2026-11-23/mx1-w0-16.jsonl", "2026-11-23/mx1-w0-17.jsonl"]


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """Nothing there, or a file in its place: nothing is made, and the second is told."""
    assert Archive(tmp_path / "none", "mx1-w0", NO_BOUND).tidy(SETTLED_AT) == []
    (tmp_path / "file").write_text("")
    (told,) = Archive(tmp_path / "file", "mx1-w0", NO_BOUND).tidy(SETTLED_AT)
    assert told == f"{tmp_path / 'file'}: Not a directory"


# --- throwing away ---------------------------------------------------------------------------------------------------


def test_days(segments: Segments) -> None:
    """An hour goes when its end is as long ago as asked for; with its day, where nothing else is in it."""
    written(segments, THIS - 72, THIS - 49, THIS - 48, THIS - 47, THIS)
    stray = segments.path(THIS - 49).parent / "notes.txt"
    stray.write_text("mine")
    assert keeper(segments, Retention(days=2, size=0)).tidy(SETTLED_AT) == []
    left = [name for name in names(segments) if "/" in name]
    # 17:00 of the 21st ended at 18:00; two days later it is a minute past that.
    assert left == [
        "2026-11-21/mx1-w0-18.jsonl.gz",
        "2026-11-21/mx1-w0-19.jsonl.gz",
        "2026-11-21/notes.txt",
        "2026-11-23/mx1-w0-18.jsonl",
    ]
    assert not (segments.root / "2026-11-20").exists()
    keeper(segments, Retention(days=1, size=0)).tidy(SETTLED_AT)
    assert stray.read_text() == "mine"


def test_for_ever(segments: Segments) -> None:
    """0 days and size 0 throw nothing away."""
    written(segments, 24, THIS - 1, THIS)
    keeper(segments).tidy(SETTLED_AT)
    assert [segment.hour for segment in segments_below(segments.root)] == [24, THIS - 1, THIS]


def test_size(segments: Segments, tmp_path: Path) -> None:
    """The oldest goes first, of all processes, until the rest fits; what is written now counts, and never goes."""
    other = Segments(tmp_path, "mx1", 1)
    for hour in range(THIS - 4, THIS + 1):
        for one in (segments, other):
            # Random octets, which gzip cannot make less of.
            one.write([(hour, os.urandom(5000).hex().encode() + b"\n")])
            one.close()
    keeper(segments).tidy(SETTLED_AT)
    keeper(other).tidy(SETTLED_AT)
    sizes = {segment: segment.path.stat().st_size for segment in segments_below(segments.root)}
    assert len(sizes) == 10
    # Room for the two of now and two of the hour before.
    room = sum(size for segment, size in sizes.items() if segment.hour >= THIS - 1)
    assert keeper(other, Retention(days=0, size=room)).tidy(SETTLED_AT) == []
    assert [(segment.hour, segment.stem) for segment in segments_below(segments.root)] == [
        (THIS - 1, "mx1-w0"), (THIS - 1, "mx1-w1"), (THIS, "mx1-w0"), (THIS, "mx1-w1"),
    ]  # fmt: skip
    assert keeper(other, Retention(days=0, size=1)).tidy(SETTLED_AT) == []
    assert [(segment.hour, segment.stem) for segment in segments_below(segments.root)] == [
        (THIS, "mx1-w0"), (THIS, "mx1-w1"),
    ]  # fmt: skip


def test_two_at_once(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process threw away meanwhile is no trouble, at any step."""
    written(segments, THIS - 3, THIS - 2, THIS - 1)
    listed = segments_below(segments.root)
    monkeypatch.setattr(archive, "segments_below", lambda _: listed)
    for segment in listed:
        segment.path.unlink()
    assert keeper(segments, Retention(days=1, size=1)).tidy(SETTLED_AT) == []
    assert keeper(segments, Retention(days=1, size=1)).tidy(SETTLED_AT + 100 * HOUR) == []


def test_what_cannot_be_thrown_away(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's reason is told for each file, and the others go."""
    written(segments, THIS - 50, THIS - 49)
    first = segments.path(THIS - 50)
    unlink = Path.unlink

    def stubborn(path: Path, *, missing_ok: bool = False) -> None:
        if path == first:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", stubborn)
    told = keeper(segments, Retention(days=1, size=0)).tidy(SETTLED_AT)
    assert told[0] == f"{first}: Read-only file system"
    assert [segment.hour for segment in segments_below(segments.root)] == [THIS - 50] * len(
        segments_below(segments.root)
    )


def test_links_are_not_followed(segments: Segments, tmp_path: Path) -> None:
    """A link in the place of a segment or of a day leads to somebody else's files."""
    written(segments, THIS)
    mine = tmp_path / "mine" / "mx1-w0-11.jsonl"
    mine.parent.mkdir()
    mine.write_text("{}\n")
    (segments.root / "2020-01-01").symlink_to(mine.parent)
    (segments.path(THIS).parent / "mx1-w0-03.jsonl").symlink_to(mine)
    assert keeper(segments, Retention(days=1, size=1)).tidy(SETTLED_AT) == []
    assert mine.read_text() == "{}\n"
    assert (segments.root / "2020-01-01").is_symlink()


def test_a_disk_without_room_for_events_is_not_the_archive_s(segments: Segments, disk: Disk) -> None:
    """Gzipping goes on while events are lost: it is what makes room."""
    written(segments, THIS - 1, size=10_000)
    disk.full = True
    assert keeper(segments).tidy(SETTLED_AT) == []
    assert names(segments)[-1].endswith(".gz")

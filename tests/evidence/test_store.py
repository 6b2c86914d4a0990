"""The audit read back: files chosen by name, whole events of damaged files, sessions and hosts."""

import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from smtpguard.evidence import store
from smtpguard.evidence.store import Store, StoreError, blamed, blames, foreign
from smtpguard.record import FindingRecord, SessionEndRecord
from tests.evidence import kept
from tests.evidence.kept import HOST, NOON

HOUR = 3600


def segment(directory: Path, name: str, *events: dict[str, Any], tail: bytes = b"") -> Path:
    """Write one file below `events`, gzipped if it is called so."""
    file = directory / "events" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    octets = b"".join(json.dumps(event).encode() + b"\n" for event in events) + tail
    file.write_bytes(gzip.compress(octets) if file.suffix == ".gz" else octets)
    return file


def names(files: list[Path]) -> list[str]:
    """Return the names of files."""
    return [file.name for file in files]


def test_files_are_chosen_by_their_names(tmp_path: Path) -> None:
    """Only hours that the period touches are opened; the order is that of time, late files behind their hour."""
    for name in ("2026-11-22/mx1-w0-23.jsonl.gz", "2026-11-23/mx1-w0-11.jsonl", "2026-11-23/mx1-w0-12.jsonl"):
        segment(tmp_path, name)
    segment(tmp_path, "2026-11-23/mx1-w0-12.1.jsonl")
    segment(tmp_path, "2026-11-23/mx1-w0-12.10.jsonl")
    segment(tmp_path, "2026-11-23/mx1-w0-12.2.jsonl.gz")
    segment(tmp_path, "2026-11-23/mx-2.example-w11-12.jsonl")
    audit = Store(tmp_path)
    assert names(audit.segments(NOON, NOON + 1)) == [
        "mx-2.example-w11-12.jsonl",
        "mx1-w0-12.jsonl",
        "mx1-w0-12.1.jsonl",
        "mx1-w0-12.2.jsonl.gz",
        "mx1-w0-12.10.jsonl",
    ]
    assert names(audit.segments(until=NOON)) == ["mx1-w0-23.jsonl.gz", "mx1-w0-11.jsonl"]
    assert names(audit.segments(NOON + HOUR)) == []
    assert audit.span() == (NOON - 13 * HOUR, NOON + HOUR)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Other names, half-made files, days that are none and directories of odd names are no segments."""
    for name in (
        "2026-11-23/notes.jsonl",
        "2026-11-23/mx1-w0-24.jsonl",
        "2026-11-23/mx1-w0-12.jsonl.gz.part",
        "2026-13-23/mx1-w0-12.jsonl",
        "old/mx1-w0-12.jsonl",
    ):
        segment(tmp_path, name)
    (tmp_path / "events" / "2026-11-20").write_text("a file where a day should be")
    audit = Store(tmp_path)
    assert audit.segments() == []
    assert audit.span() is None


def test_plain_wins_over_its_gzipped_self(tmp_path: Path) -> None:
    """A guard that was stopped between gzip and unlink leaves both: the events count once."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl.gz", kept.end(1), kept.end(2))
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1), kept.end(2))
    audit = Store(tmp_path)
    assert names(audit.segments()) == ["mx1-w0-12.jsonl"]
    assert len(list(audit.events())) == 2


def test_events_have_their_shapes(tmp_path: Path) -> None:
    """A finding and an end come out in the order of the file, as the shapes that they were written in."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl.gz", kept.found(1, "SG104"), kept.end(1, rules={"SG104": 1}))
    broken, end = Store(tmp_path).events()
    assert isinstance(broken, FindingRecord)
    assert isinstance(end, SessionEndRecord)
    assert (broken.rule and broken.rule.id, end.smtp.rules) == ("SG104", {"SG104": 1})


def test_the_period_cuts_within_a_file(tmp_path: Path) -> None:
    """What was born before `since` or not before `until` is left out though its file is read."""
    segment(
        tmp_path,
        "2026-11-23/mx1-w0-12.jsonl",
        *(kept.end(number, after) for number, after in ((1, 0), (2, 60), (3, 120))),
    )
    audit = Store(tmp_path)
    born = NOON + 60 + 1.5
    assert len(list(audit.events(since=born))) == 2
    assert len(list(audit.events(until=born))) == 1
    assert len(list(audit.events(born, born + 1))) == 1


@pytest.mark.parametrize(
    ("tail", "unreadable"),
    [
        (b'{"@timestamp":"2026-11-23T12:0', 1),
        (b"\0" * 100 + b"\n", 1),
        (b"[1,2]\nnull\n", 2),
        (b'{"event":{"action":"session-end"}}\n', 1),
        (b'{"event":{"action":"from-the-future"}}\n', 1),
        (b'\xff\xfe{"a":1}\n', 1),
        (b"\n\n", 0),
    ],
)
def test_lines_that_are_no_event_are_counted(tmp_path: Path, tail: bytes, unreadable: int) -> None:
    """Damage costs its own lines only, and is counted."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1), tail=tail)
    segment(tmp_path, "2026-11-23/mx1-w0-13.jsonl", kept.end(2, HOUR))
    audit = Store(tmp_path)
    assert len(list(audit.events())) == 2
    assert audit.unreadable == unreadable


def test_a_whole_line_without_its_end_is_an_event(tmp_path: Path) -> None:
    """A copy that lost only the last line end lost no event."""
    file = segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1))
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    audit = Store(tmp_path)
    assert (len(list(audit.events())), audit.unreadable) == (1, 0)


def test_a_gzip_stream_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    """The lines before the cut are events; the cut counts as one line, and so does a file that is no gzip at all."""
    file = segment(
        tmp_path, "2026-11-23/mx1-w0-12.jsonl.gz", *(kept.end(number, id=f"{number:012d}") for number in range(900))
    )
    file.write_bytes(file.read_bytes()[:-4000])
    (file.parent / "mx1-w1-12.jsonl.gz").write_bytes(b"no gzip")
    audit = Store(tmp_path)
    events = list(audit.events())
    assert 0 < len(events) < 900
    assert audit.unreadable == 2


def test_a_file_that_is_gzipped_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the reading a plain file may have become a gzipped one, or gone with retention."""
    packed = segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1))
    gone = segment(tmp_path, "2026-11-23/mx1-w0-11.jsonl.gz", kept.end(2, -HOUR))
    audit = Store(tmp_path)
    events = audit.events()
    listed = Store._segments

    def after(self: Store, since: float | None, until: float | None) -> Any:
        found = listed(self, since, until)
        packed.with_name("mx1-w0-12.jsonl.gz").write_bytes(gzip.compress(packed.read_bytes()))
        packed.unlink()
        gone.unlink()
        return found

    monkeypatch.setattr(Store, "_segments", after)
    assert [event.smtp.session.id for event in events] == [kept.session_id(1)]
    assert audit.unreadable == 0


def test_a_growing_file(tmp_path: Path) -> None:
    """A reader sees the lines that are whole when it comes to the end, and no error."""
    file = segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1))
    audit = Store(tmp_path)
    events = audit.events()
    next(events)
    with file.open("ab") as growing:
        growing.write(json.dumps(kept.end(2, 60)).encode() + b"\n")
    assert [event.smtp.session.id for event in events] in ([], [kept.session_id(2, 60)])
    assert [event.smtp.session.id for event in audit.events()] == [kept.session_id(1), kept.session_id(2, 60)]


def test_one_session(tmp_path: Path) -> None:
    """A session is its findings and its end, over the turn of an hour; its id is read in any letter case."""
    late = HOUR - 1
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl.gz", kept.found(1, "SG104", late), kept.end(2))
    segment(tmp_path, "2026-11-23/mx1-w0-13.jsonl", kept.end(1, late))
    audit = Store(tmp_path)
    found = audit.session(kept.session_id(1, late).lower())
    assert found is not None
    assert [each.rule and each.rule.id for each in found.findings] == ["SG104"]
    assert found.end is not None
    assert found.declined == ()


def test_a_session_that_is_not_over(tmp_path: Path) -> None:
    """Without an end there are the findings; of an id that is none, or none of ours, there is nothing."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.found(1, "SG104"), kept.found(1, "SG105", place=2))
    audit = Store(tmp_path)
    found = audit.session(kept.session_id(1))
    assert found is not None
    assert (len(found.findings), found.end) == (2, None)
    assert audit.session(kept.session_id(9)) is None
    assert audit.session("no such") is None


def test_a_session_from_before_the_clock_was_set(tmp_path: Path) -> None:
    """An id that tells a later time than the files do is looked for in the earlier files, too."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1, id="7ZZZZZZZZZZZ"))
    found = Store(tmp_path).session("7ZZZZZZZZZZZ")
    assert found is not None


def test_the_sessions_of_a_host(tmp_path: Path) -> None:
    """Sessions of two workers interleave; each is whole; one without an end comes last; other hosts stay out."""
    segment(
        tmp_path,
        "2026-11-23/mx1-w0-12.jsonl",
        kept.found(1, "SG104"),
        kept.found(3, "SG102", 5),
        kept.found(2, "SG105", 10, ip="203.0.113.9"),
        kept.end(2, 10, ip="203.0.113.9"),
        kept.end(1, 20, id=kept.session_id(1)),
    )
    segment(tmp_path, "2026-11-23/mx1-w1-12.jsonl", kept.end(4, 30))
    sessions = list(Store(tmp_path).host(HOST))
    assert [(each.id, len(each.findings), each.end is not None) for each in sessions] == [
        (kept.session_id(1), 1, True),
        (kept.session_id(4, 30), 0, True),
        (kept.session_id(3, 5), 1, False),
    ]


def test_wire_text_makes_no_host(tmp_path: Path) -> None:
    """An address in a HELO is not the address of the client."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1, helo="192.0.2.99"))
    assert list(Store(tmp_path).host("192.0.2.99")) == []


@pytest.mark.parametrize("where", ["", "events"])
def test_the_directory_or_its_events(tmp_path: Path, where: str) -> None:
    """The directory of the setting is meant, and the one in it is understood."""
    segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1))
    assert len(Store(tmp_path / where).segments()) == 1


def test_no_audit(tmp_path: Path) -> None:
    """No directory, a file, a directory of something else: 66, and what to do."""
    (tmp_path / "file").write_text("")
    for directory, words in (
        (tmp_path / "none", "no such directory"),
        (tmp_path / "file", "no directory"),
        (tmp_path, "no audit here"),
    ):
        with pytest.raises(StoreError, match=words) as raised:
            Store(directory)
        assert raised.value.code == 66


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that its owner keeps to himself: 74, with its name and the way to it."""
    file = segment(tmp_path, "2026-11-23/mx1-w0-12.jsonl", kept.end(1))

    def refuse(path: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(store, "opened", refuse)
    with pytest.raises(StoreError, match=r"cannot be read: Permission denied; run as root, or as a member") as raised:
        list(Store(tmp_path).events())
    assert raised.value.code == 74
    assert str(file) in str(raised.value)


def test_a_directory_in_the_place_of_a_file(tmp_path: Path) -> None:
    """What cannot be read at all is an error with its place, not a hole."""
    (tmp_path / "events" / "2026-11-23" / "mx1-w0-12.jsonl").mkdir(parents=True)
    with pytest.raises(StoreError, match="mx1-w0-12") as raised:
        list(Store(tmp_path).events())
    assert raised.value.code == 74


def test_who_is_blamed(tmp_path: Path) -> None:
    """Consequences, facts about the upstream and limits count against nobody."""
    segment(
        tmp_path,
        "2026-11-23/mx1-w0-12.jsonl",
        kept.found(1, "SG104"),
        kept.found(1, "SG104", consequence=True),
        kept.found(1, "SG503"),
        kept.found(1, "SG606"),
    )
    findings = [event for event in Store(tmp_path).events() if isinstance(event, FindingRecord)]
    assert [blamed(each) for each in findings] == [True, False, False, False]
    assert [blames(each) for each in ("SG101", "SG306", "SG405", "SG501", "SG607")] == [True, True, True, False, False]
    assert [foreign(each) for each in ("SG401", "SG403", "SG404")] == [True, True, False]

"""The recorder and its files: while they cannot be written, when they are opened afresh, and when they are old."""

import threading
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from smtpguard.record import Retention
from smtpguard.record.archive import Archive
from tests.record.desk import Desk, Disk
from tests.record.samples import LINK, NOW, ended, events_below

# --- while the audit cannot be written -------------------------------------------------------------------------------


def test_failing_and_mended(desk: Desk, disk: Disk) -> None:
    """It says why from the first lost event until the audit is tried with success, though no event comes meanwhile."""
    recorder = desk.recorder()
    assert recorder.audit_failing == ""
    disk.full = True
    recorder.observe(LINK, NOW, ended())
    recorder.flush_now()
    assert recorder.audit_failing == "No space left on device"
    recorder.flush_now()
    assert recorder.audit_failing == "No space left on device"
    disk.full = False
    recorder.flush_now()
    assert recorder.audit_failing == ""
    assert events_below(desk.audit) == []


def test_failing_from_the_start(desk: Desk, disk: Disk) -> None:
    """A disk that is full at the start is found out before the first client, and said."""
    disk.full = True
    recorder = desk.recorder()
    assert recorder.audit_failing == "No space left on device"
    recorder.flush_now()
    (line,) = desk.lines()
    told = "No space left on device; events are dropped until this is mended"
    assert line == f"warning: audit: {desk.audit / 'events'}: {told}"


def test_no_audit_never_fails(desk: Desk) -> None:
    """Where nothing is to be written nothing fails."""
    assert desk.recorder(audited=False).audit_failing == ""


async def test_tried_once_a_second(desk: Desk, disk: Disk, autojump_clock: MockClock) -> None:
    """While it runs, it finds out by itself that there is room again."""
    disk.full = True
    recorder = desk.recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        await disk.until_tried(4)
        assert recorder.audit_failing
        disk.full = False
        await _until(lambda: not recorder.audit_failing)
        nursery.cancel_scope.cancel()


# --- files -----------------------------------------------------------------------------------------------------------


async def test_renewed(desk: Desk, mock_clock: MockClock) -> None:
    """Both files are left at once, for the clock stands, without a line being lost; the next events open new ones."""
    recorder = desk.recorder()
    old_log, old_audit = desk.log.with_suffix(".1"), desk.audit / "old"
    segment = desk.audit / "events" / "2026-11-23" / "mx1-w0-18.jsonl"
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        recorder.observe(LINK, NOW, ended())
        recorder.flush_now()
        desk.log.rename(old_log)
        segment.rename(old_audit)
        recorder.renew()
        while not desk.log.exists():
            await trio.to_thread.run_sync(threading.Event().wait, 0.001)
        recorder.observe(LINK, NOW, ended())
        recorder.observe(LINK, NOW, ended())
        recorder.flush_now()
        nursery.cancel_scope.cancel()
    assert [len(path.read_bytes().splitlines()) for path in (old_log, desk.log)] == [1, 2]
    assert [len(path.read_bytes().splitlines()) for path in (old_audit, segment)] == [1, 2]


async def test_hours_that_are_over(desk: Desk, autojump_clock: MockClock) -> None:
    """At the start, and a minute into each hour, what is over is gzipped, though the lane had it open, and no event
    waits for it."""
    recorder = desk.recorder(retention=Retention(days=1))
    day = desk.audit / "events" / "2026-11-23"
    ancient = day.parent / "2026-11-20" / "mx1-w0-18.jsonl.gz"
    ancient.parent.mkdir()
    ancient.touch()
    (day / "mx1-w0-03.jsonl").write_bytes(b"{}\n")
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        recorder.observe(LINK, NOW, ended())
        recorder.flush_now()
        await _until((day / "mx1-w0-03.jsonl.gz").exists)
        await _until(lambda: not ancient.parent.exists())
        assert (day / "mx1-w0-18.jsonl").exists()
        desk.now = NOW + 3600
        await _until((day / "mx1-w0-18.jsonl.gz").exists)
        recorder.observe(LINK, NOW + 3600, ended())
        recorder.flush_now()
        nursery.cancel_scope.cancel()
    assert sorted(path.name for path in day.iterdir()) == [
        "mx1-w0-03.jsonl.gz", "mx1-w0-18.jsonl.gz", "mx1-w0-19.jsonl",
    ]  # fmt: skip


async def test_no_event_waits_for_the_archive(
    desk: Desk, disk: Disk, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """While a large file is gzipped events are written as ever."""
    busy, done = threading.Event(), threading.Event()

    def tidy(*_: object) -> list[str]:
        busy.set()
        done.wait(30)
        return []

    monkeypatch.setattr(Archive, "tidy", tidy)
    recorder = desk.recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        assert await trio.to_thread.run_sync(busy.wait, 30)
        recorder.observe(LINK, NOW, ended())
        await disk.until(1)
        assert not done.is_set()
        done.set()
        nursery.cancel_scope.cancel()


async def test_a_bug_in_the_archive(desk: Desk, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    """It is logged with its stack; log and audit go on."""

    def raise_planted(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Archive, "tidy", raise_planted)
    recorder = desk.recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        await _until(lambda: "in raise_planted" in desk.log.read_text())
        recorder.observe(LINK, NOW, ended())
        recorder.flush_now()
        nursery.cancel_scope.cancel()
    assert len(events_below(desk.audit)) == 1


async def test_troubles_of_the_archive_are_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """What could not be gzipped or removed is a warning."""
    monkeypatch.setattr(Archive, "tidy", lambda *_: ["mx1-w0-17.jsonl is not gzipped: No space left on device"])
    recorder = desk.recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        await _until(lambda: desk.log.exists() and desk.log.read_text() != "")
        nursery.cancel_scope.cancel()
    assert desk.lines() == ["warning: audit: mx1-w0-17.jsonl is not gzipped: No space left on device"]


async def _until(done: Callable[[], bool]) -> None:
    """Let virtual time pass, and threads work, until something is so."""
    while not done():
        await trio.to_thread.run_sync(threading.Event().wait, 0.001)
        await trio.sleep(0.1)

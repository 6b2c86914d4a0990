"""The recorder whole: what is observed is written, whatever the sinks do."""

import os
import shutil
import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from smtpguard.record import LogSettings, Recorder, recorder
from smtpguard.smtp import Close, Event, InspectionEnded, SessionStarted, Verb, Verdict
from tests.record.desk import Desk, Disk
from tests.record.samples import DECLINED, HOST, LINK, NOW, ended, events_below, finding, link, noted

DISCONNECT = f"disconnect from {HOST} ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=5/6"


def test_clean_session(desk: Desk) -> None:
    """At the default level a clean session is one line and one event."""
    recorder = desk.recorder()
    recorder.observe(LINK, NOW, SessionStarted())
    recorder.observe(LINK, NOW, ended())
    recorder.flush_now()
    assert desk.lines() == [DISCONNECT]
    (event,) = events_below(desk.audit)
    assert event["event"]["action"] == "session-end"
    assert event["event"]["id"][10:16] == recorder.boot


def test_bad_session(desk: Desk) -> None:
    """A session with a finding: the reject line, the end, the sum; an event each for finding and end."""
    recorder = desk.recorder()
    recorder.observe(LINK, NOW, SessionStarted())
    recorder.observe(LINK, NOW, finding())
    recorder.observe(LINK, NOW, ended(rules={"SG104": 1}, violations=1))
    recorder.flush_now()
    words = [line.split(" from ")[0].split(":")[0] for line in desk.lines()]
    assert words == ["NOQUEUE", "disconnect", "session 01JDFZ8Q0V7M"]
    assert [event["event"]["action"] for event in events_below(desk.audit)] == ["sequence-violation", "session-end"]


def test_all_at_debug(desk: Desk) -> None:
    """At level debug every event has its line, in the order it was observed, notes among them."""
    recorder = desk.recorder(level="debug")
    events: list[Event] = [SessionStarted(), finding(consequence=True), DECLINED, InspectionEnded(sequence=3), ended()]
    for event in events:
        recorder.observe(LINK, NOW, event)
    recorder.note("info", "stop")
    recorder.flush_now()
    beginnings = [
        "connect",
        "NOQUEUE: consequence:",
        "NOQUEUE: declined:",
        "session ",
        "disconnect",
        "session ",
        "stop",
    ]
    assert all(line.startswith(word) for line, word in zip(desk.lines(), beginnings, strict=True))
    actions = [event["event"]["action"] for event in events_below(desk.audit)]
    assert actions == ["sequence-violation", "command-declined", "session-end"]


def test_consequence_leaves_a_session_clean(desk: Desk) -> None:
    """Nobody is to blame, so at info the session is one line still, and the event says why."""
    recorder = desk.recorder()
    recorder.observe(LINK, NOW, finding(consequence=True))
    recorder.observe(LINK, NOW, ended(consequences=1))
    recorder.flush_now()
    assert desk.lines() == [DISCONNECT]
    assert events_below(desk.audit)[0]["smtp"]["consequence"] is True


def test_probe(desk: Desk) -> None:
    """A probe is counted, without a line or an event."""
    recorder = desk.recorder()
    recorder.observe(LINK, NOW, SessionStarted())
    recorder.observe(LINK, NOW, ended(probe=True, commands={}, close=Close.CLIENT_GONE))
    recorder.flush_now()
    assert recorder.probes == 1
    assert desk.lines() == []
    assert events_below(desk.audit) == []


def test_no_audit(desk: Desk) -> None:
    """Without a directory there is a log and nothing else."""
    recorder = desk.recorder(audited=False)
    recorder.observe(LINK, NOW, finding())
    recorder.observe(LINK, NOW, ended())
    recorder.flush_now()
    assert len(desk.lines()) == 3
    assert not desk.audit.exists()
    assert recorder.dropped == {"log": 0}


def test_bounds_of_a_session(desk: Desk) -> None:
    """However much there is to note: 20 lines and one that counts the rest, 100 events and the end."""
    recorder = desk.recorder()
    for _ in range(150):
        recorder.observe(LINK, NOW, noted("SG102", Verdict.REFUSE, verb=Verb.RCPT))
    recorder.observe(LINK, NOW, ended(rules={"SG102": 150}))
    recorder.observe(LINK, NOW, finding())
    recorder.flush_now()
    lines = desk.lines()
    assert sum(line.startswith("NOQUEUE: ") for line in lines[:-1]) == 20
    assert lines[20] == "session 01JDFZ8Q0V7M: 130 more findings: SG102=130"
    assert [line.split(" ")[0] for line in lines[21:]] == ["disconnect", "session", "NOQUEUE:"]
    actions = [event["event"]["action"] for event in events_below(desk.audit)]
    assert actions == ["sequence-violation"] * 100 + ["session-end", "sequence-violation"]


def test_no_flood_of_notes_hides_what_was_answered(desk: Desk) -> None:
    """Each refusal is written behind any number of notes, up to 200, and a close behind those."""
    recorder = desk.recorder()
    for _ in range(150):
        recorder.observe(LINK, NOW, noted("SG102", Verdict.REFUSE, verb=Verb.RCPT))
    for _ in range(250):
        recorder.observe(LINK, NOW, finding())
    recorder.observe(LINK, NOW, finding(verdict=Verdict.CLOSE))
    recorder.flush_now()
    answered = [line for line in desk.lines() if "NOQUEUE: reject: " in line]
    assert len(answered) == 200 + 1
    assert len(events_below(desk.audit)) == 100 + 200 + 1


def test_remembered_sessions_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions whose end never comes do not fill the memory: the oldest is forgotten."""
    monkeypatch.setattr(recorder, "TALLIES", 2)
    one = desk.recorder()
    for session in ("A", "B", "C"):
        for _ in range(21):
            one.observe(link(session_id=session), NOW, noted("SG104", Verdict.REFUSE))
    for session in ("A", "B", "C"):
        one.observe(link(session_id=session), NOW, ended())
    one.flush_now()
    assert [line for line in desk.lines() if "more findings" in line] == [
        f"session {session}: 1 more findings: SG104=1" for session in ("B", "C")
    ]


def test_unreachable_upstream_is_summed(desk: Desk) -> None:
    """While UPSTREAM is down a tick says so once for each reason, and each session has its event."""
    recorder = desk.recorder()
    for reason in ("connection refused", "connection refused", "timeout"):
        recorder.observe(LINK, NOW, noted("SG501", detail=reason))
    recorder.flush_now()
    recorder.flush_now()
    assert desk.lines() == [
        "warning: upstream 127.0.0.1:10025: connection refused; 2 sessions answered 421",
        "warning: upstream 127.0.0.1:10025: timeout; 1 session answered 421",
    ]
    assert len(events_below(desk.audit)) == 3


def test_bug(desk: Desk) -> None:
    """A bug is logged with its stack, one line a frame."""
    recorder = desk.recorder()
    try:
        raise RuntimeError("{secret}")
    except RuntimeError as error:
        recorder.bug("session 01JDFZ8Q0V7M", error)
    recorder.flush_now()
    first, second, third = desk.lines()
    assert (first, second) == ("error: session 01JDFZ8Q0V7M: internal error", "error: RuntimeError at")
    assert "in test_bug" in third


def test_unknown_level(desk: Desk) -> None:
    """A note of a level that there is not is a fault of the caller."""
    with pytest.raises(KeyError):
        desk.recorder().note("loud", "text")


async def test_ticks(desk: Desk, disk: Disk, autojump_clock: MockClock) -> None:
    """What was observed is in the files a tick later, without a flush, more than one slice too."""
    recorder = desk.recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        for _ in range(1000):
            recorder.observe(LINK, NOW, ended())
        assert disk.lines == 0
        await disk.until(1000)
        nursery.cancel_scope.cancel()
    assert len(events_below(desk.audit)) == 1000


async def test_nothing_lost_at_shutdown(desk: Desk, autojump_clock: MockClock) -> None:
    """What came before the cancel and after it is written by `close`, in order, and no number is missing."""
    recorder = desk.recorder()
    async with trio.open_nursery() as nursery:
        await nursery.start(recorder.run)
        for number in range(500):
            recorder.observe(LINK, NOW + number, ended(octets_in=number))
            if number % 50 == 0:
                await trio.sleep(0.3)
        nursery.cancel_scope.cancel()
    recorder.observe(LINK, NOW + 500, ended(octets_in=500))
    recorder.note("info", "stop")
    recorder.close()
    events = events_below(desk.audit)
    assert [event["smtp"]["counts"][6] for event in events] == list(range(501))
    assert [int(event["event"]["id"][-10:]) for event in events] == list(range(1, 502))
    assert desk.lines() == [DISCONNECT] * 501 + ["stop"]
    desk.recorders.clear()


async def test_stalled_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, autojump_clock: MockClock
) -> None:
    """A log that nobody reads: the audit goes on; lines are dropped, counted, and said when somebody reads again."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    one = Recorder(LogSettings(target=str(pipe)), audit_directory=tmp_path, hostname="mx1", clock=lambda: NOW)
    # A bound that a test reaches; the pipe itself holds 64 KiB.
    monkeypatch.setattr(one._log.lane, "_capacity", 100_000)
    async with trio.open_nursery() as nursery:
        await nursery.start(one.run)
        while not one.dropped["log"]:
            for _ in range(500):
                one.observe(LINK, NOW, ended())
            await trio.sleep(1)
        await disk.until(one._auditor.numbering.sequence)
        nursery.cancel_scope.cancel()
    read: list[bytes] = []
    reader = threading.Thread(target=_read_all, args=(pipe, read))
    reader.start()
    one.close()
    reader.join()
    lines = b"".join(read).decode().splitlines()
    assert one.dropped["audit"] == 0
    assert lines[-1].endswith(f"]: warning: {one.dropped['log']} log lines dropped: the sink is stalled")
    assert len(lines) + one.dropped["log"] == one._auditor.numbering.sequence + 1


def _read_all(pipe: Path, read: list[bytes]) -> None:
    with pipe.open("rb", buffering=0) as stream:
        while octets := stream.read(65536):
            read.append(octets)


def test_full_disk_is_said_once_a_minute(desk: Desk, disk: Disk) -> None:
    """Mail goes on; the operator hears of the loss at once, then once a minute with the count since."""
    recorder = desk.recorder()
    disk.full = True
    for seconds in range(0, 130, 10):
        desk.now = NOW + seconds
        recorder.observe(LINK, NOW, ended())
        recorder.flush_now()
    said = [line for line in desk.lines() if line.startswith("warning: ")]
    assert said == [
        "warning: 1 audit lines dropped: No space left on device",
        "warning: 6 audit lines dropped: No space left on device",
    ]
    disk.full = False
    recorder.observe(LINK, NOW, ended())
    recorder.close()
    desk.recorders.clear()
    assert recorder.dropped == {"log": 0, "audit": 13}
    assert desk.lines()[-1] == "warning: 6 audit lines dropped: No space left on device"
    (event,) = events_below(desk.audit)
    assert event["event"]["id"][-10:] == "0000000014"


def test_vanished_directory(desk: Desk) -> None:
    """The audit's directory is made again, and nothing is dropped."""
    recorder = desk.recorder()
    for _ in range(2):
        recorder.observe(LINK, NOW, ended())
        recorder.flush_now()
        assert len(events_below(desk.audit)) == 1
        shutil.rmtree(desk.audit)
    assert recorder.dropped["audit"] == 0


def test_bad_directory_at_start(desk: Desk) -> None:
    """An audit directory that cannot be made is said at start; mail goes on."""
    desk.audit.write_bytes(b"")
    recorder = desk.recorder()
    recorder.observe(LINK, NOW, ended())
    recorder.flush_now()
    recorder.flush_now()
    lines = desk.lines()
    assert lines[0] == f"warning: audit: {desk.audit}: File exists; events are dropped until this is mended"
    assert lines[1:] == [DISCONNECT, "warning: 1 audit lines dropped: File exists"]

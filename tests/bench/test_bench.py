"""The bench's arithmetic, its counts, and a smoke run with the sink alone; nothing here is timed."""

import gzip
import json
import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.bench import evidence, meter, peers, report
from tests.bench.campaign import Campaign, Plan, Result
from tests.bench.figures import Figure, figure, paired_ratio
from tests.bench.programs import Heard, Load, LoadFailed, Programs, Sink, Taken
from tests.bench.rows import LOADS, ROWS, Measure, Row, Sample, quick

compiled = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt-get install gcc libc6-dev")

ROW = {row.name: row for row in ROWS}
TINY = Load(sessions=6, parallel=3, messages=2, recipients=4, lines=3)


def heard(**changes: int) -> Heard:
    """Return what a load of one session would say, with changes."""
    plain = dict.fromkeys(Heard._fields, 0) | {"sessions": 1, "messages": 1}
    return Heard(**{**plain, **changes})


def plan(row: Row, *names: str) -> Plan:
    """Return a plan of one row and one round in which every load is tiny."""
    return Plan(rows=[row], peers=names, rounds=1, loads=dict.fromkeys(LOADS, TINY), idle=0, python=sys.executable)


def test_figure() -> None:
    """A figure is the median, and 1.57 times the quartiles' distance over the root of the number."""
    assert figure([5, 1, 2, 4, 3]) == pytest.approx((3, 1.57 * 2 / 5**0.5))
    assert figure([7.0]) == (7.0, 0.0)


def test_paired_ratio() -> None:
    """A disturbance that doubles both figures of a round leaves the ratio, where the ratio of medians would move."""
    assert paired_ratio([2, 20, 6], [1, 10, 3]) == (2, 0)
    with pytest.raises(ValueError):
        paired_ratio([1, 2], [1])


def test_values() -> None:
    """Each measure divides what was spent by what was done, in the unit of its row."""
    one = Sample(30_000, heard(sessions=10, messages=10))
    eleven = Sample(23_000, heard(sessions=1, messages=11))
    bulk = Sample(50_000_000, heard(octets=50 << 20, rcpt_p50_ns=1500, rcpt_p99_ns=2500))
    samples = {"one-20": one, "eleven-20": eleven, "text": bulk, "rcpt-1": bulk}
    values = [ROW[name].value(samples) for name in ("session-20", "message-20", "content-text", "rcpt-1", "rcpt-1-p99")]
    assert values == [3.0, 2.0, 100.0, 1.5, 2.5]


def test_rows_name_their_loads() -> None:
    """Every row but memory has loads that exist, and every load serves a row."""
    named = {load for row in ROWS for load in row.loads}
    assert named == set(LOADS)
    assert [row.name for row in ROWS if not row.loads] == ["idle"]


def test_quick() -> None:
    """A quick load keeps as many sessions as run at a time; one of a single session keeps it and has less content."""
    assert quick(Load(sessions=60, parallel=20, lines=8)) == Load(sessions=20, parallel=20, lines=8)
    assert quick(Load(sessions=1, parallel=1, lines=8)) == Load(sessions=1, parallel=1, lines=2)


@pytest.mark.parametrize(
    ("judged", "verdict"),
    [
        (Figure(1.9, 0), "goal"),
        (Figure(2.0, 0), "goal"),
        (Figure(2.6, 0), "must"),
        (Figure(2.7, 9), "MISSED"),
        (None, "-"),
    ],
)
def test_verdict(judged: Figure | None, verdict: str) -> None:
    """The mark itself is reached; the spread earns nothing; without smtpguard there is nothing to judge."""
    assert report.Line(row=ROW["session-20"], peers={}, judged=judged).verdict == verdict


def test_table() -> None:
    """The table has a ratio to the row's base, a dash for whoever has no figure, and columns that stand straight."""
    result = Result()
    for peer, cpu in (("direct", 0), ("haproxy", 100_000), ("smtpguard", 220_000)):
        result.samples[peer].append({"one-20": Sample(cpu, heard())})
    names = ("direct", "haproxy", "smtpguard")
    lines = [report.line(ROW["session-20"], plan(ROW["session-20"], *names), result)]
    head, _, row = (text.split(" | ") for text in report.table(lines, names).splitlines())
    assert [cell.strip(" |") for cell in row[3:]] == ["-", "100", "220", "2.20", "0.00", "haproxy", "2.6", "2", "must"]
    assert [len(cell) for cell in head] == [len(cell) for cell in row]


def test_memory_is_judged_by_itself() -> None:
    """Memory of an idle session has marks in KiB, not in times of another peer's."""
    result = Result()
    result.memory["smtpguard"].extend([9 * 1024, 7 * 1024, 7 * 1024])
    line = report.line(ROW["idle"], plan(ROW["idle"], "smtpguard"), result)
    assert line.judged is not None
    assert (line.judged.median, line.verdict) == (7, "goal")


def test_evidence(tmp_path: Path) -> None:
    """Events are counted by action over all segments, gzipped ones too."""
    event = json.dumps({"event": {"action": "session-end"}}).encode() + b"\n"
    other = json.dumps({"event": {"action": "sequence-violation"}}).encode() + b"\n"
    folder = tmp_path / "events" / "2026-11-23"
    folder.mkdir(parents=True)
    (folder / "1.jsonl").write_bytes(event + other + event)
    (folder / "0.jsonl.gz").write_bytes(gzip.compress(event))
    assert evidence.actions(tmp_path) == {"session-end": 3, "sequence-violation": 1}
    assert evidence.octets(tmp_path) == 3 * len(event) + len(other)


def test_meter() -> None:
    """The CPU clock of a process tree is the kernel's for this process, and it has memory."""
    before = time.process_time_ns()
    assert before <= meter.cpu(os.getpid())
    assert meter.pss(os.getpid()) > 1 << 20
    assert meter.tree(os.getpid())[0] == os.getpid()


@compiled
def test_smoke(tmp_path: Path) -> None:
    """Against the sink alone the counts agree, and each RCPT of each message of each session was timed."""
    row = ROW["rcpt-1"]
    result = Campaign(plan(row, "direct"), tmp_path, say=lambda _: None).run()
    sample = result.samples["direct"][0]["rcpt-1"]
    assert result.differences == []
    assert sample.heard[:3] == (6, 12, 12 * (3 * 78 + 3))
    assert sample.heard.round_trips == 6 * 2 * 4
    assert result.values(row, "direct")[0] > 0
    assert row.measure is Measure.RCPT_P50


@compiled
def test_held_sessions(tmp_path: Path) -> None:
    """Idle sessions stand behind EHLO together, and end with QUIT."""
    programs = Programs(tmp_path)
    with programs.sink() as sink:
        with programs.held(Load(sessions=30, parallel=4, messages=0, lines=0), sink.port) as ends:
            assert sink.taken().sessions == 30
            assert ends == []
        assert [end.sessions for end in ends] == [30]


@compiled
@pytest.mark.parametrize("said", [b"554 5.3.2 no\r\n", b"220 a\r\n220 b\r\n", b""])
def test_load_refuses_the_unlawful(tmp_path: Path, said: bytes) -> None:
    """A wrong code, more than was asked for and an early close end the load with a failure."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as client:
                client.sendall(said)

        server = threading.Thread(target=serve)
        server.start()
        with pytest.raises(LoadFailed, match="at greeting"):
            Programs(tmp_path).run(Load(sessions=1, parallel=1, lines=1), listener.getsockname()[1])
        server.join()


@compiled
def test_lost_messages_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sink that counts nothing differs from what the load had, in messages and octets, at every load."""
    monkeypatch.setattr(Sink, "taken", lambda _: Taken(0, 0, 0))
    result = Campaign(plan(ROW["rcpt-1"], "direct"), tmp_path, say=lambda _: None).run()
    assert len(result.differences) == 4
    assert "direct, messages at the sink: 0, where the load had 12" in result.differences


@compiled
def test_lost_evidence_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay in smtpguard's place that leaves no evidence is told from smtpguard, though all mail arrives."""
    monkeypatch.setitem(peers.PEERS, peers.SMTPGUARD, peers.naive)
    monkeypatch.setitem(peers.TICKS, peers.SMTPGUARD, 0.0)
    result = Campaign(plan(ROW["session-20"], peers.SMTPGUARD), tmp_path, say=lambda _: None).run()
    assert result.differences == ["smtpguard-rounds, session-end in the audit: 0, where the load had 206"]
    assert result.samples[peers.SMTPGUARD][0]["one-20"].cpu > 0


@compiled
def test_relay_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that ends at once is a failure with its last words, not a peer left out."""
    monkeypatch.setitem(peers.PEERS, "naive", lambda _: [sys.executable, "-c", "raise SystemExit('no port')"])
    with pytest.raises(peers.StartFailed, match="naive does not listen: no port"):
        Campaign(plan(ROW["session-20"], "naive"), tmp_path, say=lambda _: None).run()

"""A small day, played at the real guard before the real Postfix: all that was recorded is what the truth says.

The 5,000 sessions of the large one are `python -m tests.against.day --sessions 5000`; here it is the same with fewer.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.against.day.hosts import HOSTS
from tests.against.day.run import Figures, Folder, day
from tests.against.day.spread import SECONDS, spread
from tests.against.day.truth import KINDS, Truth, plan, read
from tests.against.day.verbs import VERBS
from tests.against.day.verify import Event, disagreements, events, seconds

pytestmark = pytest.mark.timeout(300)

SESSIONS = 300


@dataclass(frozen=True, slots=True)
class Run:
    """One day, as it went."""

    folder: Folder
    truth: Truth
    figures: Figures

    def events(self) -> list[Event]:
        """Return the audit."""
        return list(events(self.folder.audit))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Play it once, with a capture and a copy spread over a week."""
    folder = Folder(tmp_path_factory.mktemp("day"))
    truth, figures = day(folder.out, sessions=SESSIONS, seed=7, capturing=True)
    spread(folder.audit, folder.spread)
    return Run(folder, truth, figures)


def test_every_session_went_as_planned(run: Run) -> None:
    """Each client heard the codes that its row says, and the capture missed no packet."""
    assert run.figures.otherwise == []
    assert run.figures.sessions == SESSIONS == len(run.truth.sessions)
    captured, received, dropped = map(int, re.findall(r"(\d+) packets", run.figures.capture))
    # On loopback tcpdump's filter meets every packet twice.
    assert (2 * captured, dropped) == (received, 0)


def test_a_folder_takes_one_day(run: Run) -> None:
    """A second day in the same folder is refused before anything is started."""
    with pytest.raises(FileExistsError, match="holds another day"):
        day(run.folder.out, sessions=1, seed=1, capturing=False)


def test_the_truth_was_written_first(run: Run) -> None:
    """The file is the one that was hashed before the first octet, and older than the first event."""
    octets = run.folder.truth.read_bytes()
    assert hashlib.sha256(octets).hexdigest() == run.figures.truth_sha256
    first = min(seconds(event["smtp"]["session"]["start"]) for event in run.events() if "rule" in event)
    assert run.folder.truth.stat().st_mtime < first


def test_the_audit_is_what_the_truth_says(run: Run) -> None:
    """Every session, finding, cause, consequence and marked line, and nothing besides."""
    assert list(disagreements(run.truth, run.events())) == []


def test_the_truth_is_read_back_whole(run: Run) -> None:
    """What `--verify` reads later is what was planned."""
    assert read(run.folder.truth) == run.truth


def test_the_day_is_mixed() -> None:
    """Every kind is played, by fifteen hosts; a seed is always the same day, another one is another."""
    planned = plan(7, SESSIONS, 40_000)
    assert {one.title for one in planned} == set(KINDS)
    assert {one.ip for one in planned} == {host.ip for host in HOSTS}
    assert len(HOSTS) == 15
    assert len({(one.ip, one.port) for one in planned}) == SESSIONS
    assert plan(7, SESSIONS, 40_000) == planned
    assert plan(8, SESSIONS, 40_000) != planned
    sums = Truth(7, planned).sums()
    assert len(sums.findings) >= 25
    assert min(sums.good, sums.affected, sums.not_smtp, sums.probes) > 10
    assert sums.good + sums.affected + sums.not_smtp + sums.probes == SESSIONS


def test_a_copy_spread_over_a_week_says_the_same(run: Run) -> None:
    """Seven days between the first session's end and the last one's, in files of their hours; else the same audit."""
    assert list(disagreements(run.truth, events(run.folder.spread))) == []
    ends = sorted(seconds(event["@timestamp"]) for event in events(run.folder.spread) if "rule" not in event)
    assert ends[-1] - ends[0] == pytest.approx(SECONDS, abs=0.01)
    files = list((run.folder.spread / "events").glob("*/*.jsonl"))
    assert len(files) > 40
    for file in files:
        hour = f"{file.parent.name}T{file.stem[-2:]}"
        assert {line[15:28].decode() for line in file.read_bytes().splitlines()} == {hour}


def a_finding(held: list[Event]) -> int:
    return next(at for at, event in enumerate(held) if "rule" in event and not event["smtp"]["consequence"])


def test_whatever_is_missing_or_wrong_is_noticed(run: Run) -> None:
    """A finding less, one twice, another cause, a session too many: each is told of, of its session alone."""
    held, session = run.events(), run.truth.sessions[0]
    at = a_finding(held)
    assert len(list(disagreements(run.truth, held[:at] + held[at + 1 :]))) == 1
    assert len(list(disagreements(run.truth, [*held, held[at]]))) == 1
    other = held[at] | {"smtp": held[at]["smtp"] | {"cause": "health-check"}}
    assert len(list(disagreements(run.truth, [*held[:at], other, *held[at + 1 :]]))) == 1
    shorter = Truth(run.truth.seed, run.truth.sessions[1:])
    (point,) = disagreements(shorter, held)
    assert f"in the audit and not in the truth: {session.ip}:{session.port}" in point
    longer = Truth(run.truth.seed, [*run.truth.sessions, replace(session, port=1)])
    (point,) = disagreements(longer, held)
    assert point.endswith(f"{session.ip}:1: not in the audit")


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_is_right_about_the_day(verb: str, run: Run) -> None:
    """What the verb says of the day is what the truth says, to the last session and count."""
    assert list(VERBS[verb].compare(run.truth, run.folder)) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_s_comparison_can_fail(verb: str, run: Run) -> None:
    """A truth that lacks a session is noticed, wherever the session was."""
    at = next(at for at, one in enumerate(run.truth.sessions) if one.title == "rcpt before mail")
    shorter = Truth(run.truth.seed, run.truth.sessions[:at] + run.truth.sessions[at + 1 :])
    assert next(VERBS[verb].compare(shorter, run.folder), "") != ""


def test_a_run_leaves_all_that_is_looked_at_later(run: Run) -> None:
    """The files that the command's page names are there."""
    left = (run.folder.truth, run.folder.log, run.folder.capture, run.folder.ports, run.folder.figures)
    assert [file for file in left if not Path(file).stat().st_size] == []

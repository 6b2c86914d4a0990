"""What tcpdump saw between clients and guard, replayed, is what the guard itself found, session by session.

One capture of the loopback interface holds all sessions of this module: every row of `DISORDER`, before a guard that
enforces and one that observes, and violations of the other sections; swaks and smtplib come by as well. How a capture
and a live guard can agree on timing: on loopback a packet is captured in the order in which it was sent, and the
clients here send what they send ahead in one segment, or wait for a reply. A command that leaves in the very moment in
which a reply comes would be a toss-up for both.

tshark puts the same capture together by its own code: both must read the same octets.
"""

import json
import os
import random
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from smtpguard.config import listeners_of, load, session_policy
from smtpguard.evidence.capture.capture import Capture
from smtpguard.evidence.capture.reassembly import Hole, Shut
from smtpguard.evidence.judge.judge import Judge
from smtpguard.evidence.judge.pieces import Ended, Piece
from smtpguard.record import printable
from smtpguard.smtp import Finding, Policy, Side
from tests.against.audit import Event, rule_of
from tests.against.captured import OTHERS, SETTINGS, Day, Tcpdump, played
from tests.against.conftest import MakeGuard
from tests.against.disorder import DISORDER, NOTES_IN_STANDARD
from tests.against.guard import ROOT
from tests.against.postfix import Postfix
from tests.against.programs import program


@pytest.fixture(scope="module")
def day(postfix: Postfix, make_guard: MakeGuard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Play every session before both guards while tcpdump looks on."""
    guards = {
        "enforce": make_guard(postfix.port, *SETTINGS).wait_served(),
        "observe": make_guard(postfix.port, *SETTINGS, flags=("--observe",)).wait_served(),
    }
    dump = Tcpdump(tmp_path_factory.mktemp("capture") / "day.pcap", [guard.port for guard in guards.values()])
    try:
        yield Day(dump.file, guards, played(guards, dump))
    finally:
        dump.kill()


def policy(mode: str) -> Policy:
    """Return what the guard was told."""
    flags = {"test": (("listen",), ["127.0.0.1:1"]), "test ": (("upstream",), ["127.0.0.1:2"])}
    config = load(None, flags=flags, assignments=(*SETTINGS, f"policy.mode={mode}")).config
    return session_policy(listeners_of(config)[0], config.limits, config.audit)


Told = tuple[str, str, int, str, bool, str, str, str, bool]


def live(event: Event) -> Told:
    """Return what the audit says of a finding."""
    smtp: dict[str, Any] = event["smtp"]
    return (
        rule_of(event), smtp["command"], smtp["command_number"], smtp["cause"], smtp["consequence"], smtp["enforced"],
        smtp["state"], smtp["line"], smtp["pipelined"],
    )  # fmt: skip


def replayed(finding: Finding) -> Told:
    """Return the same of a finding of the replay."""
    return (
        finding.rule.id, finding.verb.value, finding.sequence, finding.cause.value, finding.consequence,
        finding.enforced.value, finding.state.value, printable(finding.line, 1024), finding.sent_ahead,
    )  # fmt: skip


def judged(day: Day, mode: str) -> dict[int, list[Told]]:
    """Judge a guard's sessions from the capture; client port -> findings."""
    judges: dict[int, Judge] = {}
    found: dict[int, list[Told]] = {}
    terms = policy(mode)
    for talk, item in Capture(day.file, frozenset({day.guards[mode].port})).said():
        port = talk.key[1]
        judge = judges.setdefault(port, Judge(terms, start=talk.from_its_start))
        assert not isinstance(item, Hole)
        if isinstance(item, Piece):
            judge.take(item)
        elif isinstance(item, Shut):
            judge.take(Ended(item.at, item.side))
        else:
            if item.reset is not None:
                judge.take(Ended(item.at, item.reset, reset=True))
            found[port] = [replayed(one.finding) for one in judge.end().findings]
    return found


def kept(told: list[Told], mode: str) -> list[Told]:
    """Leave out what a guard that observes only counts: of each rule it keeps 20 findings."""
    seen = Counter[str]()
    some = []
    for one in told:
        seen[one[0]] += 1
        if mode == "enforce" or seen[one[0]] <= 20:
            some.append(one)
    return some


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_a_capture_gives_the_findings_of_the_live_audit(mode: str, day: Day) -> None:
    """Rule, command, number, cause, consequence, enforced verdict, state, line, sent ahead: all the same, in order."""
    found = judged(day, mode)
    audit = day.guards[mode].audit
    ports = {port for port, (_, told) in day.sessions.items() if told == mode}
    assert ports <= found.keys()
    different = {}
    for port in ports:
        live_only = Counter(map(live, audit.findings(port)))
        replayed_only = Counter(kept(found[port], mode))
        if live_only != replayed_only:
            different[day.sessions[port][0]] = live_only - replayed_only, replayed_only - live_only
    assert different == {}


def test_the_capture_holds_every_section_that_clients_break(day: Day) -> None:
    """The comparison above is not one of empty lists."""
    rules = {told[0] for mode in day.guards for findings in judged(day, mode).values() for told in findings}
    assert rules >= {name[:5] for name in OTHERS if name.startswith("SG")}
    assert rules >= {row.rule for row in DISORDER.values() if row.port == "port"}


def test_the_verb_says_the_same(day: Day, tmp_path: Path) -> None:
    """`smtpguard replay` over the capture and over the audit: each session's verdicts as they were carried out."""
    guard = day.guards["enforce"]
    changes = [word for setting in SETTINGS for word in ("--set", setting)]
    file = tmp_path / "rules.toml"
    file.write_text("[policy.rules]\n" + "".join(f'{rule} = "refuse"\n' for rule in NOTES_IN_STANDARD))
    for source in (day.file, guard.audit.directory):
        done = subprocess.run(
            [
                sys.executable, "-m", "smtpguard", "replay", str(source), "-c", str(file), *changes, "--json",
                "--sessions", "--port", str(guard.port), "--fail-on", "change",
            ],
            capture_output=True, check=False, timeout=120, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        *sessions, last = map(json.loads, done.stdout.splitlines())
        assert last["summary"]["changed_findings"] == 0
        for session in sessions:
            expected = [
                (rule_of(event), event["smtp"]["verdict"])
                for event in guard.audit.findings(session["port"])
                if not event["smtp"]["consequence"]
            ]
            said = [(one["rule"], one["now"]) for one in session["findings"]]
            assert sorted(said) == sorted(expected), day.sessions.get(session["port"])


# --- tshark -----------------------------------------------------------------------------------------------------------


def streams(file: Path, ports: Sequence[int]) -> dict[tuple[int, Side], bytes]:
    """Return what each side of each connection said, by client port, as we read it."""
    said: dict[tuple[int, Side], bytearray] = {}
    for talk, item in Capture(file, frozenset(ports)).said():
        if isinstance(item, Piece):
            said.setdefault((talk.key[1], item.side), bytearray()).extend(item.octets)
    return {key: bytes(octets) for key, octets in said.items()}


def by_tshark(file: Path, ports: Sequence[int]) -> dict[tuple[int, Side], bytes]:
    """Return the same as tshark follows the streams."""
    tshark = program("tshark")
    numbers = subprocess.run(
        [tshark, "-r", str(file), "-T", "fields", "-e", "tcp.stream"], capture_output=True, check=True, timeout=120
    ).stdout.split()
    follow = [word for number in sorted(set(map(int, numbers))) for word in ("-z", f"follow,tcp,raw,{number}")]
    text = subprocess.run(
        [tshark, "-r", str(file), "-q", "-o", "tcp.reassemble_out_of_order:TRUE", *follow],
        capture_output=True, check=True, timeout=300,
    ).stdout.decode()  # fmt: skip
    said: dict[tuple[int, Side], bytearray] = {}
    nodes: list[int] = []
    for line in text.splitlines():
        if line.startswith("Node "):
            nodes = (
                [*nodes[-1:], int(line.rpartition(":")[2])]
                if line.startswith("Node 1")
                else [int(line.rpartition(":")[2])]
            )
        elif nodes and line.strip() and all(char in "0123456789abcdef\t" for char in line):
            speaker = nodes[1 if line.startswith("\t") else 0]
            client = next(node for node in nodes if node not in ports)
            side = Side.UPSTREAM if speaker in ports else Side.CLIENT
            said.setdefault((client, side), bytearray()).extend(bytes.fromhex(line.strip()))
    return {key: bytes(octets) for key, octets in said.items()}


def scrambled(file: Path, folder: Path) -> Path:
    """Return a copy of a capture in which packets with payload are repeated, and moved by up to three places within
    their own direction's run, as a network with several ways would do it."""
    octets, dice = file.read_bytes(), random.Random(5)
    head, records, at = octets[:24], list[bytes](), 24
    while at < len(octets):
        size = struct.unpack_from("<I", octets, at + 8)[0]
        records.append(octets[at : at + 16 + size])
        at += 16 + size
    order: list[tuple[float, bytes]] = []
    run, latest = 0.0, b""
    for place, record in enumerate(records):
        ports = record[16 + 34 : 16 + 38]
        run = run if ports == latest else float(place)
        latest = ports
        flags = record[16 + 47]
        moves = len(record) > 16 + 80 and not flags & 7
        order.append((max(run, place - dice.uniform(0, 3)) if moves else place, record))
        if moves and dice.random() < 0.2:
            order.append((place + 0.5, record))
    copy = folder / "scrambled.pcap"
    times = [record[:8] for record in records]
    shuffled = [record for _, record in sorted(order, key=lambda one: one[0])]
    # Times go on as they did: a capture is in the order of its clock.
    copy.write_bytes(head + b"".join(times[min(n, len(times) - 1)] + one[8:] for n, one in enumerate(shuffled)))
    return copy


@pytest.mark.parametrize("order", ["as captured", "scrambled"])
def test_tshark_reads_the_same_octets(order: str, day: Day, tmp_path: Path) -> None:
    """Both directions of every connection, octet for octet."""
    program("tshark")
    file = day.file if order == "as captured" else scrambled(day.file, tmp_path)
    ports = [guard.port for guard in day.guards.values()]
    ours = streams(file, ports)
    assert len(ours) >= 2 * len(day.sessions)
    theirs = by_tshark(file, ports)
    assert {key: octets for key, octets in ours.items() if theirs.get(key) != octets} == {}
    assert theirs.keys() == ours.keys()

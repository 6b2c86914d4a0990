"""`smtpguard replay`: what it prints, which rules it takes, and how it ends."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from tests.evidence.packets import CLIENT, Line, ethernet, pcap

NESTED = (
    b"220 mx\r\n", b"EHLO c.example\r\n", b"250 mx\r\n", b"MAIL FROM:<a@x>\r\n", b"250 ok\r\n",
    b"MAIL FROM:<b@x>\r\n", b"503 no\r\n", b"QUIT\r\n", b"221 Bye\r\n",
)  # fmt: skip


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Two sessions, one with a nested MAIL."""
    lines = [
        Line(CLIENT).open().said(*NESTED).close(),
        Line(("2001:db8::7", 40002), ("2001:db8::25", 25)).open().said(*NESTED[:3]).close(),
    ]
    file = tmp_path / "day.pcap"
    file.write_bytes(pcap(ethernet(packet) for line in lines for packet in line.packets))
    return file


@pytest.fixture(autouse=True)
def no_default_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine is configured to do is none of these tests' business."""
    monkeypatch.setattr("smtpguard.config.default_file", lambda: None)
    monkeypatch.setenv("TZ", "UTC")


def replay(*words: object) -> Result:
    """Run the verb."""
    return CliRunner().invoke(main, ["replay", *map(str, words)])


def test_a_capture_under_the_rules_of_today(capture: Path) -> None:
    """A head line, how far sessions were judged, the table, and that nothing would change."""
    result = replay(capture)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "1 capture: 2 sessions of 2 hosts, 2026-11-18 11:06:40 to 2026-11-18 11:06:40 (UTC)",
        "judged: 2 whole",
        "",
        "host       rule               sessions  findings  now        proposed",
        "192.0.2.7  SG105 nested-mail         1         1  refuse     refuse",
        "",
        "No verdict would change.",
    ]


def test_a_capture_under_proposed_rules(capture: Path) -> None:
    """The row is marked, and the session is named with its line."""
    result = replay(capture, "--set", "policy.rules.SG105=note")
    assert result.stdout.splitlines()[4:] == [
        "192.0.2.7  SG105 nested-mail         1         1  refuse     note       changed",
        "",
        "1 of 1 finding would get another verdict, in 1 session:",
        "  192.0.2.7:40001 #1 2026-11-18 11:06:40",
        "    SG105 command 3: refuse -> note  MAIL FROM:<b@x>",
    ]


def test_a_profile_and_a_file_are_proposals_too(capture: Path, tmp_path: Path) -> None:
    """--profile and --proposed; a file of rules alone will do."""
    file = tmp_path / "rules.toml"
    file.write_text('[policy]\nrules.SG105 = "off"\n')
    for words, verdict in ((["--profile", "lenient"], "note"), (["--proposed", file], "off")):
        (row,) = json.loads(replay(capture, *words, "--json").stdout)["rows"]
        assert (row["now"], row["proposed"], row["changed"]) == ("refuse", verdict, True)


def test_the_rules_of_today_are_those_of_a_file(capture: Path, tmp_path: Path) -> None:
    """-c names it; what is proposed is on top of it."""
    file = tmp_path / "smtpguard.toml"
    file.write_text('listen = ["127.0.0.1:25"]\nupstream = "127.0.0.1:26"\n[policy]\nmode = "observe"\n')
    (row,) = json.loads(replay(capture, "-c", file, "--set", "policy.mode=enforce", "--json").stdout)["rows"]
    assert (row["now"], row["proposed"]) == ("note", "refuse")


def test_a_listener_has_rules_of_its_own(capture: Path, tmp_path: Path) -> None:
    """--listener names one; a name that is none is told with those there are."""
    file = tmp_path / "smtpguard.toml"
    file.write_text(
        'listen = ["127.0.0.1:25"]\nupstream = "127.0.0.1:26"\n'
        '[[listener]]\nname = "submission"\naddress = ["127.0.0.1:587"]\npolicy.profile = "lenient"\n'
    )
    (row,) = json.loads(replay(capture, "-c", file, "--listener", "submission", "--json").stdout)["rows"]
    assert row["now"] == "note"
    result = replay(capture, "-c", file, "--listener", "inside")
    assert result.exit_code == 2
    assert "there are 127.0.0.1:25, submission" in result.stderr


def test_json_holds_the_sums_and_the_changes(capture: Path) -> None:
    """All rows, and the sessions with another verdict."""
    told = json.loads(replay(capture, "--set", "policy.rules.SG105=note", "--json").stdout)
    assert told["sources"] == {"capture": 1}
    assert (told["sessions"], told["hosts"], told["judged"], told["opaque_share"]) == (2, 2, {"whole": 2}, 0.0)
    assert (told["findings"], told["changed_findings"], told["changed_sessions"]) == (1, 1, 1)
    assert told["first"] == "2026-11-18T11:06:40.000Z"
    (change,) = told["changes"]
    assert (change["host"], change["port"], change["session"], change["judged"]) == ("192.0.2.7", 40001, "#1", "whole")
    assert change["findings"] == [
        {"rule": "SG105", "now": "refuse", "proposed": "note", "command": 3, "line": "MAIL FROM:<b@x>", "times": 1}
    ]


def test_a_line_for_each_session(capture: Path) -> None:
    """--sessions with --json: one object a line, the sums last; alone it is a mistake."""
    *sessions, last = map(json.loads, replay(capture, "--json", "--sessions").stdout.splitlines())
    assert [(one["host"], len(one["findings"])) for one in sessions] == [("192.0.2.7", 1), ("2001:db8::7", 0)]
    assert last["summary"]["sessions"] == 2
    assert replay(capture, "--sessions").exit_code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["--fail-on", "any"], 1, id="any"),
        pytest.param(["--fail-on", "violation"], 1, id="violation"),
        pytest.param(["--fail-on", "change"], 0, id="no change"),
        pytest.param(["--fail-on", "change", "--profile", "lenient"], 1, id="change"),
        pytest.param(["--fail-on", "violation", "--profile", "lenient"], 0, id="none any more"),
        pytest.param(["--fail-on", "sg105"], 1, id="a rule"),
        pytest.param(["--fail-on", "SG101", "--fail-on", "nested-mail"], 1, id="one of two"),
        pytest.param(["--fail-on", "SG101"], 0, id="another rule"),
        pytest.param(["--fail-on", "SG998"], 2, id="no rule"),
        pytest.param(["--port", "0"], 2, id="no port"),
        pytest.param(["--port", "2525"], 66, id="another port"),
        pytest.param(["--since", "whenever"], 2, id="no time"),
        pytest.param(["--timezone", "Mars/Phobos"], 2, id="no zone"),
        pytest.param(["--timezone", "Europe/Vienna"], 0, id="a zone"),
        pytest.param(["--set", "policy.rules.SG999=note"], 78, id="no such rule in a setting"),
        pytest.param(["-c", "none.toml"], 78, id="no such file of rules"),
    ],
)
def test_exit_codes(words: list[str], code: int, capture: Path) -> None:
    """What is asked for, mistakes of usage and of configuration; never a traceback."""
    result = replay(capture, *words)
    assert (result.exit_code, result.exception is None or isinstance(result.exception, SystemExit)) == (code, True)
    assert "Traceback" not in result.output


def test_a_truncated_capture_is_a_warning(capture: Path) -> None:
    """The result stands, exit 0."""
    capture.write_bytes(capture.read_bytes()[:-10])
    result = replay(capture)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {capture}: it ends inside a packet, ")
    assert "SG105 nested-mail" in result.stdout


def test_one_bad_source_among_good_ones_is_told_and_the_rest_stands(capture: Path, tmp_path: Path) -> None:
    """The sums are of those that could be read; the exit code is of the one that could not."""
    text = tmp_path / "letter.pcap"
    text.write_text("dear all\n")
    result = replay(capture, text)
    assert result.exit_code == 65
    assert result.stderr == f"{text}: no packet capture: it begins with b'dear', which neither pcap nor pcapng does\n"
    assert "1 capture: 2 sessions" in result.stdout
    alone = replay(text)
    assert (alone.exit_code, alone.stdout) == (65, "")


def test_no_findings_are_said(tmp_path: Path) -> None:
    """A good day."""
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(map(ethernet, Line().open().said(*NESTED[:3]).close().packets)))
    assert replay(file).stdout.splitlines()[3] == "No findings, now or proposed."


def test_consequences_are_said_apart(tmp_path: Path) -> None:
    """Nobody's fault."""
    group = (b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n", b"550 no\r\n503 no\r\n")
    line = Line().open().said(NESTED[0], NESTED[1], b"250-mx\r\n250 PIPELINING\r\n", *group, *NESTED[-2:]).close()
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(map(ethernet, line.packets)))
    assert "1 consequence besides: pipelined behind a refusal, nobody's fault." in replay(file).stdout


def test_a_long_table_and_many_changes_are_cut_on_the_screen(tmp_path: Path) -> None:
    """40 rows and 20 sessions; JSON has the rest."""
    lines = [Line((f"192.0.2.{n}", 40001)).open().said(*NESTED).close() for n in range(1, 46)]
    many = Line(("198.51.100.9", 1)).open().said(*NESTED[:5])
    for _ in range(7):
        many.up(NESTED[5])
        many.down(NESTED[6])
    file = tmp_path / "a.pcap"
    file.write_bytes(pcap(ethernet(packet) for line in [many.close(), *lines] for packet in line.packets))
    told = replay(file, "--profile", "lenient").stdout
    assert "... and 6 more rows; --json has all" in told
    assert "    ... and 2 more" in told
    assert "  ... and 26 more sessions; --json names a thousand" in told


def test_without_the_extra_it_says_what_to_install(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """69, and the line to type."""
    monkeypatch.setitem(sys.modules, "dpkt", None)
    result = replay(capture)
    assert (result.exit_code, result.stderr) == (
        69,
        "smtpguard replay needs the extra \"report\": pip install 'smtpguard[report]'\n",
    )


def test_a_transcript_has_no_host(tmp_path: Path) -> None:
    """A dash stands in the table, null in JSON."""
    file = tmp_path / "session.txt"
    text = "".join(f"{'S' if n % 2 == 0 else 'C'}: {line.decode().strip()}\n" for n, line in enumerate(NESTED))
    file.write_text(text)
    result = replay(file)
    assert "-     SG105 nested-mail" in result.stdout
    told: dict[str, Any] = json.loads(replay(file, "--json").stdout)
    assert (told["hosts"], told["rows"][0]["host"], told["first"]) == (0, None, None)

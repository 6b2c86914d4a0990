"""The verb `show`: a session by its id, the sessions of a host, and what is said where there is none."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from smtpguard.cli.show import STYLES
from smtpguard.evidence.show import styles
from tests.evidence.kept import HOST, end, found, refused_data, session_id, write

PERIOD = ("--since", "2026-11-23", "--until", "2026-11-24", "--timezone", "UTC")


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    """Return an audit with two bad sessions and a good one of one host, and one bad session of its neighbour."""
    return write(
        tmp_path,
        *refused_data(1),
        *refused_data(2, after=60),
        end(3, after=61),
        *refused_data(4, after=62, ip="198.51.100.8"),
        end(5, ip="198.51.100.9"),
    )


def show(audit: Path, *arguments: str, color: bool = False) -> Result:
    """Run the verb."""
    return CliRunner().invoke(main, ["show", "--audit", str(audit), *arguments], color=color)


def test_a_session(audit: Path) -> None:
    """The transcript with the offending line marked, in the zone that was asked for, whatever the period is."""
    done = show(audit, session_id(1), "--timezone", "Europe/Vienna", "--since", "1s")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "  began     2026-11-23 13:00:00.000 +01:00\n" in done.stdout
    assert re.search(r"^!     0\.600 C   DATA\n +SG104 data-without-recipient", done.stdout, re.MULTILINE)
    assert "\x1b" not in done.stdout


def test_an_id_pasted_unquoted(audit: Path) -> None:
    """The end of a reply comes as two words where nobody quoted it."""
    done = show(audit, "[SG104", f"{session_id(1).lower()}]")
    assert done.exit_code == 0
    assert f"Session {session_id(1)} of {HOST}\n" in done.stdout


def test_the_styles_are_those_of_the_room() -> None:
    """The words of `--style` are written out, and none is missing."""
    assert list(STYLES) == list(styles.STYLES)


@pytest.mark.parametrize(
    ("style", "line"),
    [
        ("swaks", "<** 503 5.5.1 Bad sequence of commands: send RCPT first [SG104 ID]"),
        ("gateway", "[rx] DATA  <-- SG104 data-without-recipient"),
    ],
)
def test_styles(audit: Path, style: str, line: str) -> None:
    """Another hand."""
    assert line in show(audit, session_id(1), "--style", style).stdout.splitlines()


def test_colours(audit: Path) -> None:
    """Colour is a hint only: without it the same text stands there."""
    coloured, bare = show(audit, session_id(1), color=True).stdout, show(audit, session_id(1)).stdout
    assert "\x1b[31m\x1b[1m!     0.600 C   DATA\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == bare


def test_json(audit: Path) -> None:
    """One object, times in UTC, and the line at fault marked."""
    told = json.loads(show(audit, session_id(1), "--json", color=True).stdout)
    assert (told["session"], told["began"]) == (session_id(1), "2026-11-23T12:00:00.000+00:00")
    assert told["client"] == {"ip": HOST, "port": 43122, "via": "direct", "peer": None}
    assert told["counts"]["commands_said"] == 5
    (finding,) = told["findings"]
    assert (finding["rule"], finding["blames_client"], finding["cause"]["id"]) == (
        "SG104",
        True,
        "all-recipients-refused",
    )
    assert [line for line in told["transcript"]["lines"] if line["rules"]] == [
        {"after": 0.6, "speaker": "C", "line": "DATA", "piece": 4, "mark": "!", "rules": ["SG104"]}
    ]


def test_a_host(audit: Path) -> None:
    """Its sessions with findings, the latest first, one line each, then the transcript of the latest."""
    done = show(audit, "--host", HOST, *PERIOD)
    assert done.exit_code == 0
    first, *listed = done.stdout.split("\n\n")[0].splitlines()
    assert first == f"{HOST}: 2 of 3 sessions with findings, 2026-11-23 00:00 to 2026-11-24 00:00 (UTC)"
    assert listed == [
        f"  2026-11-23 12:01:01  {session_id(2, 60)}  {HOST}  1 violation (SG104 1)  helo mail.client.example",
        f"  2026-11-23 12:00:01  {session_id(1)}  {HOST}  1 violation (SG104 1)  helo mail.client.example",
    ]
    assert re.findall(r"^Session (\w+) of", done.stdout, re.MULTILINE) == [session_id(2, 60)]


def test_all_of_a_network(audit: Path) -> None:
    """`--all` shows every transcript; a network has its hosts' sessions."""
    done = show(audit, "--host", "198.51.100.0/24", "--all", *PERIOD)
    assert re.findall(r"^Session (\w+) of", done.stdout, re.MULTILINE) == [
        session_id(4, 62),
        session_id(2, 60),
        session_id(1),
    ]


def test_json_of_a_host(audit: Path) -> None:
    """All sessions with findings, the transcript of the latest; with `--all` of each."""
    told = json.loads(show(audit, "--host", HOST, "--json", *PERIOD).stdout)
    assert (told["host"], told["sessions"], told["period"]["timezone"]) == (HOST, 3, "UTC")
    assert ["transcript" in each for each in told["with_findings"]] == [True, False]
    told = json.loads(show(audit, "--host", HOST, "--json", "--all", *PERIOD).stdout)
    assert ["transcript" in each for each in told["with_findings"]] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a session, as in `smtpguard show 1M856DF92690`, or a host"),
        (("1M856DF92690", "--host", HOST), 2, "name a session"),
        (("1M856DF92690", "--all"), 2, "--all goes with --host"),
        (("--host", "mail.client.example"), 2, "'mail.client.example': an address such as 192.0.2.7, or a network"),
        (("--host", HOST, "--since", "whenever"), 2, "--since: "),
        (("hello",), 66, "'hello' is no session's id"),
        (
            ("000000000000",),
            66,
            "no session 000000000000 in this audit; of a session without a command nothing is kept",
        ),
        (("000000",), 66, "000000 has 6 characters, an id has twelve"),
        (("--host", "192.0.2.1", *PERIOD), 66, "192.0.2.1: no session in the audit from 2026-11-23 00:00"),
        (("--host", "198.51.100.9", *PERIOD), 66, "198.51.100.9: nothing was found in its 1 session from"),
        (("--host", "198.51.100.7", "--since", "2026-11-24", "--until", "2026-11-25"), 66, "198.51.100.7: no session"),
    ],
)
def test_mistakes(audit: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """One clear message on standard error, and the exit code."""
    done = show(audit, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


def test_near_matches(audit: Path) -> None:
    """A wrong id has those that are near."""
    wrong = session_id(1)[:-1] + "Z"
    done = show(audit, wrong)
    assert done.exit_code == 66
    # The others differ in more: they were born at other times.
    assert done.stderr == f"no session {wrong} in this audit; did you mean {session_id(5)}, {session_id(1)}?\n"
    done = show(audit, session_id(1)[:8])
    assert f"has 8 characters, an id has twelve; did you mean {session_id(5)}, {session_id(1)}?" in done.stderr


def test_no_audit(tmp_path: Path) -> None:
    """A directory without an audit is told."""
    done = show(tmp_path, "1M856DF92690")
    assert (done.exit_code, done.stdout) == (66, "")
    assert "no audit here" in done.stderr


def test_half_a_line(audit: Path) -> None:
    """A segment that ends in half a line is a warning; the session stands."""
    with (audit / "events" / "2026-11-23" / "mx1-w0-12.jsonl").open("a") as file:
        file.write('{"@timestamp":"2026-11-23T12:')
    done = show(audit, "--host", HOST, *PERIOD)
    assert done.exit_code == 0
    assert f"Session {session_id(2, 60)} of" in done.stdout
    assert "1 line of the audit could not be read" in done.stderr


def test_without_a_transcript(tmp_path: Path) -> None:
    """The findings alone are shown, with the reason; a session without any is shown all the same."""
    audit = write(tmp_path, found(1, "SG104"), end(1), end(2))
    assert "No transcript was kept: see audit.transcript" in show(audit, session_id(1)).stdout
    done = show(audit, session_id(2))
    assert done.exit_code == 0
    assert "nothing was found" in done.stdout
    told = json.loads(show(audit, session_id(2), "--json").stdout)
    assert told["transcript"]["missing"].startswith("No transcript was kept, as nothing was found")
    assert (told["findings"], told["transcript"]["lines"]) == ([], [])


def test_a_segment_that_cannot_be_read(audit: Path) -> None:
    """A file that cannot be read is told, with its name."""
    (audit / "events" / "2026-11-23" / "mx1-w1-11.jsonl").mkdir()
    done = show(audit, "--host", HOST, *PERIOD)
    assert (done.exit_code, done.stdout) == (74, "")
    assert "mx1-w1-11.jsonl: cannot be read: Is a directory" in done.stderr

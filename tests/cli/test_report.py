"""The verb `report`: screens of several widths, JSON, CSV, the page, and every mistake with its exit code."""

import csv
import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from smtpguard.cli import report as verb
from tests.evidence import truth

WHEN = ("--since", "2026-10-25", "--until", "2026-10-26", "--timezone", "Europe/Vienna")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audit of the known night."""
    directory = tmp_path_factory.mktemp("night")
    truth.known_night().write(directory)
    return directory


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the width of the terminal."""
    return lambda width: monkeypatch.setenv("COLUMNS", str(width))


def report(*arguments: str | Path, color: bool = False) -> Result:
    """Run the verb."""
    return CliRunner().invoke(main, ["report", *map(str, arguments)], color=color)


def of(night: Path, *arguments: str | Path) -> Result:
    """Run the verb over the known night."""
    done = report("--audit", night, *WHEN, *arguments)
    assert done.exit_code == 0, done.output
    return done


# --- screens ----------------------------------------------------------------------------------------------------------


def test_the_overview(night: Path) -> None:
    """The period with its zone, the totals, hosts, rules, causes, what is set apart, and what to do next."""
    lines = of(night).stdout.splitlines()
    assert lines[0] == "Report 2026-10-25 00:00 to 2026-10-26 00:00 (Europe/Vienna)"
    assert [line.split() for line in lines[2:15]] == [
        "sessions 159 from 7 hosts".split(),
        "in order 140 88.1 %".split(),
        "with a finding 19 11.9 % from 5 hosts".split(),
        "read to the end 98 61.6 %".split(),
        "until STARTTLS only 60 37.7 %".split(),
        "not ended yet 1 0.6 %".split(),
        "findings 23".split(),
        "other protocol 4 from 1 host; in no other figure here".split(),
        "not blamed 5".split(),
        "SG601 1 too-many-violations".split(),
        "SG503 1 upstream-closed".split(),
        "consequences 2 pipelined behind a refusal".split(),
        "declined 1 by a setting".split(),
    ]
    hosts = lines.index("Hosts, most sessions affected first")
    assert lines[hosts + 2].split() == "198.51.100.7 8 of 40 20.0 % 10-25 01:30 10-25 02:05 stopped".split()
    rules = lines.index("Rules")
    assert lines[rules + 2].split() == "SG104 data-without-recipient 9 5.7 % 10-25 01:30 10-25 02:33 stopped".split()
    assert "Likely causes" in lines
    assert lines[-1] == "Next: smtpguard show --host 198.51.100.7"


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("way", [None, *verb.WAYS])
def test_every_screen_fits(night: Path, columns: Callable[[int], None], width: int, way: str | None) -> None:
    """No table is wider than the terminal, whatever it holds; the name and the sessions are never left out."""
    columns(width)
    lines = of(night, *(["--by", way] if way else [])).stdout.splitlines()
    prose = ("share: ", "trend: ", "The audit begins", "Report ")
    assert max(len(line) for line in lines if not line.startswith(prose)) <= width
    assert sum("sessions" in line and "share" in line for line in lines if not line.startswith(prose)) == (
        1 if way else 3
    )
    assert all(line == line.rstrip() for line in lines)


def test_a_wide_screen_tells_more(night: Path, columns: Callable[[int], None]) -> None:
    """Where there is room the rules of a host and both halves of the trend are there."""
    columns(140)
    lines = of(night, "--by", "host").stdout.splitlines()
    assert next(line for line in lines if line.startswith("198.51.100.9")).split() == (
        "198.51.100.9 4 of 10 40.0 % 8 10-25 02:30 10-25 02:33 stopped 8 > 0 SG105 +1".split()
    )


def test_the_limit(night: Path) -> None:
    """What is not shown is counted, with the way to see it."""
    assert "2 of 5; --limit 0 shows all" in of(night, "--by", "host", "--limit", "2").stdout
    assert "shows all" not in of(night, "--by", "host", "--limit", "0").stdout


def test_colours(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is colour where it can be shown and is wanted, and the same text without it."""
    wanted = report("--audit", night, *WHEN, color=True).stdout
    assert "\x1b[" in wanted
    plain = of(night).stdout
    assert "\x1b" not in plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert report("--audit", night, *WHEN, color=True).stdout == plain


def test_hostile_names_are_text(night: Path, columns: Callable[[int], None]) -> None:
    """A HELO with brackets, quotes and odd octets is printed as it is spelt in the audit."""
    columns(200)
    told = of(night, "--by", "helo", "--limit", "0").stdout
    assert "<script>alert(1)</script>&amp;\\xe2\\x80\\xae\\xff'\"" in told


def test_rich_takes_no_orders_from_wire_text(tmp_path: Path, columns: Callable[[int], None]) -> None:
    """What would be mark-up of the library that draws the table stays text."""
    columns(200)
    book = truth.Book()
    book.session("198.51.100.7", truth.NIGHT, {"rule_id": "SG102"}, hello=b"[red]x[/red][link=file:///]y")
    book.write(tmp_path)
    assert "[red]x[/red][link=file:///]y" in of(tmp_path, "--by", "helo").stdout


def test_all_in_order(tmp_path: Path) -> None:
    """Nothing found is said, and is no error."""
    book = truth.Book()
    book.session("198.51.100.7", truth.NIGHT)
    book.write(tmp_path)
    assert "none: every session was in order" in of(tmp_path).stdout


def test_one_rule_and_one_host(night: Path) -> None:
    """What the report is narrowed to is said; a rule goes by its name, too."""
    done = of(night, "--rule", "Data-Without-Recipient", "--host", "198.51.100.0/24")
    assert ", only 198.51.100.0/24, only SG104 data-without-recipient" in done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("  with")] == [
        ["without", "SG104"],
        ["with", "SG104"],
    ]


# --- machines ---------------------------------------------------------------------------------------------------------


def test_json(night: Path) -> None:
    """One document: the period, the totals, and three tables with every figure."""
    told = json.loads(of(night, "--json").stdout)
    assert list(told) == ["period", "host", "rule", "unreadable", "totals", "hosts", "rules", "causes"]
    assert told["period"] == {
        "since": "2026-10-25T00:00:00.000+02:00",
        "until": "2026-10-26T00:00:00.000+01:00",
        "timezone": "Europe/Vienna",
        "covered": ["2026-10-25T01:00:00.000+02:00", "2026-10-25T04:00:00.000+01:00"],
    }
    assert told["totals"] == {
        "sessions": 159,
        "in_order": 140,
        "affected": 19,
        "share_in_order": 0.880503,
        "visible": {"full": 98, "not-ended": 1, "until-starttls": 60},
        "findings": 23,
        "hosts": 7,
        "hosts_affected": 5,
        "other_protocol": {"sessions": 4, "hosts": 1},
        "not_blamed": {
            "consequences": 2,
            "declined": 1,
            "upstream": [{"rule": "SG503", "findings": 1, "sessions": 1, "hosts": 1}],
            "limits": [{"rule": "SG601", "findings": 1, "sessions": 1, "hosts": 1}],
        },
    }
    assert told["hosts"][2] == {
        "name": "198.51.100.9",
        "findings": 8,
        "affected": 4,
        "sessions": 10,
        "share": 0.4,
        "hosts": 1,
        "first_seen": "2026-10-25T02:30:00.000+02:00",
        "last_seen": "2026-10-25T02:33:01.000+02:00",
        "earlier": 8,
        "later": 0,
        "trend": "stopped",
        "rules": ["SG105", "SG104"],
    }
    assert [row["name"] for row in told["rules"]] == ["SG104", "SG201", "SG105", "SG102"]


def test_json_of_one_table(night: Path) -> None:
    """All rows, unless a limit is set; how many there are is told."""
    told = json.loads(of(night, "--by", "network", "--json", "--limit", "1").stdout)
    assert (told["by"], told["groups"], [row["name"] for row in told["rows"]]) == ("network", 3, ["198.51.100.0/24"])


def test_csv(night: Path) -> None:
    """A head and all rows, times with their offset, rules in one cell."""
    rows = list(csv.DictReader(io.StringIO(of(night, "--by", "host", "--csv").stdout)))
    assert len(rows) == 5
    assert rows[2] == {
        "host": "198.51.100.9",
        "findings": "8",
        "affected": "4",
        "sessions": "10",
        "share": "0.4",
        "hosts": "1",
        "first_seen": "2026-10-25T02:30:00.000+02:00",
        "last_seen": "2026-10-25T02:33:01.000+02:00",
        "earlier": "8",
        "later": "0",
        "trend": "stopped",
        "rules": "SG105 SG104",
    }


@pytest.mark.parametrize("hello", [b"=1+1", b"@SUM(A1)", b"-2", b"+3"])
def test_csv_holds_no_formula(tmp_path: Path, hello: bytes) -> None:
    """What a spreadsheet would compute is made text."""
    book = truth.Book()
    book.session("198.51.100.7", truth.NIGHT, {"rule_id": "SG102"}, hello=hello)
    book.write(tmp_path)
    (row,) = csv.DictReader(io.StringIO(of(tmp_path, "--by", "helo", "--csv").stdout))
    assert row["helo"] == f"'{hello.decode()}"


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page(night: Path, tmp_path: Path) -> None:
    """It is written where it is asked for, and that is said on standard error."""
    file = tmp_path / "report.html"
    done = of(night, "--html", file)
    assert done.stdout == ""
    assert done.stderr.startswith(f"written: {file} (")
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert of(night, "--html", "-").stdout == file.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written(night: Path, tmp_path: Path) -> None:
    """A folder that is not there: 74, with the place."""
    done = report("--audit", night, *WHEN, "--html", tmp_path / "none" / "report.html")
    assert done.exit_code == 74
    assert done.stderr == f"--html: {tmp_path}/none/report.html: cannot be written: No such file or directory\n"


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--timezone", "Vienna"], 2, "--timezone: there is no time zone 'Vienna'; did you mean Europe/Vienna?"),
        (["--since", "lately"], 2, "--since: 'lately' is no time; write 7d, 12h"),
        (["--until", "2026-10-32"], 2, "--until: '2026-10-32' is no time"),
        (["--since", "2026-10-26", "--until", "2026-10-25"], 2, "--since 2026-10-26 is not before --until 2026-10-25"),
        (["--host", "mail.example.net"], 2, "--host: 'mail.example.net' is no address and no network"),
        (["--host", "192.0.2.1"], 66, "nothing of 192.0.2.1 from 2026-10-25 00:00"),
        (
            ["--since", "2026-01-01", "--until", "2026-01-02"],
            66,
            "the audit holds 2026-10-25 01:00 to 2026-10-25 04:00",
        ),
        (["--rule", "SG999"], 2, "--rule: no rule is called 'SG999'"),
        (["--rule", "nested-male"], 2, "did you mean SG105 (nested-mail)?"),
        (["--rule", "SG503"], 2, "--rule: SG503 blames no client"),
        (["--rule", "http-request"], 2, "--rule: SG401 blames no client"),
        (["--by", "hots"], 2, "'hots' is not one of"),
        (["--csv"], 2, "--csv prints one table; say which: --by host"),
        (["--csv", "--json", "--by", "host"], 2, "say one of --json, --csv and --html"),
        (["--html", "-", "--by", "host"], 2, "leave out --by"),
        (["--full"], 2, "--full is about the transcripts of --html"),
        (["--limit", "-1"], 2, "-1 is not in the range"),
    ],
)
def test_mistakes(night: Path, arguments: list[str], code: int, words: str) -> None:
    """Each mistake is one message with its cure, and nothing on standard output."""
    done = report("--audit", night, *WHEN, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in " ".join(done.stderr.split())


def test_no_audit(tmp_path: Path) -> None:
    """A directory that is not there, one without an audit, one without an event."""
    done = report("--audit", tmp_path / "none")
    assert (done.exit_code, done.stderr) == (
        66,
        f"{tmp_path}/none: no such directory; --audit names the one that audit.directory names\n",
    )
    assert report("--audit", tmp_path).exit_code == 66
    (tmp_path / "events").mkdir()
    done = report("--audit", tmp_path)
    assert (done.exit_code, done.stderr) == (66, "the audit is empty: no event was written yet\n")


def test_where_the_audit_is(night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --audit it is the configuration's; without one, or without the setting, the two ways are told."""
    done = report(*WHEN)
    assert done.exit_code == 2
    assert "say where the audit is: --audit DIRECTORY, or -c FILE" in done.stderr
    file = tmp_path / "smtpguard.toml"
    file.write_text('listen = ["127.0.0.1:2525"]\nupstream = ["127.0.0.1:25"]\n')
    done = report("-c", file, *WHEN)
    assert done.exit_code == 2
    assert f"{file}: audit.directory is not set" in " ".join(done.stderr.split())
    file.write_text(f'{file.read_text()}[audit]\ndirectory = "{night}"\n')
    assert report("-c", file, *WHEN).exit_code == 0
    assert report("-c", tmp_path / "none.toml", *WHEN).exit_code == 78
    monkeypatch.setenv("SMTPGUARD_AUDIT__DIRECTORY", str(night))
    assert report(*WHEN).exit_code == 0


def test_what_cannot_be_read_is_a_warning(tmp_path: Path) -> None:
    """The result stands, and the warning counts the lines."""
    truth.known_night().write(tmp_path)
    truth.damage(tmp_path)
    done = of(tmp_path, "--json")
    assert json.loads(done.stdout)["unreadable"] == truth.UNREADABLE
    assert done.stderr == (
        "warning: 4 lines of the audit could not be read, and are not counted (a cut line or no event)\n"
    )


@pytest.mark.parametrize(("missing", "arguments"), [("duckdb", []), ("rich", []), ("altair", ["--html", "-"])])
def test_without_the_extra(night: Path, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: list[str]) -> None:
    """A package that is missing is told by the extra that brings it."""
    there = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> Any:
        return None if name == missing else there(name, package)

    monkeypatch.setattr(verb, "find_spec", find_spec)
    done = report("--audit", night, *WHEN, *arguments)
    assert (done.exit_code, done.stdout) == (69, "")
    assert done.stderr == "smtpguard report needs the extra \"report\": pip install 'smtpguard[report]'\n"

"""The verb `explain` on a transcript: the screen, JSON, and what is said where there is none."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from smtpguard.cli.explain import FORMS, PROFILES
from smtpguard.evidence import transcripts
from smtpguard.smtp import Profile

DATA = Path(__file__).parents[1] / "evidence" / "transcripts" / "data"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
ORDERLY = "S: 220 mx\nC: EHLO client\nS: 250 mx\nC: QUIT\nS: 221 bye\n"
AT_FAULT = "S: 220 mx\nC: EHLO client\nS: 250 mx\nC: RCPT TO:<b@mx.example>\nS: 503 no\nC: QUIT\nS: 221 bye\n"


def explain(*arguments: str, text: str | bytes | None = None, columns: int = 80, color: bool = False) -> Result:
    """Run the verb on a terminal of so many columns, a text on its standard input."""
    return CliRunner().invoke(
        main, ["explain", *arguments], input=text, color=color, env={"COLUMNS": str(columns), "NO_COLOR": ""}
    )


def test_one_screen() -> None:
    """The screen of a short transcript as a person sees it."""
    done = explain("-", text=AT_FAULT)
    assert done.exit_code == 0
    assert done.stdout == SCREEN


def test_nothing_found() -> None:
    """Said plainly, exit code 0."""
    done = explain("-", text=ORDERLY)
    assert done.exit_code == 0
    assert " ".join(done.stdout.split()).endswith("Nothing is out of order in what could be judged.")
    assert "!" not in done.stdout


@pytest.mark.parametrize("columns", [60, 80, 300])
@pytest.mark.parametrize("name", sorted({each.name for each in DATA.iterdir()} - {"swaks-hidden.txt"}))
def test_a_screen_fits(name: str, columns: int) -> None:
    """No line of any real transcript's screen is wider than the terminal, or ends in blanks; colours change no word."""
    plain = explain(str(DATA / name), columns=columns)
    assert plain.exit_code == 0
    lines = plain.stdout.splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert [line for line in lines if line != line.rstrip()] == []
    coloured = explain(str(DATA / name), columns=columns, color=True).stdout
    assert "\x1b[" in coloured
    assert ANSI.sub("", coloured) == plain.stdout


def test_each_rule_is_told_once() -> None:
    """A rule that fires twice is explained once; its second line refers to the first."""
    text = AT_FAULT.replace("C: QUIT", "C: RCPT TO:<c@mx.example>\nS: 503 no\nC: QUIT")
    shown = explain("-", text=text).stdout
    assert shown.count("The client named a recipient") == 1
    assert "SG102 rcpt-without-mail, as above: refused" in shown
    assert "2 findings against the client (SG102 2)." in " ".join(shown.split())


def test_json() -> None:
    """`--json`: lines, findings, rules, what is not shown, and the summary."""
    told = json.loads(explain("-", "--json", text=AT_FAULT, color=True).stdout)
    assert list(told) == [
        "form", "profile", "begins", "complete", "lines", "findings", "rules", "not_shown", "summary",
    ]  # fmt: skip
    assert (told["form"], told["profile"], told["begins"], told["complete"]) == (
        "letters",
        "standard",
        "greeting",
        True,
    )
    assert told["lines"][3] == {
        "line": 4, "speaker": "client", "text": "RCPT TO:<b@mx.example>", "mark": "at-fault", "rules": ["SG102"],
    }  # fmt: skip
    (finding,) = told["findings"]
    assert (finding["line"], finding["rule"], finding["enforced"], finding["state"]) == (
        4,
        "SG102",
        "refuse",
        "identified",
    )
    assert finding["blames_client"] is True
    assert [rule["id"] for rule in told["rules"]] == ["SG102"]


def test_profiles_and_forms() -> None:
    """Names of the options are those of the rooms; lenient notes what standard refuses."""
    assert [form.name for form in transcripts.FORMS] == list(FORMS)
    assert [profile.value for profile in Profile] == list(PROFILES)
    text = "S: 220 mx\nC: MAIL FROM:<a@client.example>\nS: 503 no\n"
    assert "refused, and not passed on: 503" in explain("-", text=text).stdout
    assert "recorded, and passed on" in explain("-", "--profile", "lenient", text=text).stdout
    assert explain("-", "--form", "swaks", text=text).exit_code == 65


def test_no_transcript() -> None:
    """A letter is none: exit code 65, what was looked for, nothing on standard output."""
    done = explain("-", text="Dear postmaster,\nyour server is broken.\n")
    assert (done.exit_code, done.stdout) == (65, "")
    assert done.stderr.startswith("standard input: no SMTP transcript was found in this; looked for\n")
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == list(FORMS)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A directory: 74. Too large: 65. A file that is not there: 66, and that it is no rule either."""
    done = explain(str(tmp_path))
    assert (done.exit_code, done.stderr) == (74, f"{tmp_path} cannot be read: Is a directory\n")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    done = explain(str(tmp_path / "large"))
    assert done.exit_code == 65
    assert "over 16 MiB" in done.stderr
    missing = str(tmp_path / "none.txt")
    done = explain(missing)
    assert done.exit_code == 66
    assert done.stderr == f"no rule and no file is called {missing!r}; `smtpguard rules` lists them\n"


def test_a_rule_is_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with the name of a rule does not hide the rule; with its path it is a file."""
    monkeypatch.chdir(tmp_path)
    Path("SG102").write_text(ORDERLY)
    assert explain("SG102").stdout.startswith("SG102 rcpt-without-mail\n")
    assert explain("./SG102").stdout.startswith("Lines as RFCs print them")


def test_one_at_a_time(tmp_path: Path) -> None:
    """Two transcripts, or one beside a rule, and options of transcripts beside rules: usage errors."""
    file = tmp_path / "one"
    file.write_text(ORDERLY)
    for arguments in ([str(file), "-"], ["SG102", str(file)]):
        done = explain(*arguments)
        assert done.exit_code == 2
        assert "a transcript is judged alone" in done.stderr
    for option in (["--form", "swaks"], ["--profile", "lenient"]):
        assert "goes with one transcript" in explain("SG102", *option).stderr
    assert "goes with one transcript" in explain("--all", "--profile", "standard").stderr


def test_hostile_text() -> None:
    """Escape sequences of a text never reach the terminal."""
    done = explain("-", text=AT_FAULT.replace("503 no", "503 \x1b]0;x\x07\x1b[31m\x9b31m").encode("latin-1"))
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert "\x9b" not in done.stdout


SCREEN = """\
Lines as RFCs print them, judged by profile standard

      1 S 220 mx
      2 C EHLO client
      3 S 250 mx
!     4 C RCPT TO:<b@mx.example>
           SG102 rcpt-without-mail: RCPT with no transaction open
           enforce refused, and not passed on: 503 5.5.1 Bad sequence of
                   commands: send MAIL first
           cure    Send RCPT only after MAIL was answered 250; after a refused
                   MAIL send MAIL again, RSET or QUIT.
      5 S 503 no
      6 C QUIT
      7 S 221 bye

line of the text; C client, S what it heard; ! at fault

SG102 rcpt-without-mail
  The client named a recipient although no mail transaction was open. Either it
  never sent MAIL, or MAIL was refused and the client went on as if it had been
  accepted.
  RFC 5321 §3.3: "If a RCPT command appears without a previous MAIL command, the
  server MUST return a 503 "Bad sequence of commands" response."
  More: smtpguard explain SG102

What this does not show
  - This form does not tell what was sent without waiting for replies, so timing
    was not judged.

7 lines with 3 commands and 4 replies were read. 1 finding against the client
(SG102).
"""

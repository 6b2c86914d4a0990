"""The verb `explain`: 45 screens that fit the terminal, JSON, and what is said to a wrong word."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from smtpguard.cli.explain import explain as command
from smtpguard.evidence import VERSIONS, explanation
from smtpguard.smtp import CATALOGUE, Section

ROOT = Path(__file__).parents[2]
ANSI = re.compile(r"\x1b\[[0-9;]*m")
HEADINGS = [
    "What happened",
    "In a session",
    "What the RFC says",
    "What other servers answer",
    "Usual causes",
    "What the sending side should change",
    "How to relax it",
]


def explain(*arguments: str, columns: int = 80, color: bool = False, env: dict[str, str] | None = None) -> Result:
    """Run the verb on a terminal of so many columns."""
    return CliRunner().invoke(
        main, ["explain", *arguments], color=color, env={"COLUMNS": str(columns), "NO_COLOR": "", **(env or {})}
    )


def words(text: str) -> str:
    """Return a text without regard to where its lines break."""
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [60, 80, 120, 300])
@pytest.mark.parametrize("rule_id", CATALOGUE)
def test_a_screen_fits(rule_id: str, columns: int) -> None:
    """No line is wider than the terminal, or than 100 columns, and none ends in blanks."""
    lines = explain(rule_id, columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert [line for line in lines if line != line.rstrip()] == []
    assert "\N{NO-BREAK SPACE}" not in "".join(lines)


@pytest.mark.parametrize("rule_id", CATALOGUE)
def test_a_screen_says_all(rule_id: str) -> None:
    """The screen has each part under its heading, and every word of the explanation."""
    told = explanation(rule_id)
    shown = explain(rule_id).stdout
    found = [line for line in shown.splitlines() if line in (*HEADINGS, "What you can do")]
    assert [line for line in found if line != "What you can do"] == HEADINGS
    assert ("\n  Not measured.\n" in shown) is (told.measured is None)
    texts = [told.happened, told.says, told.rule.cure, told.cure, told.relax, *told.settings]
    texts += [each.text for each in told.causes]
    texts += [line.text for line in told.transcript]
    if told.measured:
        texts += [f"{server} {VERSIONS[server]} {answer}" for server, answer in told.measured.answers.items()]
        texts.append(told.measured.note)
    assert [text for text in texts if words(text) not in words(shown)] == []
    assert ("What you can do" in shown) is (told.rule.section is Section.UPSTREAM)


def test_one_screen() -> None:
    """The screen of SG102 as a person sees it."""
    assert explain("rcpt-without-mail").stdout == SCREEN


@pytest.mark.parametrize("rule_id", CATALOGUE)
def test_the_marked_line_is_marked(rule_id: str) -> None:
    """Exactly one line of a transcript begins with a mark, and the legend explains it."""
    shown = explain(rule_id).stdout.partition("\nIn a session\n")[2].partition("\n\n")
    marks = [line[2] for line in shown[0].splitlines() if line[2] != " "]
    assert len(marks) == 1
    assert f"\n  {marks[0]} " in shown[2].partition("\nWhat the RFC says")[0]


def test_all() -> None:
    """`--all` prints every rule, in the order of the catalogue, without a colour code in a pipe."""
    shown = explain("--all").stdout
    assert re.findall(r"^(SG[0-9]{3}) [a-z0-9-]+$", shown, re.MULTILINE) == list(CATALOGUE)
    assert "\x1b" not in shown


@pytest.mark.parametrize("rule_id", CATALOGUE)
def test_colours_change_no_word(rule_id: str) -> None:
    """On a terminal there is colour; without it, and with NO_COLOR, the text is the same."""
    coloured = explain(rule_id, color=True).stdout
    plain = explain(rule_id).stdout
    assert "\x1b[" in coloured
    assert ANSI.sub("", coloured) == plain == explain(rule_id, color=True, env={"NO_COLOR": "1"}).stdout


def test_several_rules() -> None:
    """Rules can be named by id or name, several at a time."""
    shown = explain("sg105", "hidden-end-of-content").stdout
    assert re.findall(r"^(SG[0-9]{3}) ", shown, re.MULTILINE) == ["SG105", "SG304"]


def test_json() -> None:
    """`--json` gives a list of objects, the catalogue's columns first, then what the explanation adds."""
    (told,) = json.loads(explain("SG304", "--json", color=True).stdout)
    assert list(told) == [
        "id", "name", "section", "situation", "reference", "verdicts", "safe", "answer", "cure",
        "happened", "transcript", "says", "measured", "causes", "advice", "relax",
    ]  # fmt: skip
    assert told["transcript"][10] == {"mark": "stopped", "speaker": "client", "text": ".<LF>"}
    assert told["measured"]["answers"][1] == {
        "server": "Exim",
        "versions": "4.96, 4.98",
        "answer": "250: takes it as text",
    }
    assert told["causes"][0]["id"] == "bare-lf-client"
    assert told["causes"][1]["id"] is None
    assert told["relax"]["settings"] == []
    everything = json.loads(explain("--all", "--json").stdout)
    assert [each["id"] for each in everything] == list(CATALOGUE)
    assert {line["speaker"] for each in everything for line in each["transcript"]} == {
        "client", "upstream", "smtpguard", "event",
    }  # fmt: skip


def test_unknown_rules() -> None:
    """Each unknown word is one line with the rule that was meant; exit code 2, and nothing on standard output."""
    done = explain("SG999", "SG105", "nestd-mail", "\x1b[31m")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "no rule and no file is called 'SG999'; `smtpguard rules` lists them",
        "no rule and no file is called 'nestd-mail'; did you mean SG105 (nested-mail)? `smtpguard rules` lists them",
        "no rule and no file is called '\\x1b[31m'; `smtpguard rules` lists them",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "name a rule, as in `smtpguard explain SG105`, or say --all"), (["SG105", "--all"], "not both")],
)
def test_usage(arguments: list[str], said: str) -> None:
    """No rule at all, and a rule besides --all, are usage errors with the cure."""
    done = explain(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_completion() -> None:
    """The shell is offered the ids that begin so, with their names."""
    argument = command.params[0]
    offered = argument.shell_complete(click.Context(command), "sg10")
    assert [(each.value, each.help) for each in offered] == [
        (rule.id, rule.name) for rule in CATALOGUE.values() if rule.id.startswith("SG10")
    ]


@pytest.mark.parametrize("verb", ["explain", "rules"])
def test_help_is_light(verb: str) -> None:
    """The help of `explain` and `rules` imports no room but `cli`, and nothing heavy."""
    source = (
        "import contextlib, io, sys\n"
        "from smtpguard.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as shown:\n"
        f"    main(['{verb}', '--help'], standalone_mode=False)\n"
        f"assert 'Usage: main {verb}' in shown.getvalue().replace(sys.argv[0], 'main'), shown.getvalue()\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert f"smtpguard.cli.{verb}" in modules
    assert not modules & {"pydantic", "trio", "loguru", "msgspec", "tomllib", "importlib.resources", "ssl"}
    assert not modules & {f"smtpguard.{room}" for room in ("smtp", "config", "record", "net", "evidence", "service")}


SCREEN = """\
SG102 rcpt-without-mail
RCPT with no transaction open.

  source   RFC 5321 §3.3, §4.1.4
  verdict  refuse in every profile
  answer   503 5.5.1 Bad sequence of commands: send MAIL first

What happened
  The client named a recipient although no mail transaction was open. Either it
  never sent MAIL, or MAIL was refused and the client went on as if it had been
  accepted.

In a session
    U: 220 mx.example.net ESMTP
    C: EHLO client.example
    U: 250 mx.example.net
  ! C: RCPT TO:<b@example.net>
    G: 503 5.5.1 Bad sequence of commands: send MAIL first [SG102 1M856DF92690]
    C: MAIL FROM:<a@example.org>
    U: 250 2.1.0 Ok

  C client, U upstream, G our own answer
  ! the line at fault: it was stopped, and the upstream never saw it

What the RFC says
  RFC 5321 §3.3: "If a RCPT command appears without a previous MAIL command, the
  server MUST return a 503 "Bad sequence of commands" response."

What other servers answer
  RCPT after EHLO, without MAIL:
  Postfix 3.7, 3.10    503
  Exim 4.96, 4.98      503
  OpenSMTPD 7.6        503
  Sendmail 8.17, 8.18  503
  Haraka 3.3.4         503

Usual causes
  - The client went on after a 4yz or 5yz reply as if it had been a 250.
    [ignored-refusal]
  - The client never said EHLO or HELO: usually a script, a device or a scanner.
    [no-hello-at-all]
  - The client lost count: the final dot ended the message before, and the next
    one began with RCPT, not MAIL.

What the sending side should change
  Send RCPT only after MAIL was answered 250; after a refused MAIL send MAIL
  again, RSET or QUIT. The previous command in the event tells which of the two
  it is: a refused MAIL means that the client does not read replies. A RCPT that
  was pipelined behind a refused MAIL is no fault; it is recorded as a
  consequence and counts for nothing.

How to relax it
    policy.rules.SG102 = "note"

  There is little to gain: every server we measured refuses it as well.
  For all rules at once: `policy.mode = "observe"` refuses only what is safe,
  and records all.
"""

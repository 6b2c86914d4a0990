"""`smtpguard check`: the screen, the JSON and the exit code."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from tests.against.deadline import free_port
from tests.against.scripted import ScriptedStandIn

ROOT = Path(__file__).parents[2]
REFUSES = {b"RCPT": b"554 5.7.1 relay access denied\r\n"}


def check(*arguments: str, listen: str = "", columns: int = 80) -> Result:
    """Run the verb in this process, on a free port of loopback."""
    words = ["check", "--listen", listen or f"127.0.0.1:{free_port()}", *arguments]
    runner = CliRunner(env={"COLUMNS": str(columns)})
    return runner.invoke(main, words, catch_exceptions=False, prog_name="smtpguard")


@pytest.fixture
def mx() -> Iterator[ScriptedStandIn]:
    """An upstream in a thread, that relays for nobody."""
    stand_in = ScriptedStandIn(REFUSES)
    yield stand_in
    stand_in.close()


def test_good() -> None:
    """A line for each check, then the conclusion; no upstream was dialled."""
    result = check("--upstream", f"127.0.0.1:{free_port()}")
    assert (result.exit_code, result.stderr) == (0, "")
    *lines, empty, conclusion, hint = result.stdout.splitlines()
    assert {line.split()[0] for line in lines if line[0] != " "} == {"good"}
    assert (empty, conclusion) == ("", "`smtpguard run` would start.")
    assert "--live" in hint


def test_live(mx: ScriptedStandIn) -> None:
    """The upstream's own words, and whether it relays."""
    result = check("--upstream", f"127.0.0.1:{mx.port}", "--live")
    assert (result.exit_code, result.stderr) == (0, "")
    told = re.sub(r"\s+", " ", result.stdout)
    assert f"good upstream 127.0.0.1:{mx.port} says 220 stand-in" in told
    assert "offers PIPELINING, 8BITMIME, CHUNKING, BINARYMIME; not STARTTLS" in told
    assert "refuses to relay for strangers through us" in told
    assert not mx.messages


def test_live_and_down() -> None:
    """An upstream that cannot be reached is 69: `run` would start, and clients would hear 421."""
    result = check("--upstream", f"127.0.0.1:{free_port()}", "--live")
    assert (result.exit_code, result.stderr) == (69, "")
    assert "Connection refused" in result.stdout
    assert result.stdout.endswith("`smtpguard run` would start, but clients would hear 421.\n")


def test_live_and_an_open_relay() -> None:
    """What `run` would refuse is 78, with the same cures."""
    relay = ScriptedStandIn()
    try:
        result = check("--upstream", f"127.0.0.1:{relay.port}", "--live", listen=f"0.0.0.0:{free_port()}")
    finally:
        relay.close()
    assert (result.exit_code, result.stderr) == (78, "")
    assert "relays mail of strangers" in result.stdout
    assert "-o smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination" in result.stdout
    assert "would not start: 1 bad" in result.stdout


def test_bad(tmp_path: Path) -> None:
    """Everything that is wrong is told at once, each with its cure, and counted."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = check(
            "--upstream", "127.0.0.1:9", "--set", f"log.target={tmp_path}/none/log", "--set", "user=no-such-user",
            listen=f"127.0.0.1:{other.getsockname()[1]}",
        )  # fmt: skip
    assert (result.exit_code, result.stderr) == (78, "")
    lines = result.stdout.splitlines()
    assert len([line for line in lines if line.startswith("bad ")]) == 3
    assert len([line for line in lines if line.startswith(" " * 22 + "> ")]) == 3
    assert "`smtpguard run` would not start: 3 bad." in lines


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(columns: int, tmp_path: Path) -> None:
    """No line is wider, unless a single word is."""
    result = check("--upstream", "127.0.0.1:9", "--live", "--set", "user=no-such-user", columns=columns)
    assert max(map(len, result.stdout.splitlines())) < columns


def test_warnings_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted in the conclusion, and the exit code is 0."""
    monkeypatch.setattr("smtpguard.service.check.lift", lambda: 1000)
    result = check("--upstream", "127.0.0.1:9")
    assert result.exit_code == 0
    assert "warning descriptors" in result.stdout
    assert "`smtpguard run` would start (1 warning)." in result.stdout


def test_mistakes() -> None:
    """A configuration that cannot be loaded is told as `run` tells it."""
    result = check("--upstream", "x", "--set", "policy.mod=observe")
    assert (result.exit_code, result.stdout) == (78, "")
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("wrong", [False, True])
def test_json(wrong: bool) -> None:
    """One list, whatever is found; the exit code says the same."""
    result = check("--upstream", "127.0.0.1:9", "--json", *(("--set", "user=no-such-user") if wrong else ()))
    rows = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (78 if wrong else 0, "")
    assert all(set(row) == {"check", "verdict", "text", "cure"} for row in rows)
    bad = [row for row in rows if row["verdict"] == "bad"]
    assert [row["check"] for row in bad] == ["account"] * wrong
    assert all(row["cure"] for row in bad)


def test_json_of_mistakes() -> None:
    """A configuration that cannot be loaded is a list of bad rows."""
    result = check("--upstream", "127.0.0.1:9", "--json", "--set", "policy.mod=observe", "--set", "limits.sessions=x")
    assert (result.exit_code, result.stderr) == (78, "")
    rows = json.loads(result.stdout)
    assert [(row["check"], row["verdict"]) for row in rows] == [("configuration", "bad")] * 2
    assert rows[0] == {
        "check": "configuration",
        "verdict": "bad",
        "text": "--set: policy.mod = 'observe': unknown key",
        "cure": "did you mean 'mode'?",
    }


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
@pytest.mark.parametrize("machine", [False, True])
def test_colours_on_a_terminal(environment: dict[str, str], coloured: bool, machine: bool) -> None:
    """Verdicts are coloured for a person who wants it, and never in JSON."""
    ours, theirs = pty.openpty()
    inherited = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}
    words = ("check", "--listen", f"127.0.0.1:{free_port()}", "--upstream", "127.0.0.1:9", *["--json"] * machine)
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "wb", buffering=0) as terminal:
            subprocess.run(
                [sys.executable, "-m", "smtpguard", *words],
                cwd=ROOT,
                env={**inherited, "TERM": "xterm", **environment},
                stdout=terminal,
                check=True,
            )
        text = screen.read(65536).decode()
    assert ("\x1b[32mgood" in text) is (coloured and not machine)
    assert ("\x1b" in text) is (coloured and not machine)

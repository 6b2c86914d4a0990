"""`smtpguard demo` as a person runs it: a process, its screen, its JSON, and what is left behind it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smtpguard.cli.demo import demo
from smtpguard.demo import stage
from smtpguard.demo.sessions import sessions
from tests.against.client import RawClient
from tests.against.deadline import free_port, wait_until
from tests.against.programs import SYSTEM_PATH

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "smtpguard", "demo")

SECONDS = 5.0
"""What `demo --once` may take."""


def environment(folder: Path, columns: int = 80) -> dict[str, str]:
    """Return an environment whose temporary directory is the test's own."""
    return os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "COLUMNS": str(columns), "PYTHONUTF8": "1"}


def finished(folder: Path, *flags: str, columns: int = 80) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end; nothing may be left of it, neither files nor a guard."""
    done = subprocess.run(
        [*PROGRAM, *flags],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd=folder,
        env=environment(folder, columns), check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    assert [each for each in folder.iterdir() if each.name.startswith("smtpguard-demo")] == []
    assert guards(folder) == []
    return done


def guards(folder: Path) -> list[str]:
    """Return the processes whose command line names a file in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if any(word.startswith(str(folder).encode()) for word in words) and b"smtpguard" in words:
            found.append(path.parent.name)
    return found


def document(folder: Path, *flags: str) -> dict[str, Any]:
    """Return the JSON that a demo prints, which must be all that it prints."""
    done = finished(folder, "--json", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def test_once(tmp_path: Path) -> None:
    """Within five seconds: good and bad sessions, 503, log line and event of the running guard; then it leaves."""
    began = time.monotonic()
    done = finished(tmp_path, "--once")
    assert time.monotonic() - began < SECONDS
    assert (done.returncode, done.stderr) == (0, "")
    screen = done.stdout
    assert re.search(r"^   <\*\* 503 5\.5\.1 .*: send MAIL first \[SG102 [0-9A-Z]{12}\]$", screen, re.MULTILINE)
    assert re.search(r"^   upstream saw  EHLO, MAIL, RCPT, RSET, QUIT$", screen, re.MULTILINE)
    assert re.search(r"^   log +\S+ \S+ smtpguard/smtpd\[[0-9]+\]:$", screen, re.MULTILINE)
    assert re.search(r"^   event +SG102 rcpt-without-mail \(RFC 5321", screen, re.MULTILINE)
    assert re.search(r"^     cause +all-recipients-refused: ", screen, re.MULTILINE)
    assert [line[0] for line in screen.splitlines() if re.match(r"[1-6]  ", line)] == list("123456")
    assert "upstream took 1 message, no finding" in screen
    assert "telnet" not in screen.replace("your own telnet", "")


@pytest.mark.parametrize("flags", [(), ("--chaos",)])
@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_terminal(tmp_path: Path, flags: tuple[str, ...], columns: int) -> None:
    """Every line fits, none is broken by the terminal."""
    done = finished(tmp_path, "--once", *flags, columns=columns)
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if len(line) > columns] == []
    assert "\x1b" not in done.stdout


def test_json(tmp_path: Path) -> None:
    """One document with everything read back: transcripts, UPSTREAM's view, log lines, whole events."""
    told = document(tmp_path)
    assert told["guard"]["own_upstream"] is True
    assert [each["rule"] for each in told["sessions"]] == [None, "SG102", "SG104", "SG105", "SG101", "SG401", "SG304"]
    for session in told["sessions"]:
        assert session["as_told"] is True
        own = [line["text"] for line in session["transcript"] if line["mark"] == "<**"]
        assert len(own) == (session["rule"] is not None)
        if session["rule"]:
            (event,) = [each for each in session["events"] if each["rule"]["id"] == session["rule"]]
            assert event["source"] == session["client"]
            assert event["smtp"]["session"]["id"] in own[0]
            assert any(f"session={event['smtp']['session']['id']} " in line for line in session["log"])
            assert event["smtp"]["forwarded"] is False
    assert {"rule": "SG102", "name": "rcpt-without-mail", "client": "127.0.0.3", "count": 1} in told["findings"]


def test_chaos_is_reproducible(tmp_path: Path) -> None:
    """The same seed finds the same; another one does not."""
    flags = ("--chaos", "--sessions", "60", "--seed")
    first, again, other = (document(tmp_path, *flags, seed) for seed in ("5", "5", "6"))
    assert first["findings"] == again["findings"] != other["findings"]
    assert first["chaos"] == {"sessions": 60, "seed": 5, "kinds": again["chaos"]["kinds"]}
    assert sum(first["chaos"]["kinds"].values()) == 60


def test_readers_of_the_log(tmp_path: Path) -> None:
    """What chaos leaves with --keep is read by the stock pflogsumm, which counts each rejected command once."""
    pflogsumm = next(
        (Path(each) / "pflogsumm" for each in SYSTEM_PATH.split(":") if (Path(each) / "pflogsumm").exists()), None
    )
    if pflogsumm is None:
        pytest.skip("pflogsumm is missing: apt-get install pflogsumm")
    kept = tmp_path / "kept"
    assert finished(tmp_path, "--chaos", "--once", "--keep", str(kept)).returncode == 0
    log = kept / "smtpguard.log"
    report = subprocess.run(
        [pflogsumm, "--syslog-name=smtpguard", log], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    rejected = re.search(r"^ +([0-9]+) +rejected ", report, re.MULTILINE)
    assert rejected
    assert int(rejected[1]) == log.read_text().count(": NOQUEUE: reject: ") > 100
    assert "Bad sequence of commands: send MAIL first (total: " in report


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--upstream", "nonsense"], 2, "the port is missing"),
        (["--listen", "127.0.0.1:x"], 2, "PORT is a number"),
        (["--seed", "1"], 2, "add --chaos"),
        (["--sessions", "5"], 2, "add --chaos"),
        (["--chaos", "--sessions", "0"], 2, "1<=x<=10000"),
        (["--chaos", "--upstream", "127.0.0.1:25"], 2, "leave --upstream or --chaos out"),
        (["--keep", "/proc/nowhere"], 2, "name a folder that may be written"),
        (["--upstream", f"127.0.0.1:{free_port()}"], 69, "without --upstream the demo brings one of its own"),
        (["--listen", "192.0.2.1:2525"], 78, "this machine has no such address"),
    ],
)
def test_mistakes(flags: list[str], code: int, told: str) -> None:
    """One message that ends with the cure, on standard error, and the exit code of its kind."""
    done = CliRunner().invoke(demo, ["--once", *flags])
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_promise_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the guard finds something else than the table says, the screen says so and the exit code is 1."""
    monkeypatch.setattr(stage, "sessions", lambda paths: (replace(sessions(paths)[1], rule="SG105"),))
    done = CliRunner().invoke(demo, ["--once"])
    assert done.exit_code == 1
    assert "meant to show SG105, the guard found SG102" in " ".join(done.stdout.split())


@contextmanager
def staying(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int, int]]:
    """Run a demo that stays up; give its process, the guard's process id and port when all is shown."""
    process = subprocess.Popen(
        [*PROGRAM], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env=environment(folder, 200),
    )  # fmt: skip
    assert process.stdout
    try:
        heading = process.stdout.readline()
        found = re.search(r"listens on 127\.0\.0\.1:([0-9]+): .* process ([0-9]+)\.", heading)
        assert found, heading
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        yield process, int(found[2]), int(found[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait(10)


def test_a_person_tries_it(tmp_path: Path) -> None:
    """A session of one's own is answered, and its log line appears; Ctrl-C ends guard and demo in order."""
    with staying(tmp_path) as (process, guard, port):
        with RawClient(port) as client:
            assert client.reply().startswith(b"220")
            assert client.say(b"RCPT TO:<a@b>").startswith(b"503 5.5.1")
        assert process.stdout
        assert any(
            "NOQUEUE: reject: RCPT from unknown[127.0.0.1]" in line for line in iter(process.stdout.readline, "")
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stdout.read()
        assert not Path(f"/proc/{guard}").exists()
    assert list(tmp_path.iterdir()) == []


def test_before_a_server_of_yours(tmp_path: Path) -> None:
    """The guard of another demo plays that server: no message, the smuggler is left out by name."""
    with staying(tmp_path) as (_, _, port):
        (tmp_path / "second").mkdir()
        done = finished(tmp_path / "second", "--once", "--upstream", f"127.0.0.1:{port}")
        assert done.returncode == 0
        assert f"Behind it 127.0.0.1:{port}, yours." in done.stdout
        assert "Left out before a server of yours: it would send message content." in done.stdout
        told = document(tmp_path / "second", "--upstream", f"127.0.0.1:{port}")
    assert told["guard"]["own_upstream"] is False
    assert [each["rule"] for each in told["left_out"]] == ["SG304"]
    assert [each["as_told"] for each in told["sessions"]] == [True] * 6
    for session in told["sessions"]:
        assert session["upstream_saw"] is None
        assert not any(line["text"].startswith("354") for line in session["transcript"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and a closed terminal end it in order, too."""
    with staying(tmp_path) as (process, guard, _):
        process.send_signal(number)
        assert process.wait(20) == 0
        assert not Path(f"/proc/{guard}").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_leash(tmp_path: Path) -> None:
    """A demo that is killed takes its guard along: the port is free again."""
    with staying(tmp_path) as (process, _, port):
        process.kill()
        wait_until(lambda: guards(tmp_path) == [], "the guard's end")
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_nobody_reads_it(tmp_path: Path) -> None:
    """`smtpguard demo | head -1` ends without a stack, and leaves nothing."""
    process = subprocess.Popen(
        [*PROGRAM, "--once"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, env=environment(tmp_path),
    )  # fmt: skip
    with process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert list(tmp_path.iterdir()) == []
    assert guards(tmp_path) == []

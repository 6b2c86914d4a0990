"""Log and audit in the long run, and what fail2ban reads: on files that a running guard wrote."""

import gzip
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.against.client import RawClient
from tests.against.deadline import wait_until
from tests.against.guard import Guard
from tests.against.programs import program
from tests.against.scripted import ScriptedStandIn
from tests.deploy.artefacts import DEPLOY, run

LOGROTATE = DEPLOY / "logrotate" / "smtpguard"
TMPFILES = DEPLOY / "tmpfiles.d" / "smtpguard.conf"
FAIL2BAN = Path("/etc/fail2ban")

DAY = 86400.0
"""Seconds."""


def misbehave(guard: Guard, command: bytes = b"RCPT TO:<a@b>") -> None:
    """Play one session with one command out of order."""
    with RawClient(guard.port) as client:
        client.reply()
        client.say(command)
        client.say(b"QUIT")


def rotation(folder: Path, log: Path) -> Path:
    """Return our logrotate file, for another log."""
    path = folder / "rotation"
    text = LOGROTATE.read_text()
    assert text.count("/var/log/smtpguard/*.log {") == 1
    path.write_text(text.replace("/var/log/smtpguard/*.log {", f"{log} {{"))
    return path


def test_logrotate_understands(tmp_path: Path) -> None:
    """`logrotate -d` reads the file as it is and has nothing to complain about."""
    printed = run("logrotate", "-d", "-s", tmp_path / "state", LOGROTATE)
    assert "rotating pattern: /var/log/smtpguard/*.log" in printed
    assert "error" not in printed


def test_logrotate_of_a_running_guard(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """The lines of before are in the rotated file, those of after in a new log; none is lost, no signal is sent."""
    guard = Guard(tmp_path / "guard", mx.port).wait_ready()
    try:
        misbehave(guard, b"RCPT TO:<before@b>")
        wait_until(lambda: "before@b" in guard.said(), "the line in the log")
        path = rotation(tmp_path, guard.log)
        run("logrotate", "-f", "-s", tmp_path / "state", path)
        assert not guard.log.exists()
        misbehave(guard, b"RCPT TO:<after@b>")
        wait_until(lambda: guard.log.exists() and "after@b" in guard.said(), "the line in the new log")
        run("logrotate", "-f", "-s", tmp_path / "state", path)
    finally:
        assert guard.stop() == 0
    (packed,) = guard.log.parent.glob("log-*.gz")
    (renamed,) = set(guard.log.parent.glob("log-*")) - {packed}
    assert "before@b" in gzip.decompress(packed.read_bytes()).decode()
    assert "after@b" in renamed.read_text()
    assert guard.log.read_text().splitlines()[-1].endswith("stopped")


def test_old_evidence_goes(tmp_path: Path, mx: ScriptedStandIn) -> None:
    """systemd-tmpfiles removes segments whose last write is older than the limit, and their day; the open one stays."""
    program("systemd-tmpfiles")
    root = tmp_path / "root"
    audit = root / "var/lib/smtpguard"
    guard = Guard(tmp_path / "guard", mx.port, f"audit.directory={audit}").wait_ready()
    try:
        misbehave(guard)
    finally:
        assert guard.stop() == 0
    (young,) = audit.rglob("*.jsonl")
    for day, age in [("2020-01-01", 91 * DAY), ("2020-03-01", 89 * DAY)]:
        segment = audit / "events" / day / young.name
        segment.parent.mkdir()
        shutil.copy(young, segment)
        when = young.stat().st_mtime - age
        os.utime(segment, (when + age, when))
        os.utime(segment.parent, (when + age, when))
    run("systemd-tmpfiles", "--clean", f"--root={root}", TMPFILES)
    assert {path.name for path in (audit / "events").iterdir()} == {young.parent.name, "2020-03-01"}
    assert young.exists()


@pytest.fixture
def jails(tmp_path: Path) -> Path:
    """A copy of fail2ban's configuration with ours in it, and no other jail."""
    program("fail2ban-client")
    folder = tmp_path / "fail2ban"
    shutil.copytree(FAIL2BAN, folder)
    for other in (folder / "jail.d").iterdir():
        other.unlink()
    for path in ("filter.d/smtpguard.conf", "jail.d/smtpguard.conf"):
        shutil.copy(DEPLOY / "fail2ban" / path, folder / path)
    return folder


def matched(jails: Path, log: Path) -> list[str]:
    """Return the text of the lines that the filter matches in a log."""
    path = jails / "filter.d" / "smtpguard.conf"
    printed = run("fail2ban-regex", "-c", jails, "--print-all-matched", log, path)
    lines = printed.split("|- Matched line(s):\n")[1].split("`-\n")[0] if "Matched line(s)" in printed else ""
    return [line.split("]: ", 1)[1] for line in lines.splitlines()]


@pytest.mark.parametrize(("mode", "matches"), [("enforce", 1), ("observe", 0)])
def test_fail2ban_filter(tmp_path: Path, jails: Path, mx: ScriptedStandIn, mode: str, matches: int) -> None:
    """Only what was refused matches, also in the form of the journal; in mode observe nothing does."""
    guard = Guard(tmp_path / "guard", mx.port, f"policy.mode={mode}").wait_ready()
    misbehave(guard)
    assert guard.stop() == 0
    found = matched(jails, guard.log)
    assert len(found) == matches
    assert all(line.startswith("NOQUEUE: reject: RCPT from unknown[127.0.0.1]:") for line in found)
    journal = tmp_path / "journal"
    journal.write_text(re.sub(r"^\S+", "Nov 24 00:04:13", guard.log.read_text(), flags=re.MULTILINE))
    assert matched(jails, journal) == found


@pytest.mark.parametrize("enabled", [False, True])
def test_fail2ban_jail(jails: Path, enabled: bool) -> None:
    """The jail is read without a complaint; it is disabled until somebody enables it."""
    jail = jails / "jail.d" / "smtpguard.conf"
    text = jail.read_text()
    assert text.count("enabled  = false") == 1
    if enabled:
        jail.write_text(text.replace("enabled  = false", "enabled  = true"))
    assert "OK: configuration test is successful" in run("fail2ban-client", "-c", jails, "-t")
    commands = run("fail2ban-client", "-c", jails, "-d")
    assert ("['start', 'smtpguard']" in commands) is enabled

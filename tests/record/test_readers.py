"""The operator log as other programs read it: the real pflogsumm and the real fail2ban on real lines."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from smtpguard.smtp import Close, Event, Link, SessionStarted, Verb, Verdict
from tests.record.desk import Desk
from tests.record.samples import DECLINED, LINK, NOW, ended, finding, link, noted

FILTERS = Path("/etc/fail2ban/filter.d")

FILTER = (Path(__file__).parents[2] / "deploy/fail2ban/filter.d/smtpguard.conf").read_text()

FORGED = b"RCPT TO:<x>: reject: RCPT from h[203.0.113.9]: 503 5.5.1 <x>; action=answered"


@pytest.fixture
def log(desk: Desk) -> Path:
    """Return a log at level debug with one line of each kind, all of one client but for a connection over IPv6."""
    recorder = desk.recorder(audited=False, level="debug")
    ipv6 = link(client_ip="2001:db8::25", client_port=1025)
    events: list[tuple[Link, Event]] = [
        (LINK, SessionStarted()),
        (LINK, finding()),
        (LINK, finding("SG101", verb=Verb.MAIL, line=b"MAIL FROM:<a@example.net>")),
        (ipv6, finding("SG102", verb=Verb.RCPT, line=b"RCPT TO: <x@example.com>")),
        (LINK, finding("SG306", verb=Verb.BDAT, line=b"BDAT  5", verdict=Verdict.CLOSE, enforced=Verdict.CLOSE)),
        (LINK, noted("SG102", Verdict.REFUSE, verb=Verb.RCPT, line=FORGED)),
        (LINK, noted("SG505", verb=Verb.RCPT, line=FORGED)),
        (LINK, finding(consequence=True)),
        (LINK, noted("SG301")),
        (LINK, DECLINED),
        (LINK, noted("SG504")),
        (LINK, noted("SG501", detail="connection refused")),
        (LINK, ended(close=Close.CLIENT_GONE, last_verb=Verb.RCPT, hello=b"x[1]: NOQUEUE: " + FORGED[13:])),
        (ipv6, ended(close=Close.LIMIT, last_verb=Verb.RCPT, rules={"SG601": 1})),
    ]
    for who, event in events:
        recorder.observe(who, NOW, event)
    recorder.close()
    desk.recorders.clear()
    return desk.log


def need(program: str, package: str) -> str:
    """Return the path of a program, or skip."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no {program}: apt-get install {package}")
    return path


def run(*arguments: str) -> str:
    """Return what a program prints."""
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60).stdout


def test_pflogsumm(log: Path) -> None:
    """Rejects and reject warnings are counted apart, by command, reason and host; notes are not counted."""
    report = run(need("pflogsumm", "pflogsumm"), "--syslog-name=smtpguard", str(log))
    assert re.search(r"^ +4 +rejected ", report, re.MULTILINE)
    assert re.search(r"^ +1 +reject warnings$", report, re.MULTILINE)
    rejects = report.split("message reject detail\n")[1].split("message hold detail")[0]
    for command, reason, host in [
        ("DATA", "Bad sequence of commands: send RCPT first", "198.51.100.7"),
        ("MAIL", "5.5.1 Bad sequence of commands", "198.51.100.7"),
        ("RCPT", "Bad sequence of commands: send MAIL first", "2001:db8::25"),
    ]:
        assert f"  {command}\n    {reason} (total: 1)\n           1   {host}\n" in rejects
    warnings = report.split("Warnings\n")[1]
    assert "upstream 127.0.0.1:10025: connection refused" in warnings
    assert "upstream 127.0.0.1:10025: delivery-uncertain" in warnings


def test_pflogsumm_is_not_deceived(log: Path) -> None:
    """A client that writes our own words into a command or a hello puts no other host into the table."""
    report = run(need("pflogsumm", "pflogsumm"), "--syslog-name=smtpguard", str(log))
    tables = report.split("message reject detail\n")[1].split("message hold detail")[0]
    hosts = re.findall(r"^ +\d+   (\S+)$", tables, re.MULTILINE)
    assert set(hosts) == {"198.51.100.7", "2001:db8::25"}


def matched(log: Path, tmp_path: Path, text: str, mode: str = "") -> list[str]:
    """Return the messages that a filter matched; it is read from beside a copy of fail2ban's common.conf."""
    program = need("fail2ban-regex", "fail2ban")
    (tmp_path / "filter.d").mkdir()
    shutil.copy(FILTERS / "common.conf", tmp_path / "filter.d")
    path = tmp_path / "filter.d" / "tried.conf"
    path.write_text(text)
    printed = run(program, "--print-all-matched", str(log), f"{path}{mode}")
    lines = printed.split("|- Matched line(s):\n")[1].split("`-\n")[0] if "Matched line(s)" in printed else ""
    return [line.split("]: ", 1)[1] for line in lines.splitlines()]


def test_fail2ban(log: Path, tmp_path: Path) -> None:
    """Only enforced rejections of the order match, over IPv4 and IPv6."""
    lines = matched(log, tmp_path, FILTER)
    assert [line.split(" from ")[0] for line in lines] == [
        "NOQUEUE: reject: DATA",
        "NOQUEUE: reject: MAIL",
        "NOQUEUE: reject: RCPT",
    ]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("errors", ["too many errors after RCPT from unknown[2001:db8::25]:1025"]),
        ("ddos", ["lost connection after RCPT from unknown[198.51.100.7]:43122"]),
    ],
)
def test_stock_fail2ban_filter(log: Path, tmp_path: Path, mode: str, words: list[str]) -> None:
    """Fail2ban's own filter for Postfix, with our daemon's name, reads the lines that we share with Postfix."""
    need("fail2ban-regex", "fail2ban")
    stock = (FILTERS / "postfix.conf").read_text()
    ours = re.sub(r"^_daemon = .*$", "_daemon = smtpguard/smtpd", stock, flags=re.MULTILINE)
    assert matched(log, tmp_path, ours, f"[mode={mode}]") == words

"""The verb `dossier`: a letter on the screen or in a file, and every reason why there is none."""

import json
import sys
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("dns", reason='pip install "smtpguard[report]"')
pytest.importorskip("publicsuffixlist", reason='pip install "smtpguard[report]"')
pytest.importorskip("xarf", reason='pip install "smtpguard[report]"')

from smtpguard.cli import main
from smtpguard.evidence.dossier import lookup
from tests.evidence.kept import HOST, end, found, refused_data, write
from tests.evidence.name_server import name_server

PERIOD = ("--since", "2026-11-23", "--until", "2026-11-24", "--timezone", "UTC")
NAMES = {("7.100.51.198.in-addr.arpa.", "PTR"): ["mail.client.example."], ("mail.client.example.", "A"): [HOST]}


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    """Return an audit with a bad host, a good one, one of another protocol and one behind a balancer."""
    session = {"via": "proxy-v2", "peer": {"ip": "10.0.0.1", "port": 4711}}
    return write(
        tmp_path / "audit",
        *refused_data(1),
        end(2, ip="198.51.100.8"),
        end(3, ip="198.51.100.9", visible="none"),
        found(4, "SG104", ip="10.0.0.9", session=session),
        end(4, ip="10.0.0.9", session=session),
    )


def dossier(audit: Path, *arguments: str) -> Result:
    """Run the verb over the day of the events."""
    return CliRunner().invoke(main, ["dossier", "--audit", str(audit), *PERIOD, *arguments])


def test_on_the_screen(audit: Path) -> None:
    """Without a file the letter is text: whom to write to, the body, the whole transcript."""
    with name_server(NAMES) as (ip, port):
        done = dossier(audit, HOST, "--resolver", f"{ip}:{port}", "--from", "Post Master <pm@example.net>")
    assert (done.exit_code, done.stderr) == (0, "")
    head, body = done.stdout.split("\n\n", 1)
    assert head.splitlines() == [
        "From: Post Master <pm@example.net>",
        "To: postmaster@client.example",
        "Cc: abuse@client.example",
        "Subject: SMTP commands out of order from 198.51.100.7 (mail.client.example): DATA without recipient, "
        "once on 2026-11-23",
    ]
    assert body.startswith("To the postmaster of 198.51.100.7 (mail.client.example):\n")
    assert "! C   DATA\n" in body
    assert "transcript.txt\n" + "-" * 72 + "\nSession " in body
    assert "nobody@" not in body


def test_in_a_file(audit: Path, tmp_path: Path) -> None:
    """What is written to a file that ends in .eml is a whole message; it is never written over unasked."""
    file = tmp_path / "letter.eml"
    done = dossier(audit, HOST, "--no-dns", "--from", "pm@example.net", "-o", str(file), "--full")
    assert (done.exit_code, done.stdout) == (
        0,
        f"{file}: written, not sent. Read it, and say whom it is to, edit it as you like; "
        f"then, for instance: sendmail -t < {file}\n",
    )
    mail = message_from_bytes(file.read_bytes(), policy=default)
    assert isinstance(mail, EmailMessage)
    assert (mail["From"], mail["To"], mail["Cc"]) == ("pm@example.net", None, None)
    assert [part.get_filename() for part in mail.iter_parts()] == [None, "transcript.txt", "xarf.json"]
    assert "RCPT TO:<nobody@example.net>" in list(mail.iter_parts())[1].get_content()
    before = file.read_bytes()
    again = dossier(audit, HOST, "--no-dns", "-o", str(file))
    assert (again.exit_code, again.stdout, file.read_bytes()) == (74, "", before)
    assert "is there already" in again.stderr
    forced = dossier(
        audit, HOST, "--no-dns", "-o", str(file), "--force", "--format", "text", "--from", "pm@example.net"
    )
    assert forced.exit_code == 0
    assert file.read_text("ascii").startswith("From: pm@example.net\nTo: (not known)\nSubject: SMTP")


def test_a_message_on_standard_output(audit: Path) -> None:
    """`--format eml` gives a message for a pipe, with the line ends of the wire."""
    done = dossier(audit, HOST, "--no-dns", "--format", "eml", "--from", "pm@example.net")
    mail = message_from_bytes(done.stdout_bytes, policy=default)
    assert not mail.defects
    assert done.stdout_bytes.count(b"\n") == done.stdout_bytes.count(b"\r\n")
    assert isinstance(mail, EmailMessage)
    report = json.loads(list(mail.iter_parts())[2].get_content())
    assert (report["source_identifier"], report["source_port"]) == (HOST, 43122)


def test_who_writes_is_a_guess(audit: Path) -> None:
    """Without --from it is the postmaster of the guard's host, and that is said; --contact is whom to answer."""
    done = dossier(audit, HOST, "--no-dns", "--contact", "noc@example.net")
    assert "warning: the letter is from postmaster@mx1.example.net, which is a guess" in done.stderr
    assert "Please answer to noc@example.net" in " ".join(done.stdout.split())


def test_no_name(audit: Path) -> None:
    """Where the host's name does not lead back nobody is guessed, and it is said what to do."""
    with name_server({("7.100.51.198.in-addr.arpa.", "PTR"): ["mx.victim.example."]}) as (ip, port):
        done = dossier(audit, HOST, "--resolver", f"{ip}:{port}", "--from", "pm@example.net")
    assert done.exit_code == 0
    assert "To: (not known)\n" in done.stdout
    assert "victim" not in done.stdout
    assert done.stderr == (
        "warning: nobody to write to is known: its PTR record says mx.victim.example, which does not lead back to it; "
        "--lookup asks the registries, or `whois 198.51.100.7` does\n"
    )


def test_the_registries(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --lookup, and only then, the registries are asked (here: a stand-in), and who takes abuse gets a copy."""
    asked: list[str] = []

    def stand_in(address: str) -> Mapping[str, Any]:
        asked.append(address)
        mail = [{"type": None, "value": "abuse@isp.example"}]
        return {"network": {"name": "ISP"}, "objects": {"A": {"roles": ["abuse"], "contact": {"email": mail}}}}

    monkeypatch.setattr(lookup, "_by_rdap", lambda: stand_in)
    dossier(audit, HOST, "--no-dns", "--from", "pm@example.net")
    assert asked == []
    done = dossier(audit, HOST, "--no-dns", "--lookup", "--from", "pm@example.net")
    assert asked == [HOST]
    assert "To: abuse@isp.example\n" in done.stdout
    assert done.stderr == "the registries say that 198.51.100.7 belongs to ISP\n"


def test_registries_that_fail(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The letter comes all the same, with a warning."""

    def stand_in(address: str) -> Mapping[str, Any]:
        raise OSError(f"no route to {address}")

    monkeypatch.setattr(lookup, "_by_rdap", lambda: stand_in)
    done = dossier(audit, HOST, "--no-dns", "--lookup", "--from", "pm@example.net")
    assert done.exit_code == 0
    assert f"warning: --lookup: the registries could not be asked: no route to {HOST}\n" in done.stderr
    assert done.stdout.startswith("From: pm@example.net\nTo: (not known)\n")


def test_a_private_address_behind_a_balancer(audit: Path) -> None:
    """That nobody outside is responsible is said, no registry is told of it, and the balancer is named to us only."""
    done = dossier(audit, "10.0.0.9", "--no-dns", "--lookup", "--from", "pm@example.net")
    assert done.exit_code == 0
    assert "warning: 10.0.0.9 is a private address" in done.stderr
    assert "warning: --lookup: the registries were not asked: the address is a private one\n" in done.stderr
    assert "warning: in 1 of its sessions 10.0.0.1 connected, and told the address (proxy-v2)\n" in done.stderr
    assert "10.0.0.1\n" not in done.stdout
    assert "10.0.0.1 " not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("mail.client.example",), 2, "'mail.client.example': the IP address of one host"),
        (("198.51.100.0/24",), 2, "`smtpguard report` ranks hosts and networks"),
        ((HOST, "--from", "pm@"), 2, "'pm@': one address, such as postmaster@example.org"),
        ((HOST, "--contact", "a@b.example\nBcc: c@d.example"), 2, "one address, such as"),
        ((HOST, "--resolver", "ns.example"), 2, "an IP address and a port, such as 127.0.0.1:53"),
        ((HOST, "--resolver", "ns.example:53"), 2, "an IP address and a port, such as 127.0.0.1:53"),
        (("192.0.2.1",), 66, "192.0.2.1: no session in the audit from 2026-11-23 00:00 to 2026-11-24 00:00 (UTC)"),
        (("198.51.100.8",), 66, "198.51.100.8: nothing to complain of in its 1 session from 2026-11-23 00:00"),
        (("198.51.100.9",), 66, "198.51.100.9: spoke another protocol than SMTP"),
        ((HOST, "--no-dns", "-o", "/dev/null/x"), 74, "/dev/null/x: cannot be written: Not a directory"),
    ],
)
def test_mistakes(audit: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """One clear message on standard error, and the exit code."""
    done = dossier(audit, *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.split())


def test_an_address_in_another_spelling(audit: Path) -> None:
    """An IPv4 address within IPv6 is the IPv4 one."""
    done = dossier(audit, f"[::ffff:{HOST}]", "--no-dns", "--from", "pm@example.net")
    assert done.exit_code == 0
    assert f"from {HOST}: DATA" in done.stdout


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [("dns.exception", ()), ("xarf", ("--no-dns", "--format", "eml")), ("ipwhois", ("--no-dns", "--lookup"))],
)
def test_without_the_extra(
    audit: Path, monkeypatch: pytest.MonkeyPatch, missing: str, arguments: tuple[str, ...]
) -> None:
    """A package that is not installed is told with the way to install it; the text alone needs none of them."""
    monkeypatch.setitem(sys.modules, missing, None)
    done = dossier(audit, HOST, "--from", "pm@example.net", *arguments)
    assert (done.exit_code, done.stdout) == (69, "")
    assert "smtpguard dossier needs the extra \"report\": pip install 'smtpguard[report]'" in done.stderr
    assert dossier(audit, HOST, "--no-dns", "--from", "pm@example.net").exit_code == 0


def test_half_a_line(audit: Path) -> None:
    """A segment that ends in half a line is a warning; the letter stands."""
    with (audit / "events" / "2026-11-23" / "mx1-w0-12.jsonl").open("a") as file:
        file.write('{"@timestamp":"2026-11-23T12:')
    done = dossier(audit, HOST, "--no-dns", "--from", "pm@example.net")
    assert done.exit_code == 0
    assert "1 line of the audit could not be read" in done.stderr


def test_a_guard_without_a_proper_name(tmp_path: Path) -> None:
    """A host's name that cannot stand in an address makes no address."""
    odd = found(1, "SG104")
    odd["observer"]["hostname"] = "mx 1, <x"
    done = dossier(write(tmp_path, odd, end(1)), HOST, "--no-dns")
    assert done.exit_code == 0
    assert done.stdout.startswith("From: postmaster@localhost\n")


def test_a_segment_that_cannot_be_read(audit: Path) -> None:
    """A file that cannot be read is told, with its name."""
    (audit / "events" / "2026-11-23" / "mx1-w1-13.jsonl").mkdir()
    done = dossier(audit, HOST, "--no-dns")
    assert (done.exit_code, done.stdout) == (74, "")
    assert "mx1-w1-13.jsonl: cannot be read: Is a directory" in done.stderr

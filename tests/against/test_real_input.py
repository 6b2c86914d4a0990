"""Real clients through the guard to real servers: what arrives is what was sent, by sha-256 of the whole content."""

import hashlib
import random
import smtplib
import subprocess
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.against.aio import Aiosmtpd
from tests.against.client import RawClient
from tests.against.conftest import MakeGuard
from tests.against.deadline import wait_until
from tests.against.exim import Exim
from tests.against.guard import Guard
from tests.against.postfix import Postfix
from tests.against.programs import program
from tests.against.scripted import ScriptedStandIn
from tests.against.sink import Sink

RUNS = ((600, 300), (500, 2_000), (400, 8_000), (300, 30_000), (100, 100_000), (50, 400_000), (50, 1_000_000))
"""Messages, octets of each: 2,000 in all."""
AT_A_TIME = 50


def letter(octets: int, seed: int) -> bytes:
    """Return a message of about a size, with 8-bit octets and lines that begin with dots, CRLF at its line ends."""
    dice = random.Random(seed)
    lines, size = [b"Subject: letter %d" % seed, b""], 0
    while size < octets:
        line = dice.choice((b"", b".", b"..", b". ")) + dice.randbytes(40).translate(PRINTABLE)
        lines.append(line)
        size += len(line) + 2
    return b"\r\n".join(lines) + b"\r\n"


# No control octets: every line stays a line, at every server.
PRINTABLE = bytes(octet if octet >= 0x20 and octet != 0x7F else octet + 0x40 & 0x7E | 0x40 for octet in range(256))


@pytest.fixture(scope="module")
def before_postfix(postfix: Postfix, make_guard: MakeGuard) -> Guard:
    """The guard before Postfix, nothing between them."""
    return make_guard(postfix.port).wait_served()


@pytest.fixture(scope="module")
def before_exim(exim: Exim, make_guard: MakeGuard) -> Guard:
    """The guard before Exim."""
    return make_guard(exim.port).wait_served()


@pytest.fixture(scope="module")
def before_aiosmtpd(aiosmtpd: Aiosmtpd, make_guard: MakeGuard) -> Guard:
    """The guard before aiosmtpd."""
    return make_guard(aiosmtpd.port).wait_served()


@pytest.mark.timeout(300)
def test_two_thousand_messages_of_smtp_source(before_postfix: Guard, sink: Sink, tmp_path: Path) -> None:
    """50 sessions at a time, with one message each or many: every sha-256 arrives as often as it was sent."""
    smtp_source, box = program("smtp-source"), b"thousands@up.example"
    sent = Counter[str]()
    for number, (count, octets) in enumerate(RUNS):
        content = letter(octets, number)
        file = tmp_path / f"letter-{number}"
        file.write_bytes(content.replace(b"\r\n", b"\n"))
        # smtp-source puts CRLF behind each line, stuffs the dots, and ends each message with an empty line of its own.
        sent[hashlib.sha256(content + b"\r\n").hexdigest()] += count
        subprocess.run(
            [
                smtp_source, "-s", str(AT_A_TIME), "-m", str(count), "-F", str(file), *(["-d"] if number % 2 else []),
                "-f", "source@client.example", "-t", box.decode(), f"127.0.0.1:{before_postfix.port}",
            ],
            check=True, timeout=200,
        )  # fmt: skip
    assert sent.total() == 2000
    wait_until(lambda: len(sink.to(box)) >= sent.total(), "2,000 messages at the sink", 120)
    assert Counter(message.sha256 for message in sink.to(box)) == sent


@pytest.mark.parametrize("pipelining", [True, False])
def test_swaks(pipelining: bool, before_postfix: Guard, sink: Sink) -> None:
    """swaks delivers with and without PIPELINING."""
    box = f"swaks-{pipelining}@up.example"
    body = "one\r\n.two\r\nthree"
    done = subprocess.run(
        [
            program("swaks"), "--server", "127.0.0.1", "--port", str(before_postfix.port), "--helo", "c.example",
            "--from", "ann@client.example", "--to", box, "--body", body, *(["--pipeline"] if pipelining else []),
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    # In swaks' transcript a group's replies stand behind all of its commands.
    assert (" -> DATA\n<-  250 2.1.0" in done.stdout) is pipelining
    assert b"one\r\n.two\r\nthree\r\n" in sink.wait_for(box.encode()).head


def by_smtplib(port: int, box: str, *, hello: str, content: bytes, options: tuple[str, ...] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="c.example", timeout=60) as client:
        getattr(client, hello)()
        assert client.sendmail("ann@client.example", [box], content, mail_options=options) == {}


@pytest.mark.parametrize("hello", ["ehlo", "helo"])
@pytest.mark.parametrize("upstream", ["postfix", "exim"])
def test_smtplib(upstream: str, hello: str, request: pytest.FixtureRequest, sink: Sink) -> None:
    """Python's smtplib with ESMTP and without: the content's sha-256 arrives."""
    guard: Guard = request.getfixturevalue(f"before_{upstream}")
    box, content = f"smtplib-{upstream}-{hello}@up.example", letter(50_000, 77)
    by_smtplib(guard.port, box, hello=hello, content=content)
    assert sink.wait_for(box.encode()).sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("hello", ["ehlo", "helo"])
def test_smtplib_to_aiosmtpd(hello: str, before_aiosmtpd: Guard, aiosmtpd: Aiosmtpd) -> None:
    """The same where no PIPELINING is offered."""
    box, content = f"smtplib-{hello}@up.example", letter(50_000, 78)
    by_smtplib(before_aiosmtpd.port, box, hello=hello, content=content)
    (kept,) = [message for message in aiosmtpd.delivered if box.encode() in message.forward_paths]
    assert kept.sha256 == hashlib.sha256(content).hexdigest()


@pytest.fixture
def no_esmtp() -> Iterator[ScriptedStandIn]:
    """An upstream from before ESMTP: a stand-in."""
    stand_in = ScriptedStandIn({b"EHLO": b"502 5.5.1 what\r\n"})
    yield stand_in
    stand_in.close()


def test_smtplib_before_a_stand_in_without_esmtp(no_esmtp: ScriptedStandIn, make_guard: MakeGuard) -> None:
    """EHLO is refused, smtplib falls back to HELO by itself, and the message arrives."""
    guard = make_guard(no_esmtp.port).wait_served()
    content = letter(5_000, 79)
    by_smtplib(guard.port, "bob@up.example", hello="ehlo_or_helo_if_needed", content=content)
    assert no_esmtp.messages[-1] == content.replace(b"\r\n.", b"\r\n..")


def test_eight_bit(before_postfix: Guard, sink: Sink) -> None:
    """Declared 8-bit content arrives as it is."""
    content = b"Subject: 8\r\n\r\n" + bytes(range(0x80, 0x100)) + b"\r\n"
    by_smtplib(before_postfix.port, "eight@up.example", hello="ehlo", content=content, options=("BODY=8BITMIME",))
    assert sink.wait_for(b"eight@up.example").sha256 == hashlib.sha256(content).hexdigest()


def test_utf8_addresses(before_postfix: Guard, sink: Sink) -> None:
    """SMTPUTF8: addresses and header fields in UTF-8 arrive."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "jörg@client.example", "özil@up.example", "Grüße"
    message.set_content("über alles\n")
    with smtplib.SMTP("127.0.0.1", before_postfix.port, local_hostname="c.example", timeout=60) as client:
        assert client.send_message(message) == {}
    assert "Subject: Grüße".encode() in sink.wait_for("özil@up.example".encode()).head


def test_twenty_mebibytes(before_postfix: Guard, sink: Sink) -> None:
    """One message of 20 MiB arrives whole."""
    content = b"Subject: big\r\n\r\n" + (b".".join(b"%07d" % n for n in range(9)) + b"\r\n") * (20 * 2**20 // 73)
    by_smtplib(before_postfix.port, "big@up.example", hello="ehlo", content=content)
    arrived = sink.wait_for(b"big@up.example", 60)
    assert (arrived.octets, arrived.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("size", [1, 700, 70_000])
def test_bdat_to_exim(size: int, before_exim: Guard, sink: Sink) -> None:
    """Chunks of several sizes, sent without waiting: the message is the sum of them."""
    content, box = letter(70 * size if size < 70_000 else 500_000, 80), b"bdat-%d@up.example" % size
    content = content[:400] + b"\r\n" if size == 1 else content
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    with RawClient(before_exim.port) as client:
        client.reply()
        assert b"CHUNKING" in client.say(b"EHLO c.example")
        assert client.say(b"MAIL FROM:<ann@client.example> BODY=8BITMIME")[:3] == b"250"
        assert client.say(b"RCPT TO:<" + box + b">")[:3] == b"250"
        for chunk in chunks:
            client.send(b"BDAT %d\r\n" % len(chunk) + chunk)
        client.send(b"BDAT 0 LAST\r\n")
        assert {client.reply()[:3] for _ in range(len(chunks) + 1)} == {b"250"}
        assert client.say(b"QUIT")[:3] == b"221"
    assert sink.wait_for(box).sha256 == hashlib.sha256(content).hexdigest()


def test_no_finding_came_of_all_that(before_postfix: Guard, before_exim: Guard, before_aiosmtpd: Guard) -> None:
    """Real clients that do nothing wrong are blamed for nothing."""
    for guard in (before_postfix, before_exim, before_aiosmtpd):
        assert guard.stop() == 0
        assert guard.audit.ends()
        assert guard.audit.findings() == []

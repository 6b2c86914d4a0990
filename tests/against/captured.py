"""Sessions of many kinds played before guards while tcpdump looks on: what is said, and the capture of it."""

import signal
import smtplib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.against.client import Closed, RawClient
from tests.against.deadline import wait_until
from tests.against.disorder import DISORDER, NOTES_IN_STANDARD
from tests.against.guard import Guard
from tests.against.programs import need_root, program
from tests.against.sessions import (
    ANN,
    DATA,
    EHLO,
    HELO,
    MAIL,
    NOBODY,
    NOOP,
    QUIT,
    RCPT,
    REFUSED,
    RSET,
    TEXT,
    TX,
    Say,
    ahead,
    bdat,
)  # fmt: skip

CONTENT = b"Subject: x\r\n\r\ntext"

EARLY = Say((EHLO,), 2)
"""Said ahead of the greeting: two replies come."""

OTHERS: Final[dict[str, tuple[bytes | Say, ...]]] = {
    "SG201 before the greeting": (EARLY, QUIT),
    "SG202 behind helo": (HELO, ahead(MAIL, RCPT), RSET, QUIT),
    "SG203 behind ehlo": (ahead(EHLO, MAIL), RCPT, RSET, QUIT),
    "SG203 behind noop": (EHLO, ahead(NOOP, NOOP), QUIT),
    "SG204 content with data": (EHLO, MAIL, RCPT, ahead(DATA, TEXT), QUIT),
    "SG204 content behind a refused data": (EHLO, MAIL, DATA, TEXT, QUIT),
    "SG205 behind starttls": (EHLO, b"STARTTLS\r\n" + MAIL),
    "SG206 behind quit": (EHLO, QUIT + NOOP),
    "SG301 bare lf": (b"EHLO c.example\n", MAIL, b"RCPT TO:<bob@up.example>\n", RSET, QUIT),
    "SG302 nul in a command": (EHLO, b"NOOP \0\r\n", QUIT),
    "SG303 a long line": (EHLO, b"NOOP " + b"x" * 5000 + b"\r\n"),
    "SG304 hidden end": (EHLO, MAIL, RCPT, DATA, CONTENT + b"\n.\n" + MAIL),
    "SG305 bare newlines": (EHLO, MAIL, RCPT, DATA, CONTENT + b"\nmore\r\n.\r\n", QUIT),
    "SG306 malformed bdat": (EHLO, MAIL, RCPT, b"BDAT  4\r\nabcd"),
    "SG401 http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",),
    "SG402 tls": (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n",),
    "SG403 ssh": (b"SSH-2.0-x\r\n",),
    "SG404 proxy header": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",),
    "SG405 xclient": (EHLO, b"XCLIENT ADDR=192.0.2.1\r\n", QUIT),
    "SG601 too many": (EHLO, *(RCPT,) * 25),
    "two rules in one line": (b"MAIL FROM:<a@c.example>\n", EHLO, QUIT),
    "consequences, not violations": (
        EHLO, ahead(REFUSED, RCPT, DATA), RSET, ahead(MAIL, NOBODY, NOBODY, DATA), QUIT,
    ),
    "chunks": (EHLO, MAIL, RCPT, bdat(b"Subject: x\r\n"), bdat(b"\r\ny\r\n", True), bdat(b"RSET\r\n"), QUIT),
    "a login, and half of one": (EHLO, b"AUTH PLAIN\r\n", ANN, b"AUTH PLAIN\r\n", QUIT),
    "a large message": (EHLO, MAIL, RCPT, DATA, CONTENT + b"y" * 900_000 + b"\r\n.\r\n", QUIT),
    "lawful": (EHLO, *TX, ahead(MAIL, RCPT, DATA), TEXT, QUIT),
}  # fmt: skip
"""Name -> what is said; each step waits for its replies."""

SETTINGS: Final = tuple(f"policy.rules.{rule}=refuse" for rule in NOTES_IN_STANDARD)


class Tcpdump:
    """tcpdump on loopback, writing to `file`."""

    def __init__(self, file: Path, ports: Sequence[int]) -> None:
        need_root("tcpdump")
        self.file = file
        self._errors = file.with_suffix(".errors")
        wanted = " or ".join(f"tcp port {port}" for port in ports)
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    program("tcpdump"), "-i", "lo", "-U", "-n", "--immediate-mode", "-B", "65536", "-Z", "root",
                    "-w", str(file), wanted,
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        wait_until(lambda: b"listening on" in self._errors.read_bytes(), "tcpdump")

    def stop(self, port: int) -> None:
        """End the capture when a last session has come out of the kernel's ring; it must have dropped nothing."""
        say(port, (b"EHLO the-end.example\r\n", QUIT))
        wait_until(lambda: b"the-end.example" in self.file.read_bytes(), "the last session in the capture")
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        assert b"\n0 packets dropped by kernel" in self._errors.read_bytes()

    def kill(self) -> None:
        """End it, if it runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


@dataclass(frozen=True)
class Day:
    """All that was played: the capture, the guards by mode, each session's name and mode by client port."""

    file: Path
    guards: dict[str, Guard]
    sessions: dict[int, tuple[str, str]]


def say(port: int, steps: Sequence[bytes | Say]) -> int:
    """Say the steps of a session, each when the replies to the one before have come. Return our port."""
    with RawClient(port) as client:
        try:
            if steps[0] is not EARLY:
                client.reply()
            for step in steps:
                pieces, replies = ((step,), 1) if isinstance(step, bytes) else (step.pieces, step.replies)
                client.send(*pieces)
                for _ in range(replies):
                    client.reply()
            client.half_close()
            client.rest()
        except Closed:
            pass
        return client.port


def rows() -> Iterator[tuple[str, tuple[bytes | Say, ...]]]:
    """Yield name and steps of every session."""
    for name, row in DISORDER.items():
        if row.port == "port":
            faulty = ahead(row.line, row.behind) if row.behind else row.line
            yield name, (*row.before, faulty, *row.after, QUIT)
    yield from OTHERS.items()


def swaks(port: int) -> None:
    """A message by swaks, its recipient refused, pipelined."""
    subprocess.run(
        [
            program("swaks"), "--server", "127.0.0.1", "--port", str(port), "--helo", "c.example", "--pipeline",
            "--from", "ann@client.example", "--to", "nobody@up.example",
        ],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def with_smtplib(port: int) -> None:
    """Two messages by Python's own client."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="c.example") as client:
        for _ in range(2):
            client.sendmail("ann@client.example", ["bob@up.example"], "Subject: x\r\n\r\ntext\r\n")


def played(guards: dict[str, Guard], dump: Tcpdump) -> dict[int, tuple[str, str]]:
    """Play every session, and stop the capture when the audit has them all."""
    sessions = {}
    for mode, guard in guards.items():
        for name, pieces in rows():
            try:
                sessions[say(guard.port, pieces)] = name, mode
            except TimeoutError:
                pytest.fail(f"no reply in {name!r}, mode {mode}")
        swaks(guard.port)
        with_smtplib(guard.port)
        ports = {port for port, (_, told) in sessions.items() if told == mode}

        def missing(guard: Guard = guard, ports: set[int] = ports) -> set[int]:
            return ports - {end["source"]["port"] for end in guard.audit.ends()}

        try:
            wait_until(lambda: not missing(), "all ends")
        except TimeoutError:
            pytest.fail(f"no end of {[sessions[port] for port in missing()]}")
    dump.stop(next(iter(guards.values())).port)
    return sessions

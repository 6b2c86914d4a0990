"""How fast `smtpguard replay` reads captures, and in how much memory.

    python -m tests.bench.replay [--packets N] [--only ROW]... [--proposed PROFILE]

Each row is a capture that is made for it and read by the verb in a process of its own:

    small    sessions of one small message each in lock step, 64 at a time; every tenth has a violation
    content  sessions of one message of 100 KiB
    crowd    10,000 sessions open at once, each stopped in its middle
    gaps     2,000 connections with 250 KiB each behind a gap: what a lossy capture costs

Packets a second are told by CPU (user and system of the whole process, its start included) and by the clock; memory is
the peak of RSS. The marks: 30,000 packets a second, 200 MiB. A row that misses one is an exit code of 1.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from tests.evidence.packets import Line, ethernet, pcap

PACKETS: Final = 500_000
PACKETS_A_SECOND: Final = 30_000
MEMORY: Final = 200
"""MiB."""

ROOT: Final = Path(__file__).parents[2]

_GREETING = (
    b"220 mx.example ESMTP\r\n",
    b"EHLO c.example\r\n",
    b"250-mx.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
)
_VIOLATION = (b"DATA\r\n", b"503 5.5.1 send MAIL first\r\n")
_MESSAGE = (
    b"MAIL FROM:<a@c.example>\r\n", b"250 2.1.0 Ok\r\n", b"RCPT TO:<b@d.example>\r\n", b"250 2.1.5 Ok\r\n", b"DATA\r\n",
    b"354 go ahead\r\n",
)  # fmt: skip
_END = (b"Subject: x\r\n\r\nhello\r\n.\r\n", b"250 2.0.0 Ok: queued\r\n", b"QUIT\r\n", b"221 2.0.0 Bye\r\n")


def _line(number: int) -> Line:
    host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return Line((host, 1024 + number % 60_000), client_seq=number * 7919, upstream_seq=number * 104_729)


def _acknowledged(line: Line, turns: Iterable[bytes]) -> Line:
    """Say the turns, UPSTREAM first, each acknowledged by a packet of its own."""
    for place, turn in enumerate(turns):
        (line.up if place % 2 else line.down)(turn)
        line.acks(up=place % 2 == 0)
    return line


def small(number: int) -> Line:
    """One small message; a violation in every tenth session."""
    middle = _VIOLATION if number % 10 == 0 else ()
    return _acknowledged(_line(number).open(), (*_GREETING, *middle, *_MESSAGE, *_END)).close()


def content(number: int) -> Line:
    """One message of 100 KiB in full segments, every second one acknowledged."""
    line = _acknowledged(_line(number).open(), (*_GREETING, *_MESSAGE))
    for place in range(70):
        line.up(b"x" * 1458 + b"\r\n")
        if place % 2:
            line.acks(up=False)
    line.up(_END[0])
    return line.said(*_END[1:]).close()


def stopped(number: int) -> Line:
    """Not over when the capture ends."""
    return _acknowledged(_line(number).open(), (*_GREETING, *_MESSAGE[:-1]))


def gap(number: int) -> Line:
    """250 KiB behind an octet that was never captured."""
    line = _line(number).open().said(*_GREETING[:1])
    line.client_seq += 1
    for _ in range(170):
        line.up(b"y" * 1460)
    return line


class Row(NamedTuple):
    """One capture."""

    session: Callable[[int], Line]
    at_once: int
    """Sessions whose packets are mixed."""
    sessions: int = 0
    """0: as many as make the packets asked for."""


ROWS: Final = {"small": Row(small, 64), "content": Row(content, 64), "crowd": Row(stopped, 10_000, 10_000),
               "gaps": Row(gap, 2_000, 2_000)}  # fmt: skip


def frames(row: Row, packets: int) -> Iterator[bytes]:
    """Yield the frames of a row, those of several sessions mixed."""
    dice = random.Random(1)
    wanted = range(row.sessions) if row.sessions else range(packets)
    lines = (iter(row.session(number).packets) for number in wanted)
    current = list(islice(lines, row.at_once))
    while current:
        place = dice.randrange(len(current))
        packet = next(current[place], None)
        if packet is not None:
            yield ethernet(packet)
            continue
        current[place] = current[-1]
        del current[-1]
        current += islice(lines, 1)


def write(file: Path, row: Row, packets: int) -> int:
    """Write the capture of a row; return its packets."""
    count = 0

    def counted() -> Iterator[bytes]:
        nonlocal count
        for frame in frames(row, packets) if row.sessions else islice(frames(row, packets), packets):
            count += 1
            yield frame

    with file.open("wb") as capture:
        head = pcap(())
        capture.write(head)
        source = counted()
        while batch := list(islice(source, 10_000)):
            capture.write(pcap(batch)[len(head) :])
    return count


class Cost(NamedTuple):
    """What the verb took."""

    cpu: float
    wall: float
    memory: float
    """MiB."""


# The kernel's ru_maxrss of a child begins with what its parent had at the fork; VmHWM is of the program alone.
_PROGRAM: Final = """
import atexit, sys
from pathlib import Path
from smtpguard.cli import main
place = Path(sys.argv.pop(1))
atexit.register(lambda: place.write_bytes(Path("/proc/self/status").read_bytes()))
main()
"""


def measure(file: Path, words: list[str]) -> Cost:
    """Run the verb over a capture.

    Raises:
        RuntimeError: it did not end with 0.
    """
    status_file = file.with_suffix(".status")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(status_file), "replay", str(file), "--json", *words],
        stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"replay ended with {process.returncode}")
    (peak,) = [line.split()[1] for line in status_file.read_text().splitlines() if line.startswith("VmHWM:")]
    return Cost(used.ru_utime + used.ru_stime, time.monotonic() - began, int(peak) / 1024)


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Measure the rows; return the exit code."""
    parser = argparse.ArgumentParser(description="How fast captures are replayed.")
    parser.add_argument("--packets", type=int, default=PACKETS)
    parser.add_argument("--only", action="append", choices=ROWS)
    parser.add_argument("--proposed", metavar="PROFILE", help="rules that differ from those of today")
    asked = parser.parse_args()
    words = ["--profile", asked.proposed] if asked.proposed else []
    missed = False
    say(f"{'row':8} {'packets':>9} {'octets':>12} {'packets/s CPU':>14} {'by the clock':>13} {'peak RSS':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.only or ROWS:
            file = Path(folder) / "capture.pcap"
            count = write(file, ROWS[name], asked.packets)
            cost = measure(file, words)
            say(
                f"{name:8} {count:9,} {file.stat().st_size:12,} {count / cost.cpu:14,.0f} {count / cost.wall:13,.0f} "
                f"{cost.memory:6.0f} MiB"
            )
            missed = missed or count / cost.cpu < PACKETS_A_SECOND or cost.memory > MEMORY
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

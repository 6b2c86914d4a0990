"""The sink and the load: two C programs, compiled at start, and how to speak with them.

They are in C so that they cost little beside what is measured and are never waited for. Their manuals are the first
comments of `sink.c` and `load.c`. Each ends by itself when its pipe closes or its time is up.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

SECONDS: Final = 120
"""Longest time of one load."""

SINK_SECONDS: Final = 7200
"""Longest time of the whole bench."""


class LoadFailed(Exception):
    """The load program heard something else than the lawful reply, or took too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: sessions in all and at a time, messages in each, recipients of each, lines of 78 octets in each."""

    sessions: int
    parallel: int
    messages: int = 1
    recipients: int = 1
    lines: int
    kind: Literal["text", "base64"] = "text"

    def arguments(self, port: int) -> list[str]:
        """Return the command line behind the program's name."""
        numbers = (port, self.sessions, self.parallel, self.messages, self.recipients, self.lines)
        return [*map(str, numbers), self.kind, str(SECONDS)]


class Heard(NamedTuple):
    """What the load program says at the end; octets are those of content, dot lines included."""

    sessions: int
    messages: int
    octets: int
    seconds: float
    round_trips: int
    rcpt_p50_ns: int
    rcpt_p99_ns: int


class Taken(NamedTuple):
    """What the sink has counted since its start; its sessions include smtpguard's looks at its upstream."""

    sessions: int
    messages: int
    octets: int


class Sink:
    """The mail server of every peer."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program, str(SINK_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.port = int(self._line().removeprefix("port "))

    def taken(self) -> Taken:
        """Ask for the counts."""
        assert self._process.stdin is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        return Taken(*map(int, self._line().split()))

    def stop(self) -> None:
        """End the program; its standard input is what keeps it alive."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Programs:
    """Both programs, compiled into a folder. Raises `subprocess.CalledProcessError` where the compiler refuses."""

    def __init__(self, folder: Path) -> None:
        self._load = _compiled("load", folder)
        self._sink = _compiled("sink", folder)

    @contextmanager
    def sink(self) -> Iterator[Sink]:
        """Run a sink as long as the context lasts."""
        sink = Sink(self._sink)
        try:
            yield sink
        finally:
            sink.stop()

    def run(self, load: Load, port: int) -> Heard:
        """Put a load on a port of loopback and wait for its end. Raises `LoadFailed`."""
        with self._loading(load, port) as process:
            return _heard(process)

    @contextmanager
    def held(self, load: Load, port: int) -> Iterator[list[Heard]]:
        """Hold the load's sessions behind EHLO while the context lasts; the list gets its end. Raises `LoadFailed`."""
        ends: list[Heard] = []
        with self._loading(load, port, "hold") as process:
            assert process.stdout is not None
            if process.stdout.readline() != "held\n":
                raise LoadFailed(process.communicate()[1])
            yield ends
            ends.append(_heard(process))

    @contextmanager
    def _loading(self, load: Load, port: int, *more: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [self._load, *load.arguments(port), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def _heard(process: subprocess.Popen[str]) -> Heard:
    out, err = process.communicate()
    if process.returncode:
        raise LoadFailed(err.strip() or f"load: ended by signal {-process.returncode}, its limit is {SECONDS} s")
    return Heard(**json.loads(out))


def _compiled(name: str, folder: Path) -> Path:
    source, program = Path(__file__).with_name(f"{name}.c"), folder / name
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, source], check=True)
    return program

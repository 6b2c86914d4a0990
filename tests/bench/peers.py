"""The relays that are compared: how each is started before the sink, and ended.

A peer is an entry of `PEERS`: a function from a `Place` to the command line that serves there in the foreground,
writing any file it needs into the place's folder first. `direct` is no relay and has no entry: its place is the sink
itself.
"""

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.meter import tree

DIRECT: Final = "direct"
SMTPGUARD: Final = "smtpguard"

ROOT: Final = Path(__file__).parents[2]

START_SECONDS: Final = 15.0
STOP_SECONDS: Final = 15.0

SPARE: Final = 64
"""Descriptors that a relay needs beside two for each session."""

HAPROXY: Final = """\
global
    nbthread 1
    maxconn {sessions}
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen smtp
    bind 127.0.0.1:{port}
    server sink 127.0.0.1:{upstream}
"""


class StartFailed(Exception):
    """A relay ended, or did not listen in time; with the end of what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a relay runs: its ports on loopback, a folder of its own, the sessions it must carry, the Python to run."""

    port: int
    upstream: int
    folder: Path
    sessions: int
    python: str

    @property
    def audit(self) -> Path:
        """The directory of smtpguard's audit."""
        return self.folder / "audit"


def haproxy(place: Place) -> list[str]:
    """HAProxy in TCP mode on one thread, with nothing but what it needs."""
    settings = place.folder / "haproxy.cfg"
    settings.write_text(HAPROXY.format(sessions=place.sessions, port=place.port, upstream=place.upstream))
    return ["haproxy", "-db", "-f", str(settings)]


def naive(place: Place) -> list[str]:
    """The yardstick of `naive.py`."""
    return [place.python, "-m", "tests.bench.naive", str(place.port), str(place.upstream)]


def smtpguard(place: Place) -> list[str]:
    """The product as it is by default, with evidence and a log file; only the limits on sessions are lifted."""
    settings = {
        "audit.directory": place.audit,
        "log.target": place.folder / "smtpguard.log",
        "limits.sessions": place.sessions,
        "limits.sessions-per-client": place.sessions,
    }
    assignments = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    ends = ["--listen", f"127.0.0.1:{place.port}", "--upstream", f"127.0.0.1:{place.upstream}"]
    return [place.python, "-m", "smtpguard", "run", *ends, *assignments]


PEERS: Final[dict[str, Callable[[Place], list[str]]]] = {"haproxy": haproxy, "naive": naive, SMTPGUARD: smtpguard}

TICKS: Final = {SMTPGUARD: 1.2}
"""Seconds after which a peer has done what it puts off: smtpguard writes its records once a second."""


def missing(name: str, python: str) -> str:
    """Say why a peer cannot be measured here; empty if it can."""
    if name == "haproxy":
        return "" if shutil.which("haproxy") else "not installed: apt-get install haproxy"
    if name == DIRECT:
        return ""
    module = {"naive": "trio", SMTPGUARD: "smtpguard.service"}[name]
    found = subprocess.run([python, "-c", f"import {module}"], cwd=ROOT, capture_output=True, check=False)
    return "" if found.returncode == 0 else f"{python} cannot import {module}"


def carried(sessions: int) -> int:
    """Return how many sessions at once the descriptor limit of a relay allows, at most those asked for.

    Lifts this process's soft limit, which its children inherit, to the hard one.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(sessions, (hard - SPARE) // 2)


@dataclass(frozen=True, slots=True)
class Relay:
    """A running peer; `direct` has no process."""

    name: str
    place: Place
    command: tuple[str, ...] = ()
    pid: int | None = None

    @property
    def tick(self) -> float:
        """Seconds after which the peer has done what it puts off."""
        return TICKS.get(self.name, 0.0)


@contextmanager
def running(name: str, place: Place) -> Iterator[Relay]:
    """Run a peer as long as the context lasts, then end it in order. Raises `StartFailed`."""
    if name == DIRECT:
        yield Relay(name, place)
        return
    place.folder.mkdir()
    command = PEERS[name](place)
    said = place.folder / "output"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*_leash(), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if not _wait_listening(process, place.port):
            raise StartFailed(f"{name} does not listen: {said.read_text(errors='replace')[-2000:]}")
        yield Relay(name, place, tuple(command), process.pid)
    finally:
        _stop(process)


def _leash() -> list[str]:
    """Return the prefix of a command that ends it with this process, should this process be killed."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def _wait_listening(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if _listening(port):
            return True
        time.sleep(0.02)
    return False


def _listening(port: int) -> bool:
    """Look the port up in the kernel's list; a connection to see whether it is open would be one session too many."""
    local, listen = f"0100007F:{port:04X}", "0A"
    return any(line.split()[1:4:2] == [local, listen] for line in Path("/proc/net/tcp").read_text().splitlines())


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    family = tree(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in family:
            _kill(pid)
        process.wait()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

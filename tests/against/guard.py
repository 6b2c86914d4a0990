"""The product as a process: `python -m smtpguard run`, its log and its audit in a folder of the test."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.against.audit import Audit
from tests.against.client import Closed, RawClient
from tests.against.deadline import answers, free_port, wait_until

ROOT = Path(__file__).parents[2]


class Guard:
    """One running smtpguard in front of `upstream`, a port of 127.0.0.1."""

    def __init__(
        self, folder: Path, upstream: int, *settings: str, flags: tuple[str, ...] = (), host: str = "127.0.0.1"
    ) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.audit = Audit(folder / "audit")
        self.log = folder / "log"
        self.errors = folder / "errors"
        pairs = (f"audit.directory={folder / 'audit'}", f"log.target={self.log}", *settings)
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "smtpguard", "run",
                    "--listen", f"{host}:{self.port}", "--upstream", f"127.0.0.1:{upstream}",
                    *flags, *(word for pair in pairs for word in ("--set", pair)),
                ],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def wait_ready(self) -> "Guard":
        """Return when it accepts connections and serves them."""
        wait_until(lambda: self.process.poll() is not None or answers(self.port), "the guard's port")
        assert self.process.poll() is None, self.said()
        return self

    def wait_served(self) -> "Guard":
        """Return when a client is greeted, so when the guard has asked its upstream."""
        wait_until(lambda: self.process.poll() is not None or self.greets(), "a greeting through the guard")
        assert self.process.poll() is None, self.said()
        return self

    def greets(self) -> bool:
        """Tell whether a new session begins with 220."""
        return self.greeting()[:3] == b"220"

    def greeting(self) -> bytes:
        """Return how a new session begins, empty if it does not; the session is a probe, QUIT and nothing else."""
        greeting = b""
        try:
            with RawClient(self.port) as client:
                greeting = client.reply()
                client.say(b"QUIT")
        except (OSError, Closed):
            pass  # a 421 closes; a port where nobody listens has no greeting
        return greeting

    def said(self) -> str:
        """Return what it wrote to its standard streams and its log so far."""
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        return self.errors.read_text(errors="replace") + log

    def stop(self, seconds: float = 30.0) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 30.0) -> int:
        """Return the exit code when it has ended by itself."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise

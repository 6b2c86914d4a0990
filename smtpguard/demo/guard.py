"""The guard of the demo: `python -m smtpguard run` as a process of its own, what a person would run.

Its configuration, log and audit lie in one folder. It ends with the demo however that ends: in order by SIGTERM; and
where the demo is killed, by the leash. That is a pipe whose reading end is the guard's standard input, which nobody
reads, and whose writing end only the demo holds. The kernel sends the reader SIGTERM when the writer is gone (F_SETSIG
of fcntl(2)). PR_SET_PDEATHSIG, the usual way, would want ctypes.
"""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import trio

from smtpguard.config import Address, written
from smtpguard.demo.errors import DemoError

READY_WITHIN: Final = 20.0
"""Seconds until the guard greets its first client."""
GRACE: Final = 5.0
"""Seconds that the guard has to end in order."""
PAUSE: Final = 0.02
"""Seconds between two looks."""
ADDRESSED_TO_GUARDS: Final = ("SMTPGUARD_", "LISTEN_", "NOTIFY_", "WATCHDOG_")
PACKAGE: Final = Path(__file__).parents[1]

SETTINGS: Final = """\
listen = ["{listen}"]
upstream = "{upstream}"

[audit]
directory = {audit}

[log]
target = {log}
level = "info"
"""


class Guard:
    """One running guard, from `start` to `stop`."""

    def __init__(self, folder: Path, listen: Address, upstream: Address) -> None:
        self.listen = listen
        self.upstream = upstream
        self.config = folder / "smtpguard.toml"
        self.log = folder / "smtpguard.log"
        self.audit = folder / "audit"
        self._errors = folder / "stderr"
        self._leash = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The guard's process id; 0 before `start`."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """The guard's exit code, None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def ended(self) -> str:
        """How it ended, in words; empty while it runs."""
        code = self.exit_code
        return "" if code is None else f"exit code {code}" if code >= 0 else f"killed by signal {-code}"

    @property
    def dialled(self) -> Address:
        """The address at which this machine reaches the guard."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.listen.host)  # noqa: S104 - compared with
        return Address(loopback, self.listen.port) if loopback else self.listen

    async def start(self) -> None:
        """Start it, and return when it has greeted a client; where that fails nothing of it runs on.

        Raises:
            DemoError: it ended, with what it said, or it did not greet in time.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        audit, log = (written.value_text(str(path)) for path in (self.audit, self.log))
        self.config.write_text(SETTINGS.format(listen=self.listen, upstream=self.upstream, audit=audit, log=log))
        self._spawn()
        with trio.move_on_after(READY_WITHIN):
            while not (self._is_bound and await self._greets()):
                if self.exit_code is not None:
                    raise DemoError(self._said(), self.exit_code if self.exit_code > 0 else 69)
                await trio.sleep(PAUSE)
            return
        slow = f"no greeting through the guard within {READY_WITHIN:g} s; is {self.upstream} slow to greet?"
        raise DemoError(f"{slow}\n{self._said()}", 69)

    def _spawn(self) -> None:
        reading, self._leash = os.pipe()
        # A session of its own: Ctrl-C is for the demo, which then ends the guard.
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "smtpguard", "run", "--config", str(self.config)],
                stdin=reading, stdout=errors, stderr=errors, cwd=self.config.parent, env=_environment(),
                start_new_session=True,
            )  # fmt: skip
        fcntl.fcntl(reading, fcntl.F_SETOWN, self._process.pid)
        fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
        os.close(reading)

    @property
    def _is_bound(self) -> bool:
        """True when the ports are its own: it makes the audit's folder behind that.

        Without this a mail server that has the port would be taken for the guard, while that is still about to say so.
        """
        return (self.audit / "events").is_dir()

    async def _greets(self) -> bool:
        """Tell whether a session begins with 220; QUIT and its reply make sure that UPSTREAM has seen it."""
        try:
            async with await trio.open_tcp_stream(self.dialled.host, self.dialled.port) as stream:
                if not bytes(await stream.receive_some(4096)).startswith(b"220"):
                    return False
                await stream.send_all(b"QUIT\r\n")
                while await stream.receive_some(4096):
                    pass
        except (OSError, trio.BrokenResourceError):
            return False
        return True

    def _said(self) -> str:
        """Return the guard's own words, which name cause and cure."""
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        return (
            self._errors.read_text(errors="replace") + log
        ).strip() or f"the guard ended without a word ({self.ended})"

    async def stop(self) -> None:
        """End it in order, or by force after `GRACE`; a guard that has ended already is fine."""
        if self._process is None or self._leash < 0:
            return
        self._process.terminate()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._wait)
        os.close(self._leash)
        self._leash = -1
        if not self._errors.stat().st_size:
            self._errors.unlink()

    def _wait(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """Return the environment less what speaks to a guard: settings, and systemd's sockets and questions."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ADDRESSED_TO_GUARDS)}
    # The same smtpguard, wherever the demo was started from.
    path = [str(PACKAGE.parent), *filter(None, [kept.get("PYTHONPATH", "")])]
    return kept | {"PYTHONPATH": os.pathsep.join(path)}


def free_address(host: str, port: int) -> Address:
    """Return the address if its port is free, else the same host with a port that is."""
    if not is_taken(Address(host, port)):
        return Address(host, port)
    with socket.create_server((host, 0)) as probe:
        return Address(host, probe.getsockname()[1])


def is_taken(address: Address) -> bool:
    """Tell whether another program has the port; whatever else is wrong with an address, the guard says it better."""
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        socket.create_server((address.host, address.port), family=family).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False

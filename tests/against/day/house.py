"""What stands around the day: Postfix, the guard before it with two listeners, and tcpdump between client and guard.

Postfix here throws away what it has accepted (`discard`): the day is about sessions. Its second port greets a second
late, for the clients that do not wait.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from tests.against.client import RawClient
from tests.against.deadline import free_port, wait_until
from tests.against.guard import Guard
from tests.against.postfix import Postfix
from tests.against.programs import need_root, program

SECOND_LISTENER: Final = """\
[[listener]]
name = "slow"
address = ["127.0.0.1:{port}"]
upstream = ["127.0.0.1:{upstream}"]
"""


class DayPostfix(Postfix):
    """`slow` is the port that greets late."""

    def __init__(self) -> None:
        self.slow = free_port()
        certificate = trustme.CA().issue_cert("localhost")
        super().__init__(9, certificate.private_key_and_cert_chain_pem.bytes())

    def _configure(self, sink: int, certificate: bytes) -> None:
        super()._configure(sink, certificate)
        with (self.folder / "main.cf").open("a") as main:
            main.write("relay_transport = discard:\ndaily = sleep 1, permit\n")
        with (self.folder / "master.cf").open("a") as master:
            master.write(f"127.0.0.1:{self.slow} inet n - n - 200 smtpd\n    -o smtpd_client_restrictions=$daily\n")


class Capture:
    """tcpdump on loopback, of some ports."""

    def __init__(self, file: Path, ports: list[int]) -> None:
        need_root("tcpdump")
        wanted = " or ".join(f"port {port}" for port in ports)
        self._file, self._said = file, file.with_suffix(".tcpdump")
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [
                    program("tcpdump"), "-i", "lo", "-n", "-s", "0", "-B", "65536", "-Z", "root", "-w", str(file),
                    f"tcp and ({wanted})",
                ],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        wait_until(lambda: "listening on" in self._said.read_text(), "tcpdump")

    def close(self) -> str:
        """Stop, and return what it says of itself: packets captured, received, dropped."""
        if self._process.poll() is None:
            self._wait_written()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
        return ", ".join(self._said.read_text().splitlines()[-3:])

    def _wait_written(self) -> None:
        """Return when nothing more comes: what the kernel holds when tcpdump is stopped is lost.

        It hands over once a second at least. (`--immediate-mode` is no way out: its ring has few and large slots.)
        """
        sizes = [-1]

        def still() -> bool:
            sizes.append(self._file.stat().st_size)
            return sizes[-1] == sizes[-2]

        wait_until(still, "the end of the capture", pause=1.5)


@dataclass(frozen=True, slots=True)
class House:
    """All that runs."""

    postfix: DayPostfix
    guard: Guard
    ports: dict[str, int]
    """The listener's name -> its port of 127.0.0.1."""
    stack: ExitStack
    """What is to be stopped, the latest first."""

    def capture(self, file: Path) -> "Capture":
        """Start tcpdump between the clients and the guard."""
        capture = Capture(file, list(self.ports.values()))
        self.stack.callback(capture.close)
        return capture


@contextmanager
def house(out: Path) -> Iterator[House]:
    """Start Postfix and the guard; its audit, log and errors are in `out`."""
    with ExitStack() as stack:
        postfix = DayPostfix()
        stack.callback(postfix.close)
        slow = free_port()
        settings = out / "smtpguard.toml"
        settings.write_text(SECOND_LISTENER.format(port=slow, upstream=postfix.slow))
        guard = Guard(out, postfix.port, flags=("-c", str(settings)))
        stack.callback(lambda: guard.process.poll() is None and guard.stop())
        guard.wait_served()
        with RawClient(slow) as probe:
            probe.reply()
            probe.say(b"QUIT")
        yield House(postfix, guard, {"listener": guard.port, "slow": slow}, stack)

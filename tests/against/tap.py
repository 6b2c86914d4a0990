"""A relay between the guard and its upstream (or a client and it) that keeps every octet of both directions.

It is blind: no octet is read as SMTP, a half-close is handed on. `spoil_down` may change the replies that go
by; that is for the test which shows that the comparison can fail.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.against.deadline import wait_until


@dataclass(slots=True)
class Recording:
    """One connection: what UPSTREAM was sent, and what it said."""

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)
    up_ended: threading.Event = field(default_factory=threading.Event)
    down_ended: threading.Event = field(default_factory=threading.Event)
    reset: bool = False
    """The side that dialled us left by RST."""

    @property
    def ended(self) -> bool:
        """True when both directions are over."""
        return self.up_ended.is_set() and self.down_ended.is_set()


def unspoilt(octets: bytes) -> bytes:
    """Hand on as it is."""
    return octets


class Tap:
    """The relay: dials `upstream` of 127.0.0.1 for each connection to `port`."""

    def __init__(self, upstream: int, spoil_down: Callable[[bytes], bytes] = unspoilt, port: int = 0) -> None:
        self.upstream = upstream
        self.recordings: list[Recording] = []
        self._spoil_down = spoil_down
        self._listener = socket.create_server(("127.0.0.1", port), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="tap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop taking connections; those at hand run to their end."""
        # close() alone does not wake a thread that stands in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def since(self, mark: int) -> list[Recording]:
        """Return the connections behind the first `mark` ones."""
        return self.recordings[mark:]

    def only_since(self, mark: int) -> Recording:
        """Return the one connection behind the first `mark` ones, when it is over."""
        (recording,) = wait_until(lambda: self.recordings[mark:], "a connection at the tap")
        wait_until(lambda: recording.ended, "end of the connection at the tap")
        return recording

    def of(self, opening: bytes) -> Recording:
        """Return the one connection in which UPSTREAM was sent `opening` first, when it is over."""
        (recording,) = wait_until(
            lambda: [one for one in self.recordings if one.up.startswith(opening)], f"{opening!r} at the tap"
        )
        wait_until(lambda: recording.ended, "end of the connection at the tap")
        return recording

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            recording = Recording()
            self.recordings.append(recording)
            threading.Thread(target=self._relay, args=(near, recording), daemon=True).start()

    def _relay(self, near: socket.socket, recording: Recording) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.upstream), timeout=10)
        except OSError:
            near.close()
            recording.up_ended.set()
            recording.down_ended.set()
            return
        far.settimeout(None)
        for leg in (near, far):
            leg.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pump, args=(far, near, recording.down, self._spoil_down), daemon=True)
        back.start()
        recording.reset = self._pump(near, far, recording.up, unspoilt)
        recording.up_ended.set()
        back.join()
        recording.down_ended.set()
        near.close()
        far.close()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, kept: bytearray, spoil: Callable[[bytes], bytes]) -> bool:
        """Carry one direction; True if it ended by RST, which the other side sees as an end without QUIT."""
        try:
            while octets := source.recv(262144):
                kept += octets
                target.sendall(spoil(octets))
            target.shutdown(socket.SHUT_WR)
        except ConnectionResetError:
            _shut(target)
            return True
        except OSError:
            _shut(source)
        return False


def _shut(leg: socket.socket) -> None:
    try:
        leg.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is over already

"""A packet capture -> the SMTP connections in it, in one pass, with memory that does not grow with the file.

    files        pcap and pcapng -> frames
    layers       a frame -> the TCP segment in it
    connections  segments -> connections
    reassembly   the segments of one connection -> what its two sides said, in order

`Capture.said` yields what all connections say as it comes; what could not be read is told by `Capture.warnings`
afterwards. A capture in which nothing can be read at all, or no connection of the ports asked for, is a `CaptureError`
with its exit code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from smtpguard.evidence.capture.connections import Connections, Said, Talk
from smtpguard.evidence.capture.files import CaptureFile, NoCaptureError, is_capture
from smtpguard.evidence.capture.layers import Layers
from smtpguard.evidence.capture.reassembly import Segment

__all__ = ["BAD_INPUT", "IO_ERROR", "NO_INPUT", "PORTS", "Capture", "CaptureError", "Said", "Talk", "is_capture"]

PORTS: Final = frozenset({25, 587})
"""Where mail is sent and submitted (RFC 5321 §4.5.4.2, RFC 6409 §3.1)."""

BAD_INPUT: Final = 65
"""EX_DATAERR of sysexits.h: the file is not what it should be."""

NO_INPUT: Final = 66
"""EX_NOINPUT: nothing in it is what was asked for."""

IO_ERROR: Final = 74
"""EX_IOERR: it cannot be read."""

_PORTS_SHOWN: Final = 8


class CaptureError(Exception):
    """Nothing can be made of the capture; the text says why, and what to do.

    Attributes:
        code: the exit code, 65, 66 or 74.
    """

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Capture:
    """One capture file.

    Args:
        path: the file.
        ports: the ports of UPSTREAM's side.
    """

    def __init__(self, path: Path, ports: frozenset[int] = PORTS) -> None:
        self.path = path
        self.packets = 0
        """Frames read."""
        self.first: float | None = None
        """When the first frame was captured."""
        self.last = 0.0
        self.cut = ""
        """Why reading ended before the end of the file."""
        self._ports = ports
        self.layers = Layers(ports)
        self.connections = Connections(ports)

    def said(self) -> Iterator[Said]:
        """Yield what the connections say.

        Raises:
            CaptureError: the file is no capture (65), of a link type that is not known (65), has no connection of the
                ports (66), or cannot be read (74).
        """
        try:
            with CaptureFile(self.path) as file:
                yield from self.connections.follow(self._segments(file))
                self.cut = file.cut
                links = file.links
        except NoCaptureError as error:
            raise CaptureError(f"{self.path}: no packet capture: {error}", BAD_INPUT) from None
        except OSError as error:
            raise CaptureError(f"{self.path}: cannot be read: {error.strerror or error}", IO_ERROR) from error
        self.layers.end()
        if not self.connections.count:
            raise self._nothing(links)

    def _segments(self, file: CaptureFile) -> Iterator[Segment]:
        segment_of = self.layers.segment
        for frame in file:
            self.packets += 1
            if self.first is None:
                self.first = frame.at
            self.last = frame.at
            segment = segment_of(frame)
            if segment is not None:
                yield segment

    def _nothing(self, links: set[int]) -> CaptureError:
        known = self.packets - self.layers.unknown.total()
        if self.layers.unknown and not known:
            named = ", ".join(map(str, sorted(links)))
            return CaptureError(
                f"{self.path}: link type {named} is not known; capture on an Ethernet, loopback or `any` interface",
                BAD_INPUT,
            )
        cut = f" ({self.cut})" if self.cut else ""
        if not self.packets:
            return CaptureError(f"{self.path}: no packet in this capture{cut}", NO_INPUT)
        wanted = _and(sorted(self._ports))
        return CaptureError(
            f"{self.path}: no TCP connection to port {wanted} among {self.packets} packets{cut}; {self._elsewhere()}",
            NO_INPUT,
        )

    def _elsewhere(self) -> str:
        seen = self.layers.elsewhere.most_common(_PORTS_SHOWN)
        if not seen:
            return "there is no TCP in it at all" if not self.layers.unreadable else "it holds damaged packets only"
        ports = ", ".join(f"{port} ({count})" for port, count in seen)
        return f"ports with their packets: {ports}; name one with --port"

    def warnings(self) -> Iterator[str]:
        """Yield what could not be read, a sentence each; the result stands."""
        layers, connections = self.layers, self.connections
        if self.cut:
            yield f"{self.path}: {self.cut}; what stands before is judged"
        for count, what in (
            (layers.unreadable, "damaged, or cut inside its headers"),
            (layers.unknown.total(), f"of a link type that is not known ({_and(sorted(layers.unknown))})"),
            (layers.unfinished, "in fragments, of which some were not captured"),
        ):
            if count:
                yield f"{self.path}: {_counted(count, 'packet')} left out: {what}"
        if connections.for_want_of_room:
            yield (
                f"{self.path}: {_counted(connections.for_want_of_room, 'connection')} given up, since too many were "
                "open at once"
            )


def _and(numbers: list[int]) -> str:
    *most, last = map(str, numbers or [0])
    return f"{', '.join(most)} or {last}" if most else last


def _counted(count: int, what: str) -> str:
    return f"1 {what} is" if count == 1 else f"{count} {what}s are"

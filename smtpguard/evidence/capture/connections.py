"""The connections of a capture, all at once: which segment belongs to which, who is CLIENT, what each one says.

UPSTREAM's side is the one whose port is among those asked for; where both are, the one that was sent the SYN. A SYN
that is no repetition ends the connection before it on the same ports and begins another. Segments of a connection that
ended (late acknowledgements, repeated FINs) begin none.

Memory is bounded, whatever the capture is: finished connections are freed at once, idle ones after two hours of the
capture's time (twice `timeouts.session`), and beyond `OPEN_MAX` the one that was silent longest makes room. What waits
behind gaps is bounded for each connection and for all together. `Connections` counts what was cut short by this.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from smtpguard.evidence.capture.reassembly import ACK, RST, SYN, Connection, Hole, Item, Over, Segment
from smtpguard.smtp import Side

IDLE: Final = 2 * 3600.0
"""Seconds of the capture without a packet; a session of smtpguard's has ended by then."""

OPEN_MAX: Final = 8192
"""Connections followed at once; each takes some 6 KiB with the judge that listens."""

WAITING_MAX: Final = 32 * 1024 * 1024
"""Octets that wait behind gaps, of all connections together."""

FINISHED_KEPT: Final = 16384
"""Ended connections whose late segments are known for what they are."""

_SWEEP: Final = 1024
"""Segments between two looks for idle connections."""

_Key = tuple[bytes, int, bytes, int]


class Talk:
    """One connection, and who is at its ends."""

    __slots__ = ("began", "connection", "ended", "hole", "key", "number", "seen")

    def __init__(self, number: int, key: _Key, began: float) -> None:
        self.number = number
        """In the capture, from 1."""
        self.key = key
        """Address and port of CLIENT, address and port of UPSTREAM."""
        self.began = began
        self.seen = began
        self.connection = Connection()
        self.hole: Hole | None = None
        self.ended = ""
        """`fin`, `reset`, or why nothing more is known: `idle`, `room`, `reuse`, `end of capture`."""

    @property
    def from_its_start(self) -> bool:
        """True if its SYN was captured."""
        return bool(self.connection.from_its_start)

    def skip(self) -> None:
        """Want no more of its octets: they are opaque, or behind the end of the session."""
        self.connection.skip()


class Said(NamedTuple):
    """What a connection says next."""

    talk: Talk
    item: Item


class Connections:
    """Sorts segments into connections.

    Args:
        ports: the ports of UPSTREAM's side.
    """

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._open: OrderedDict[_Key, Talk] = OrderedDict()
        # Connections that ended; True: to make room.
        self._finished: OrderedDict[_Key, bool] = OrderedDict()
        self._waiting = 0
        self._segments = 0
        self.count = 0
        """Connections so far."""
        self.for_want_of_room = 0
        """Connections that were given up because too many were open."""

    def follow(self, segments: Iterable[Segment]) -> Iterator[Said]:
        """Yield what all connections say, in the order of the capture, and at last the end of those still open."""
        for segment in segments:
            said = self._take(segment)
            if said:
                yield from said
        while self._open:
            yield from self._close(next(iter(self._open.values())), "end of capture")

    def _take(self, segment: Segment) -> Sequence[Said]:
        key, side = self._sides(segment)
        talk = self._open.get(key)
        said: list[Said] = []
        self._segments += 1
        if self._segments % _SWEEP == 0:
            said += self._sweep(segment.at)
        if segment.flags & SYN and talk is not None and talk.connection.restarts(side, segment):
            said += self._close(talk, "reuse")
            talk = None
        if talk is None:
            if not self._begins(key, segment):
                return said
            talk = self._begin(key, segment.at)
            said += self._make_room()
        self._open.move_to_end(key)
        talk.seen = segment.at
        items = self._connection_takes(talk.connection, side, segment)
        # Nearly always there is nothing, or one thing.
        return [*said, *self._hand_on(talk, items)] if said or items else said

    def _begins(self, key: _Key, segment: Segment) -> bool:
        """Tell whether a segment is the first of a connection that we know of."""
        if segment.flags & SYN:
            # The answer to the SYN of one that had to make room begins none.
            return not segment.flags & ACK or not self._finished.get(key, False)
        return bool(segment.payload) and key not in self._finished

    def _connection_takes(self, connection: Connection, side: Side, segment: Segment) -> Sequence[Item]:
        before = connection.waiting_octets
        items = connection.take(side, segment)
        if connection.waiting_octets != before:
            self._waiting += connection.waiting_octets - before
            if self._waiting > WAITING_MAX:
                before = connection.waiting_octets
                items = [*items, *connection.give_up("too much waits, of all connections together")]
                self._waiting += connection.waiting_octets - before
        return items

    def _hand_on(self, talk: Talk, items: Iterable[Item]) -> list[Said]:
        said = []
        for item in items:
            if isinstance(item, Hole):
                talk.hole = item
            elif isinstance(item, Over):
                self._forget(talk, "fin" if item.reset is None else "reset")
            said.append(Said(talk, item))
        return said

    def _begin(self, key: _Key, at: float) -> Talk:
        self.count += 1
        self._finished.pop(key, None)
        talk = self._open[key] = Talk(self.count, key, at)
        return talk

    def _make_room(self) -> list[Said]:
        if len(self._open) <= OPEN_MAX:
            return []
        self.for_want_of_room += 1
        return self._close(next(iter(self._open.values())), "room")

    def _sweep(self, now: float) -> Iterator[Said]:
        """End what was idle too long; who was heard last stands last."""
        while self._open and (oldest := next(iter(self._open.values()))).seen < now - IDLE:
            yield from self._close(oldest, "idle")

    def _close(self, talk: Talk, why: str) -> list[Said]:
        """End a connection whose end was not captured."""
        talk.ended = why
        self._waiting -= talk.connection.waiting_octets
        return self._hand_on(talk, talk.connection.end(talk.seen))

    def _forget(self, talk: Talk, why: str) -> None:
        talk.ended = talk.ended or why
        del self._open[talk.key]
        self._finished[talk.key] = talk.ended == "room"
        if len(self._finished) > FINISHED_KEPT:
            self._finished.popitem(last=False)

    def _sides(self, segment: Segment) -> tuple[_Key, Side]:
        _, source, source_port, destination, destination_port, _, _, flags, _, _ = segment
        up = (source, source_port, destination, destination_port)
        if destination_port not in self._ports:
            return (destination, destination_port, source, source_port), Side.UPSTREAM
        if source_port not in self._ports:
            return up, Side.CLIENT
        down = (destination, destination_port, source, source_port)
        if down in self._open or (up not in self._open and flags & (SYN | ACK | RST) == SYN | ACK):
            return down, Side.UPSTREAM
        return up, Side.CLIENT

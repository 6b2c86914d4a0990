"""One side of a TCP connection that is put together again: what was delivered, what waits, what is known to exist.

Offsets count the side's octets from 0; a sequence number is the offset nearest to what comes next of all that fit it,
so the 32 bits may go round. See `reassembly`, which decides when what waits is due.
"""

from bisect import insort
from collections.abc import Iterator
from typing import Final, NamedTuple

TAIL: Final = 4096
"""Octets delivered last that second copies are compared to."""

_ROUND: Final = 1 << 32
_HALF: Final = 1 << 31


class Waiting(NamedTuple):
    start: int
    end: int
    payload: bytes
    needs: int
    """Octets of the other side that its sender had received."""


class Flow:
    """What one side says. Offsets count its octets from 0, and go on past 2^32."""

    __slots__ = ("acked", "base", "certain", "fin", "next", "seen", "shut", "tail", "waiting", "waiting_octets")

    def __init__(self) -> None:
        self.base: int | None = None
        """Sequence number of the first octet."""
        self.certain = False
        """The base is known from a SYN."""
        self.next = 0
        """Octets delivered."""
        self.acked = 0
        self.seen = 0
        """End of the farthest octet that was captured, or cut off by the snapshot length."""
        self.fin: int | None = None
        """Octets said in all."""
        self.shut = False
        self.waiting: list[Waiting] = []
        self.waiting_octets = 0
        self.tail: list[tuple[int, bytes]] = []

    def begins(self, seq: int, *, certain: bool) -> None:
        """Fix the first octet, as long as none was delivered; what was acknowledged is counted from it."""
        if self.base is None:
            self.base, self.certain = seq % _ROUND, certain
        elif not self.certain and not self.next and not self.waiting:
            earlier = max(-self.offset(seq), 0)
            self.base, self.certain = (self.base - earlier) % _ROUND, certain
            self.acked += earlier

    def offset(self, seq: int) -> int:
        """Return the offset of a sequence number: of all that fit, the one nearest to what comes next."""
        assert self.base is not None
        distance = (seq - self.base - self.next) % _ROUND
        return self.next + (distance - _ROUND if distance >= _HALF else distance)

    @property
    def gap(self) -> bool:
        """True if the other side acknowledged octets that were not captured."""
        return (self.acked if self.fin is None else min(self.acked, self.fin)) > self.next

    @property
    def end(self) -> int:
        """Return the end of the farthest octet that is known to exist."""
        return max(self.seen, self.acked) if self.fin is None else self.fin

    @property
    def closing(self) -> bool:
        """True if its FIN came before octets that it stands behind."""
        return self.fin is not None and not self.shut

    def put(self, one: Waiting) -> None:
        insort(self.waiting, one)
        self.waiting_octets += len(one.payload)

    def pop(self) -> Waiting:
        one = self.waiting.pop(0)
        self.waiting_octets -= len(one.payload)
        return one

    def remember(self, start: int, payload: bytes) -> None:
        self.tail.append((start, payload))
        while len(self.tail) > 1 and self.next - self.tail[0][0] > TAIL:
            del self.tail[0]
        if len(payload) > TAIL:
            self.tail = [(self.next - TAIL, payload[-TAIL:])]

    def differs(self, start: int, payload: bytes) -> bool:
        """Tell whether a second copy is not what was delivered, or waits, as far as that is remembered."""
        copies = [*self.tail, *((one.start, one.payload) for one in self.waiting)]
        for at, first in copies:
            begin, end = max(start, at), min(start + len(payload), at + len(first))
            if begin < end and payload[begin - start : end - start] != first[begin - at : end - at]:
                return True
        return False

    def drop(self) -> None:
        self.waiting.clear()
        self.waiting_octets = 0
        self.tail.clear()

    def said(self, needs: int) -> int:
        """Return how many octets an acknowledgement asks for: the FIN that it counts is none."""
        return needs if self.fin is None else min(needs, self.fin)

    def new(self, one: Waiting) -> Iterator[Waiting]:
        """Yield the parts of a segment that neither were delivered nor wait already."""
        at = max(one.start, self.next)
        for first in self.waiting:
            if first.end <= at or first.start >= one.end:
                continue
            if first.start > at:
                yield _part(one, at, first.start)
            at = first.end
        if at < one.end:
            yield _part(one, at, one.end)


def _part(one: Waiting, start: int, end: int) -> Waiting:
    return Waiting(start, end, one.payload[start - one.start : end - one.start], one.needs)

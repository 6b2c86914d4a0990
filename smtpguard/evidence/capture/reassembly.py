"""One TCP connection put together again from captured segments (RFC 9293), sans-IO.

Segments go in as they were captured; out come `Piece`s, the octets of one side each, in an order in which they can have
been sent, then `Shut` and `Over`. A `Hole` says that octets are missing; nothing comes behind it but `Over`, because
what stands behind a hole cannot be judged as if it were whole.

**What is delivered when.** Octets come out once, at the moment when all octets of their side before them are there:
that is when the receiver's TCP could hand them on. Retransmissions are dropped; where a second copy differs from the
first, the first counts and `conflicting` says so. A keep-alive probe, one octet before what comes next, is neither.
Sequence numbers are counted on past 2^32. SYN, data in a SYN, FIN and RST of both sides in any order are understood;
port reuse is for the caller, who begins a new `Connection` at a SYN that `restarts`.

**Causal order.** A segment acknowledges what its sender had received, so it is held until that much of the other side
has come out. That puts right what a capture with several queues wrote down in the wrong order. Where nothing is
acknowledged, the order is that of the capture, taken where it was taken: at smtpguard's own host, and on a loopback
interface, that is the order in which octets came to that host and left it, and so what smtpguard saw. Taken elsewhere
it is not: near CLIENT a command may be captured before a reply that was under way, near UPSTREAM behind it. A capture
proves that a command was sent before a reply was *received* (its acknowledgement says so), but not that it arrived
before the reply was *sent*.

**Holes.** A hole is declared where the other side acknowledged octets that were never captured (after 64 more packets
of the connection or two seconds of its time, since a capture may be out of order), where more than 256 KiB wait behind
a gap, and where a connection ends with a gap open. Octets that the snapshot length cut off are a gap like any other.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from smtpguard.evidence.capture.flow import Flow, Waiting
from smtpguard.evidence.judge.pieces import Piece
from smtpguard.smtp import Side

WAITING_MAX: Final = 256 * 1024
"""Octets of one side that wait behind a gap; a receiver's window is rarely larger."""

SEGMENTS_MAX: Final = 2048
"""Segments of one side that wait behind a gap."""

GRACE_PACKETS: Final = 64
"""Packets of a connection in which octets may come that were acknowledged already."""

GRACE_SECONDS: Final = 2.0

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10


class Segment(NamedTuple):
    """One captured segment."""

    at: float
    """Seconds, by the clock of the capturing machine."""
    source: bytes
    """Address, 4 or 16 octets."""
    source_port: int
    destination: bytes
    destination_port: int
    seq: int
    ack: int
    flags: int
    payload: bytes = b""
    missing: int = 0
    """Octets of the payload's end that the snapshot length cut off."""


class Hole(NamedTuple):
    """Octets of one side that nobody captured."""

    at: float
    side: Side
    offset: int
    """Octets of this side before the hole."""
    octets: int
    why: str

    def __str__(self) -> str:
        return f"hole of {self.octets} octets at {self.offset} from {self.side.name}: {self.why}"


class Shut(NamedTuple):
    """A side said its last octet (FIN)."""

    at: float
    side: Side


class Over(NamedTuple):
    """The connection is no more: both sides shut, or a reset."""

    at: float
    reset: Side | None
    """Who reset it."""


Item = Piece | Hole | Shut | Over


_NOTHING: Final[Sequence[Item]] = ()


class Connection:
    """One connection, from its SYN or from the first segment that was captured."""

    __slots__ = (
        "_at", "_calm", "_client", "_packets", "_stuck", "_upstream", "broken", "conflicting", "from_its_start", "over",
        "waiting_octets",
    )  # fmt: skip

    def __init__(self) -> None:
        self._client, self._upstream = Flow(), Flow()
        self._at = 0.0
        self._packets = 0
        self._stuck: tuple[int, float] | None = None
        """Packets and time when octets that were acknowledged began to be missing."""
        self.from_its_start: bool | None = None
        """The first segment was a SYN; None before it."""
        self.conflicting = 0
        """Second copies that differed from the first."""
        self._calm = True
        """Nothing waits, and nothing is missing."""
        self.waiting_octets = 0
        """Octets that wait behind a gap, of both sides."""
        self.broken = False
        """A hole was declared, or the caller wants no more."""
        self.over = False

    def restarts(self, side: Side, segment: Segment) -> bool:
        """Tell whether a segment begins another connection between the same ports."""
        if not segment.flags & SYN or segment.flags & (ACK | RST):
            return False
        flow = self._flow(side)
        return flow.base is not None and flow.offset(segment.seq + 1) != 0

    def skip(self) -> None:
        """Want no more octets: from now on only the end is looked for."""
        self.broken = True
        self.waiting_octets = 0
        self._client.drop()
        self._upstream.drop()

    def take(self, side: Side, segment: Segment) -> Sequence[Item]:
        """Take one segment, and return what is due.

        The segment may be of any time, but those of one connection come in the order of the capture.
        """
        at, _, _, _, _, seq, ack, flags, payload, missing = segment
        self._at = max(at, self._at)
        self._packets += 1
        flow, other = (self._client, self._upstream) if side is Side.CLIENT else (self._upstream, self._client)
        if self.from_its_start is None:
            self.from_its_start = bool(flags & SYN)
        if flags & SYN:
            flow.begins(seq + 1, certain=True)
            seq += 1
        elif flow.base is None or (payload and not flow.certain and flow.next == 0 and flow.offset(seq) < 0):
            flow.begins(seq, certain=False)
        needs = 0
        if flags & ACK:
            if other.base is None:
                other.begins(ack, certain=False)
            needs = other.offset(ack)
            other.acked = max(other.acked, needs)
        if self.broken:
            return self._watch(side, flags)
        start = flow.offset(seq)
        # The fast path, for nearly every segment: what comes next or nothing at all, and nothing is missing.
        if self._calm and needs <= other.next and not flags & (FIN | RST) and not missing:
            if not payload:
                return _NOTHING
            if start == flow.next:
                return (self._deliver(self._at, side, flow, start, payload),)
        items = self._slowly(side, segment, start, needs)
        self.waiting_octets = self._client.waiting_octets + self._upstream.waiting_octets
        self._calm = not (self.waiting_octets or self._stuck or self._client.closing or self._upstream.closing)
        return items

    def _slowly(self, side: Side, segment: Segment, start: int, needs: int) -> list[Item]:
        flags, payload = segment.flags, segment.payload
        flow, other = self._both(side)
        end = start + len(payload) + segment.missing
        if payload or segment.missing:
            flow.seen = max(flow.seen, end)
            self._put(flow, Waiting(start, start + len(payload), payload, other.said(needs)))
        if flags & FIN and flow.fin is None:
            flow.fin = end
        items = list(self._due())
        if flags & RST:
            return [*items, *self.end(self._at, reset=side)]
        if flow.waiting_octets > WAITING_MAX or len(flow.waiting) > SEGMENTS_MAX:
            return [*items, self._hole("too much waits behind it")]
        return [*items, *self._overdue(self._at)]

    def _put(self, flow: Flow, one: Waiting) -> None:
        """Let octets wait for their turn, less those that were there before."""
        # A keep-alive probe (RFC 9293 §3.8.4) repeats the octet before the next, and may have anything in it.
        probe = one.end - one.start == 1 and one.end == flow.next
        if not probe and one.start < max(flow.seen, flow.next) and flow.differs(one.start, one.payload):
            self.conflicting += 1
        for piece in flow.new(one):
            flow.put(piece)

    def _due(self) -> Iterator[Item]:
        """Yield what is due, of either side, until nothing more is."""
        moved = True
        while moved and not self.over:
            moved = False
            for side in (Side.CLIENT, Side.UPSTREAM):
                flow, other = self._both(side)
                while flow.waiting and flow.waiting[0].start <= flow.next and flow.waiting[0].needs <= other.next:
                    one = flow.pop()
                    yield self._deliver(self._at, side, flow, one.start, one.payload)
                    moved = True
                if flow.fin is not None and flow.next >= flow.fin and not flow.shut:
                    flow.shut = moved = True
                    yield Shut(self._at, side)
        if self._client.shut and self._upstream.shut and not self.over:
            self.over = True
            yield Over(self._at, None)

    def _deliver(self, at: float, side: Side, flow: Flow, start: int, payload: bytes) -> Piece:
        flow.next = start + len(payload)
        flow.seen = max(flow.seen, flow.next)
        flow.remember(start, payload)
        return Piece(at, side, payload)

    def _overdue(self, at: float) -> list[Item]:
        """Declare the hole whose octets were acknowledged, when they have had the time to come."""
        if self.over or not (self._client.gap or self._upstream.gap):
            self._stuck = None
            return []
        if self._stuck is None:
            self._stuck = self._packets, at
        since, began = self._stuck
        if self._packets - since < GRACE_PACKETS and at - began < GRACE_SECONDS:
            return []
        return [self._hole("received by the other side, but not captured")]

    def _gap(self) -> Side | None:
        """Return the side whose octets everything waits for."""
        for side in (Side.CLIENT, Side.UPSTREAM):
            flow = self._flow(side)
            if flow.waiting[0].start > flow.next if flow.waiting else flow.end > flow.next:
                return side
        return None

    def _hole(self, why: str) -> Hole:
        # Two sides that each acknowledge what the other has not said are no TCP; then there is no gap to be named.
        side = self._gap() or Side.CLIENT
        flow = self._flow(side)
        upto = flow.waiting[0].start if flow.waiting else flow.end
        hole = Hole(self._at, side, flow.next, upto - flow.next, why)
        self.skip()
        return hole

    def give_up(self, why: str) -> list[Item]:
        """Wait no more for what is missing."""
        return [] if self.broken or not self.waiting_octets else [self._hole(why)]

    def end(self, at: float, *, reset: Side | None = None) -> list[Item]:
        """End the connection, or what the capture holds of it: what waits is behind a hole now."""
        if self.over:
            return []
        self._at = max(at, self._at)
        items: list[Item] = []
        if not self.broken and (self.waiting_octets or self._gap() is not None):
            items.append(self._hole("the connection ended before it was filled"))
        self.over = True
        return [*items, Over(self._at, reset)]

    def _watch(self, side: Side, flags: int) -> list[Item]:
        """Look for the end of a connection whose octets nobody wants."""
        if flags & FIN:
            self._flow(side).shut = True
        if not flags & RST and not (self._client.shut and self._upstream.shut):
            return []
        self.over = True
        return [Over(self._at, side if flags & RST else None)]

    def _flow(self, side: Side) -> Flow:
        return self._client if side is Side.CLIENT else self._upstream

    def _both(self, side: Side) -> tuple[Flow, Flow]:
        return (self._client, self._upstream) if side is Side.CLIENT else (self._upstream, self._client)

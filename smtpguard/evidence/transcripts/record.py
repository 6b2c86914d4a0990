"""A transcript -> the record that is judged, and the way back from an octet of CLIENT to its line.

Where the form tells the order of the wire, lines go into pieces as they stand. Other forms print a line when they
please; so lines of CLIENT with nothing between them are no evidence that it did not wait. There each line waits for
the reply to the one before, as an honest client would, but for RCPT and DATA behind MAIL or RCPT where PIPELINING was
offered: to send those at once is lawful, and what was refused among them has consequences (RFC 2920 §3.1). Who wrote
the text while answering line by line cannot tell whether they were; a doubt is a consequence, so there they are taken
for sent at once.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from smtpguard.evidence.judge.pieces import Ended, Item, Lost, Piece, TlsUp
from smtpguard.evidence.transcripts.dialogue import Part, Said
from smtpguard.evidence.transcripts.reading import Transcript
from smtpguard.smtp import Side, Verb, keywords

_GROUP: Final = frozenset({Verb.MAIL, Verb.RCPT})
_BEHIND_GROUP: Final = frozenset({Verb.RCPT, Verb.DATA, Verb.BDAT})
_UNDECIDED: Final = b"BURL [REDACTED]"
"""Whether it was the last one is redacted, too, and with it the state that it leaves."""

_OWES: Final = frozenset({Part.COMMAND, Part.SASL, Part.DOT})


@dataclass(slots=True)
class Recorded:
    """The record of a transcript."""

    items: list[Item] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """The line of the text in which each item begins."""
    unsent: int = 0
    """Lines of CLIENT that were left waiting: the text holds no reply to the line before them."""
    _starts: list[int] = field(default_factory=list)
    _lines: list[Said] = field(default_factory=list)
    _octets: int = 0

    def line_at(self, octet: int) -> Said | None:
        """Return the line in which an octet of CLIENT stands, the last one for what lies behind all."""
        return self._lines[bisect_right(self._starts, octet) - 1] if self._lines else None

    def send(self, lines: list[Said]) -> None:
        """Add lines of CLIENT that are read at once."""
        for one in lines:
            self._starts.append(self._octets)
            self._lines.append(one)
            self._octets += len(one.octets)
        self.items.append(Piece(0.0, Side.CLIENT, b"".join(one.octets for one in lines)))
        self.places.append(lines[0].place)
        if any(one.octets.upper().startswith(_UNDECIDED) for one in lines):
            self.items.append(Lost(0.0, Side.CLIENT))
            self.places.append(lines[0].place)

    def hear(self, lines: list[Said]) -> None:
        """Add a reply, or what happens."""
        self.items.append(_item(lines))
        self.places.append(lines[0].place)


def record(transcript: Transcript) -> Recorded:
    """Cut a transcript into pieces."""
    made = Recorded()
    if transcript.form.timed:
        _as_it_stands(made, transcript)
    else:
        _Patience(made).play(transcript)
    return made


def _as_it_stands(made: Recorded, transcript: Transcript) -> None:
    for lines in _packets(transcript.said):
        if lines[0].side is Side.CLIENT and lines[0].octets:
            made.send(lines)
        else:
            made.hear(lines)


def _packets(said: tuple[Said, ...]) -> Iterator[list[Said]]:
    """Yield lines that belong together: those of one packet, the lines of one reply, others alone."""
    packet: list[Said] = []
    for one in said:
        if packet and not _belongs(packet[-1], one):
            yield packet
            packet = []
        packet.append(one)
    if packet:
        yield packet


def _belongs(before: Said, one: Said) -> bool:
    if one.side is not before.side or not one.octets or not before.octets:
        return False
    if one.side is Side.UPSTREAM:
        return before.octets[3:4] == b"-"
    return one.piece != 0 and one.piece == before.piece


def _item(lines: list[Said]) -> Item:
    first = lines[0]
    if first.part is Part.TLS:
        return TlsUp(0.0)
    if first.part is Part.LEFT:
        return Ended(0.0, first.side)
    return Piece(0.0, first.side, b"".join(one.octets for one in lines))


def _doubted(packets: list[list[Said]]) -> Iterator[list[Said]]:
    """Put what may have been sent behind MAIL or RCPT at once before the replies to them.

    Where PIPELINING was not offered it waits for them all the same.
    """
    replies: list[list[Said]] = []
    for lines, behind in zip(packets, [*packets[1:], []], strict=True):
        follows = bool(behind) and behind[0].part is Part.COMMAND and behind[0].verb in _BEHIND_GROUP
        if lines[0].part is Part.REPLY and lines[0].verb in _GROUP and follows:
            replies.append(lines)
        elif lines[0].part is Part.COMMAND and replies:
            yield lines
            if lines[0].verb not in _GROUP:
                yield from replies
                replies = []
        else:
            yield from replies
            replies = []
            yield lines
    yield from replies


class _Patience:
    """Lets each line of CLIENT wait for the reply to the one before."""

    def __init__(self, made: Recorded) -> None:
        self._made = made
        self._waiting: deque[Said] = deque()
        self._owed: list[Said | None] = []
        self._pipelining = False
        self._greeted = False

    def play(self, transcript: Transcript) -> None:
        """Go through a whole transcript."""
        first = next((one for one in transcript.said if one.part is Part.REPLY), None)
        if first is not None and first.verb is Verb.GREETING:
            self._owed.append(None)
        packets = list(_packets(transcript.said))
        for lines in _doubted(packets) if transcript.form.at_server else packets:
            if lines[0].part is Part.REPLY:
                self._hear(lines)
            elif lines[0].octets:
                self._waiting += lines
            else:
                self._send_what_may()
                self._made.hear(lines)
            self._send_what_may()
        self._made.unsent = sum(one.part in _OWES for one in self._waiting)

    def _hear(self, lines: list[Said]) -> None:
        self._made.hear(lines)
        raw = b"".join(one.octets for one in lines)
        asked = self._owed.pop(0) if self._owed else None
        if asked is not None and asked.verb in (Verb.EHLO, Verb.HELO) and raw.startswith(b"250"):
            self._pipelining = b"PIPELINING" in keywords(raw)

    def _send_what_may(self) -> None:
        while self._waiting and self._may_go(self._waiting[0]):
            line = self._waiting.popleft()
            self._made.send([line])
            if line.part in _OWES:
                self._owed.append(line)

    def _may_go(self, line: Said) -> bool:
        if not self._owed:
            return True
        if line.part is Part.CHUNK:
            return self._owed[-1] is not None and self._owed[-1].verb is Verb.BDAT
        grouped = all(one is not None and one.verb in _GROUP for one in self._owed)
        return self._pipelining and grouped and line.part is Part.COMMAND and line.verb in _BEHIND_GROUP

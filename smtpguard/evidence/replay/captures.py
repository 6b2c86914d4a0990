"""The sessions of a capture, each ruled on twice while the capture is read.

A connection whose judges have heard enough, for it went opaque or its session is over, is followed no further. What is
said of a session besides its findings is how far it was judged, and where its hole is.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from smtpguard.evidence.capture.capture import Capture, Said, Talk
from smtpguard.evidence.capture.reassembly import Hole, Item, Over, Shut
from smtpguard.evidence.judge.judge import Judge, Judged
from smtpguard.evidence.judge.pieces import Ended, Lost, Piece
from smtpguard.evidence.judge.pieces import Item as Heard
from smtpguard.evidence.replay.replay import Court, Played, Seen


class CaptureSessions:
    """Plays a capture's sessions to the engine.

    Args:
        capture: the file.
        court: both sets of rules.
        listener: whose rules these are.
    """

    def __init__(self, capture: Capture, court: Court, listener: str = "") -> None:
        self._capture = capture
        self._court = court
        self._listener = listener
        self._judges: dict[int, tuple[Judge, ...]] = {}

    def __iter__(self) -> Iterator[Played]:
        """Yield each session that said something, when its connection is over.

        Raises:
            CaptureError: nothing can be made of the capture.
        """
        judges = self._judges
        for said in self._capture.said():
            talk, item = said
            listening = judges.get(talk.number)
            if listening is None and isinstance(item, Piece | Hole):
                listening = judges[talk.number] = self._court.judges(start=talk.from_its_start)
            if listening is None:
                # A connection on which nothing was said.
                continue
            if isinstance(item, Piece):
                for judge in listening:
                    judge.take(item)
                if listening[0].over and listening[-1].over:
                    talk.skip()
            else:
                yield from self._end(said)

    def _end(self, said: Said) -> Iterator[Played]:
        """Tell the judges of a hole or an end; sum up at the last one."""
        talk, item = said
        judges = self._judges[talk.number]
        heard = _heard(item)
        if heard is not None:
            for judge in judges:
                judge.take(heard)
        if isinstance(item, Over):
            del self._judges[talk.number]
            yield self._played(talk, [judge.end() for judge in judges])

    def _played(self, talk: Talk, judged: list[Judged]) -> Played:
        address, port, _, _ = talk.key
        now, proposed = self._court.rulings(judged)
        return Played(
            source=str(self._capture.path),
            name=f"#{talk.number}",
            host=str(ip_address(address)),
            port=port,
            at=talk.began,
            listener=self._listener,
            seen=_seen(talk, judged[-1]),
            remark=_remark(talk),
            now=now,
            proposed=proposed,
        )


def _heard(item: Item) -> Heard | None:
    match item:
        case Hole():
            return Lost(item.at, item.side, item.octets)
        case Shut():
            return Ended(item.at, item.side)
        case Over() if item.reset is not None:
            return Ended(item.at, item.reset, reset=True)
    return None


def _seen(talk: Talk, judged: Judged) -> Seen:
    if judged.began == "mid-stream":
        return "mid-stream"
    if judged.opaque_from is not None:
        return "until-starttls"
    if talk.hole is not None and not judged.complete:
        return "until-hole"
    return "whole" if judged.complete else "unfinished"


def _remark(talk: Talk) -> str:
    said = [] if talk.hole is None else [str(talk.hole)]
    if talk.connection.conflicting:
        copies = talk.connection.conflicting
        said.append(f"conflicting: {copies} second {'copy differs' if copies == 1 else 'copies differ'} from the first")
    return "; ".join(said)

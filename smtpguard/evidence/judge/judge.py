"""A recorded conversation -> the findings that a guard in front of it would have made, by the engine itself.

A record holds what stood on CLIENT's wire: pieces of octets of both sides, in the order in which they were read, and
the ends of the two sides. `judge` plays it to a real `Session` in mode observe, so that a finding says in `enforced`
what mode enforce would do, while state follows the replies that the record holds. Where the record comes from (a
capture, an audit segment, a pasted transcript) is the caller's business; what is in one piece was read at once, so
whoever cuts the pieces decides what counts as sent ahead.

A piece of UPSTREAM is anything that CLIENT heard, a guard's own answers included. Those are known by their words and
the session id at their end, and taken for what they are (`smtp.recorded`). Where the engine answers a line itself, as
the safe rules do in every mode, the recorded reply to that line is dropped; the answers come in the order of the lines,
so a count is enough.

What is not judged: octets behind STARTTLS (`opaque_from`), what follows an answer that closes (`unjudged`), and a
record that begins in the middle. Of that one everything is skipped up to the first EHLO or HELO that stands alone in
its piece, behind a whole reply, and is answered 2yz: the state after it is known (RFC 5321 §4.1.4), any state before
it would be a guess. A gap in the octets begins such a middle anew. What the record does not show is not made up: a
record that just ends is not `complete`, nobody is gone.

Like in a live session, of notes and consequences of one rule 20 become findings; the counters in `ended` go on. Nothing
here raises, whatever the octets are.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from smtpguard.evidence.judge.judged import Began, Found, Judged
from smtpguard.evidence.judge.pieces import Ended, Item, Lost, Piece, TlsUp
from smtpguard.smtp import (
    MalformedReply,
    Output,
    Policy,
    RecordedSession,
    Reply,
    ReplyReader,
    Section,
    Side,
    Terms,
    Verb,
    spoken_by_guard,
    terms_of,
)

__all__ = ["Ended", "Found", "Item", "Judge", "Judged", "Lost", "Piece", "Terms", "TlsUp", "judge", "terms_of"]

SESSION_ID: Final = "000000000000"

UNREAD_MAXIMUM: Final = 1024 * 1024
"""Octets of CLIENT that may wait for a reply which the record does not hold; a kernel would have stopped it before."""

_HELLO: Final = (b"EHLO ", b"HELO ", b"EHLO\t", b"HELO\t", b"EHLO\r", b"HELO\r")
_MADE_UP: Final = Reply(b"220 \r\n", 220)
_NO_REPLY: Final = b"\0\r\n"


def judge(  # noqa: PLR0913 - a record has as many sides as it has
    pieces: Iterable[Item],
    policy: Policy | Terms,
    *,
    session_id: str = SESSION_ID,
    tls: bool = False,
    start: bool | None = None,
    pipeconnect: bool = False,
) -> Judged:
    """Judge one whole record; see `Judge`."""
    judging = Judge(policy, session_id=session_id, tls=tls, start=start, pipeconnect=pipeconnect)
    for piece in pieces:
        judging.take(piece)
    return judging.end()


class Judge:
    """Judges one record, piece by piece.

    Args:
        policy: what is to be thought of each rule; its mode does not matter. `terms_of(policy)` saves time where many
            sessions are judged by one policy.
        session_id: for the answers of ours.
        tls: CLIENT spoke through TLS from the first octet, and the record shows what was inside.
        start: the record holds the first octet of the connection; False: it does not; None: find out. A record
            whose first reply is a 220 begins at the greeting, any other in the middle.
        pipeconnect: UPSTREAM is known to offer PIPECONNECT.
    """

    __slots__ = (
        "_began", "_candidate", "_complete", "_findings", "_from", "_gaps", "_index", "_octets", "_opaque_from",
        "_parted", "_pipeconnect", "_replies", "_session", "_settled", "_shy", "_terms", "_tls", "_unjudged",
        "_unread", "session_id",
    )  # fmt: skip

    def __init__(
        self,
        policy: Policy | Terms,
        *,
        session_id: str = SESSION_ID,
        tls: bool = False,
        start: bool | None = None,
        pipeconnect: bool = False,
    ) -> None:
        self._terms = policy if isinstance(policy, Terms) else terms_of(policy)
        self.session_id = session_id
        self._tls = tls
        self._pipeconnect = pipeconnect
        self._index = -1
        # Octets of CLIENT in the record so far.
        self._octets = 0
        self._findings: list[Found] = []
        self._began: Began | None = None if start is None else "greeting" if start else "mid-stream"
        self._from: int | None = 0 if start else None
        self._gaps = 0
        self._opaque_from: int | None = None
        self._parted: int | None = None
        self._unjudged = 0
        self._complete = False
        self._replies = ReplyReader()
        # Not given to the engine yet, for its window is shut.
        self._unread = b""
        # What came before it was known how the record begins.
        self._shy: list[tuple[int, Item]] = []
        # Mid-stream: UPSTREAM's octets so far end with a whole reply, and the hello that may be a safe point.
        self._settled = False
        self._candidate: tuple[int, Piece] | None = None
        self._session = self._open(0)

    def _open(self, base: int) -> RecordedSession:
        return RecordedSession(
            self._terms, session_id=self.session_id, pipeconnect=self._pipeconnect, tls=self._tls, base=base
        )

    @property
    def over(self) -> bool:
        """True when nothing that follows can be judged."""
        return self._from is not None and (self._session.over or self._session.opaque)

    def take(self, item: Item) -> None:
        """Take the next piece, or the end of a side."""
        self._index += 1
        if self._began is None:
            self._look(item)
        elif self._from is None:
            self._seek(item)
        else:
            self._play(self._index, item)

    def end(self) -> Judged:
        """Sum up; nothing more may be taken."""
        ended = self._session.ended()
        return Judged(
            findings=tuple(self._findings),
            ended=ended if self._session.over else replace(ended, waiting_for=self._session.waiting.value),
            began=self._began or "mid-stream",
            judged_from=self._index + 1 if self._from is None else self._from,
            complete=self._complete or (self._from is not None and self._session.over),
            opaque_from=self._opaque_from,
            parted=self._parted,
            unjudged=self._unjudged,
            gaps=self._gaps,
            offers_pipeconnect=self._session.offers_pipeconnect,
        )

    # --- how the record begins -------------------------------------------------------------------------------------

    def _look(self, item: Item) -> None:
        """Keep what comes until the first reply tells whether it is the greeting."""
        self._shy.append((self._index, item))
        reply: Reply | None = None
        if isinstance(item, Piece) and item.side is Side.UPSTREAM:
            try:
                self._replies.put(item.octets)
                reply = self._replies.next()
            except MalformedReply:
                reply = Reply(b"", 0)
            if reply is None:
                return
        elif isinstance(item, Piece) and sum(len(one.octets) for _, one in self._shy if isinstance(one, Piece)) < 65536:
            return
        self._replies = ReplyReader()
        self._began = "greeting" if reply is not None and reply.code == 220 else "mid-stream"
        self._from = 0 if self._began == "greeting" else None
        kept, self._shy, newest = self._shy, [], self._index
        for self._index, one in kept:
            (self._seek(one) if self._from is None else self._play(self._index, one))
        self._index = newest

    def _seek(self, item: Item) -> None:
        """Skip what comes up to a hello and its reply."""
        if not isinstance(item, Piece):
            self._settled, self._candidate, self._replies = False, None, ReplyReader()
            # Nothing was judged, but how it ended is known.
            self._complete = self._complete or isinstance(item, Ended)
            return
        self._complete = False
        if item.side is Side.CLIENT:
            quiet = not self._replies.pending and self._candidate is None
            self._candidate = (self._index, item) if quiet and _is_hello(item.octets) else None
            self._settled = self._settled and self._candidate is not None
            self._octets += len(item.octets)
            return
        replies, sound = self._cut(item.octets)
        candidate, self._candidate = self._candidate, None if replies else self._candidate
        if candidate is not None and sound and _answers_hello(replies, settled=self._settled):
            self._resume(*candidate, replies[0])
        self._settled = sound and not self._replies.pending

    def _cut(self, octets: bytes) -> tuple[list[Reply], bool]:
        """Return the replies that are whole now, and whether no octets were found that are none."""
        replies: list[Reply] = []
        if not self._replies.pending and (whole := self._replies.whole(octets)) is not None:
            return [whole], True
        try:
            self._replies.put(octets)
            while self._replies.pending and (reply := self._replies.next()) is not None:
                replies.append(reply)
        except MalformedReply:
            self._replies = ReplyReader()
            return replies, False
        return replies, True

    def _resume(self, index: int, hello: Piece, reply: Reply) -> None:
        """Begin a session at a hello whose reply is known: whatever was before, it ends with that."""
        # The reply came with the piece that is being taken.
        newest = self._index
        self._octets -= len(hello.octets)
        self._session = self._open(self._octets)
        self._session.receive(Side.UPSTREAM, _MADE_UP.raw)
        self._from = index
        self._index = index
        self._play(index, hello)
        self._index = newest
        self._heard(hello.at, reply)

    # --- the play --------------------------------------------------------------------------------------------------

    def _play(self, index: int, item: Item) -> None:
        if isinstance(item, Piece):
            self._session.at = item.at
            if self._session.over:
                self._unjudged += 1
            elif item.side is Side.CLIENT:
                self._from_client(index, item)
            else:
                self._from_upstream(index, item)
        elif isinstance(item, TlsUp):
            self._session.inside_tls()
        elif isinstance(item, Lost):
            self._lose_track()
        elif not self._session.over:
            self._end_of_side(item)

    def _from_client(self, index: int, piece: Piece) -> None:
        self._octets += len(piece.octets)
        self._unread = self._unread + piece.octets if self._unread else piece.octets
        self._pump(piece.at)
        if self._session.opaque and self._opaque_from is None:
            self._opaque_from = index
        if len(self._unread) > UNREAD_MAXIMUM:
            self._lose_track()

    def _pump(self, at: float) -> None:
        """Give the engine what it wants to read; the rest waits, as it would in the kernel."""
        session = self._session
        while self._unread and not session.over and (window := session.window):
            octets, self._unread = self._unread[:window], self._unread[window:]
            self._note(at, session.receive(Side.CLIENT, octets))

    def _from_upstream(self, index: int, piece: Piece) -> None:
        if self._session.opaque:
            return
        replies, sound = self._cut(piece.octets)
        for place, reply in enumerate(replies):
            self._heard(piece.at, reply, given_up=any(map(_gives_up, replies[place + 1 : place + 2])))
            if self._session.over:
                return
            self._pump(piece.at)
        if not sound:
            self._note(piece.at, self._session.receive(Side.UPSTREAM, _NO_REPLY))
            self._parted = index

    def _heard(self, at: float, reply: Reply, *, given_up: bool = False) -> None:
        session = self._session
        rules = spoken_by_guard(reply.raw)
        if rules and session.was_closed_by(rules):
            self._note(at, session.close_by_guard(rules))
        elif session.skips_reply():
            self._note(at, session.go_on())
        else:
            self._note(at, session.hear(reply, by_guard=bool(rules), given_up=given_up))
            if session.out_of_step:
                self._parted = self._index

    def _end_of_side(self, end: Ended) -> None:
        self._session.at = end.at
        self._note(end.at, (self._session.lost if end.reset else self._session.receive_eof)(end.side))

    def _lose_track(self) -> None:
        """Octets are missing: from here to the next safe point any state would be a guess."""
        self._gaps += 1
        self._from = self._from if self._session.over or self._session.opaque else None
        self._settled, self._candidate = False, None
        self._replies, self._unread = ReplyReader(), b""

    def _note(self, at: float, out: Output) -> None:
        if not out.events:
            return
        for finding, octet in self._session.places(out.events):
            if self._began == "mid-stream" and finding.previous and finding.previous.verb is Verb.GREETING:
                # The greeting was made up.
                finding = replace(finding, previous=None)  # noqa: PLW2901 - the same finding, told honestly
            self._findings.append(Found(at, self._index, octet, finding))


def _is_hello(octets: bytes) -> bool:
    """Tell whether a piece is one EHLO or HELO line and nothing else."""
    return octets.find(b"\n") == len(octets) - 1 and octets[:5].upper() in _HELLO


def _gives_up(reply: Reply) -> bool:
    """Tell whether a reply said in one breath with the one before is no answer to a line but the end: 421.

    Whether a line that was held then had been judged, the wire cannot tell; a doubt is no finding. A guard that has
    enough of a client does answer a line.
    """
    return reply.code == 421 and not any(rule.section is Section.LIMITS for rule in spoken_by_guard(reply.raw))


def _answers_hello(replies: list[Reply], *, settled: bool) -> bool:
    """Tell whether one reply came, and only the hello can be meant: nothing else was owed, or it lists keywords."""
    return len(replies) == 1 and replies[0].code == 250 and (settled or replies[0].raw.count(b"\n") > 1)

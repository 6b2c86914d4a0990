"""What was said in a session, line by line, in a ring of bounded size: the evidence for the day when a rule fires.

Every session keeps one, so the way in is cheap: an entry is a tuple around octets that are there anyway, and nothing
is cut into lines before somebody asks. What must not be kept is redacted here at once, for a ring lives as long as its
session: a command's line is what `Command.redacted` says, and of a reply to a command whose argument is not shown only
the code stays, since a reply may quote what it answers.

Message content is never kept, only counted. A line stands where its turn came; when it was read, and in which piece,
is said beside it: lines of CLIENT that came in one piece were sent without waiting for the replies between them.
"""

from typing import Final, NamedTuple

from smtpguard.smtp.syntax import SHOWN, Command
from smtpguard.smtp.verdicts import Rule, Section
from smtpguard.smtp.vocabulary import Verb, Word

LINES: Final = 200
"""Lines that are kept; the oldest go first."""

LINE_KEPT: Final = 512
"""Octets of a command line that are kept: RFC 5321 §4.5.3.1.4 allows no more."""

REPLY_KEPT: Final = 1024
"""Octets of a whole reply that are kept; replies to EHLO have some 300."""


class Voice(Word):
    """Whose words a line is."""

    CLIENT = "C"
    UPSTREAM = "U"
    GUARD = "G"
    """smtpguard's own answer to CLIENT."""


class TranscriptLine(NamedTuple):
    """One line of a transcript."""

    at: float
    """When its last octet was read, or when it was said, in seconds of the caller's clock."""
    voice: Voice
    text: bytes
    """Redacted, without line end; at most `LINE_KEPT` octets, of a whole reply `REPLY_KEPT`. What is
    no line stands in brackets: `[14 octets]`."""
    piece: int = 0
    """Number of the read of that side in which it ended, from 1; 0: not read."""
    rules: tuple[str, ...] = ()
    """Ids of the rules that it broke, or that an answer of ours is for."""


class Transcript(NamedTuple):
    """The end of a session's conversation."""

    lines: tuple[TranscriptLine, ...] = ()
    omitted: int = 0
    """Lines before the first one."""


NO_TRANSCRIPT: Final = Transcript()

_ROOM: Final = 256
"""Entries that may stand in a ring before its oldest go: to drop one at a time costs each line."""

_Entry = tuple[float, Voice, bytes, int]

_VERBATIM: Final = SHOWN - {Verb.BDAT}
# A reply may quote what it answers. So its text is kept for commands whose arguments are shown, and for those without.
_QUOTABLE: Final = SHOWN | {Verb.GREETING, Verb.DATA, Verb.CONTENT}
_BARE_ONLY: Final = frozenset({Verb.RSET, Verb.NOOP, Verb.QUIT, Verb.HELP, Verb.STARTTLS})


class Ring:
    """The latest lines of one session."""

    __slots__ = ("_charged", "_dropped", "_entries", "_kept", "_latest", "_omitted", "_pending", "_start")

    def __init__(self, *, kept: bool = True) -> None:
        """`kept` is False where no transcript is wanted."""
        self._kept = kept
        self._entries: list[_Entry] = []
        # Entries that were dropped from the front, and the lines in them.
        self._dropped = 0
        self._omitted = 0
        # Number of CLIENT's latest entry, counted from 1 over all that ever were.
        self._latest = 0
        # Entry -> the rules charged to it; and those that the next entry is charged with, CLIENT's (True) or another.
        self._charged: dict[int, tuple[str, ...]] = {}
        self._pending: dict[bool, tuple[str, ...]] = {}
        self._start = 0

    # --- what was said ---------------------------------------------------------------------------------------------

    def said(self, command: Command, at: float, piece: int) -> None:
        """Keep a line of CLIENT."""
        if self._kept:
            text = command.raw if command.verb in _VERBATIM else command.redacted
            self._add((at, Voice.CLIENT, text if len(text) <= LINE_KEPT else text[:LINE_KEPT], piece))

    def heard(self, command: Command, octets: bytes, at: float, piece: int) -> None:
        """Keep UPSTREAM's reply to a command."""
        if not self._kept:
            return
        verb = command.verb
        if verb not in _QUOTABLE and not (verb in _BARE_ONLY and len(command.raw) <= len(command.word) + 2):
            octets = octets[:4] + b"[redacted]"
        self._add((at, Voice.UPSTREAM, octets if len(octets) <= REPLY_KEPT else _beginning(octets), piece))

    def spoke(self, octets: bytes, at: float) -> None:
        """Keep an answer of ours."""
        if self._kept:
            self._add((at, Voice.GUARD, octets, 0))

    def streams(self, consumed: int) -> None:
        """CLIENT's octets are a stream from here on; `consumed` of them lie before."""
        self._start = consumed

    def streamed(self, consumed: int, what: str, at: float, piece: int) -> None:
        """The stream ended, or the session within it; `what` names its octets."""
        octets, self._start = consumed - self._start, consumed
        if octets and self._kept:
            self._add((at, Voice.CLIENT, b"[%d octets%s]" % (octets, what.encode()), piece))

    def ended_content(self, consumed: int, at: float, piece: int) -> None:
        """CLIENT sent the dot."""
        self.streamed(consumed - len(_DOT), " of content", at, piece)
        if self._kept:
            self._add((at, Voice.CLIENT, _DOT, piece))

    def _add(self, entry: _Entry) -> None:
        entries = self._entries
        entries.append(entry)
        by_client = entry[1] is Voice.CLIENT
        if by_client:
            self._latest = self._dropped + len(entries)
        if self._pending and by_client in self._pending:
            self._charged[self._dropped + len(entries)] = self._pending.pop(by_client)
        if len(entries) > _ROOM:
            self._drop(len(entries) - LINES)

    def _drop(self, count: int) -> None:
        self._omitted += sum(len(_cut(text)) for _, _, text, _ in self._entries[:count])
        self._dropped += count
        del self._entries[:count]

    # --- what was found --------------------------------------------------------------------------------------------

    def charge(self, rule: Rule, *, unread: bool) -> None:
        """Charge a rule to a line: CLIENT's latest, or its next where what is at fault was not taken yet (`unread`).

        Where CLIENT is not at fault the next reply bears it, UPSTREAM's or ours.
        """
        if not self._kept:
            return
        client = rule.section not in (Section.UPSTREAM, Section.LIMITS)
        if client and not unread:
            self._charged[self._latest] = _with(self._charged.get(self._latest, ()), rule.id)
        else:
            self._pending[client] = _with(self._pending.get(client, ()), rule.id)

    @property
    def awaits_culprit(self) -> bool:
        """True if a rule is charged to octets of CLIENT that were not taken yet."""
        return True in self._pending

    # --- the whole -------------------------------------------------------------------------------------------------

    def transcript(self) -> Transcript:
        """Cut what was kept into lines."""
        lines: list[TranscriptLine] = []
        for number, (at, voice, text, piece) in enumerate(self._entries, self._dropped + 1):
            rules = self._charged.get(number, ())
            for line in _cut(text):
                lines.append(TranscriptLine(at, voice, line, piece, rules))
        kept = tuple(lines[-LINES:])
        return Transcript(kept, self._omitted + len(lines) - len(kept))


_DOT: Final = b".\r\n"


def _beginning(reply: bytes) -> bytes:
    """Cut a long reply between two words: half a mail address could not be told for one any more."""
    return reply[:REPLY_KEPT].rpartition(b" ")[0]


def _cut(text: bytes) -> list[bytes]:
    """Cut an entry into lines; a bare CR or LF inside of one stays."""
    return text.removesuffix(b"\n").removesuffix(b"\r").split(b"\r\n")


def _with(rules: tuple[str, ...], rule_id: str) -> tuple[str, ...]:
    return rules if rule_id in rules else (*rules, rule_id)

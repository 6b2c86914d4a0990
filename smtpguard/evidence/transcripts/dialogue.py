"""Lines of either side -> what each of them is: a command, a line of an exchange, content, a reply to what.

The readers know marks; this knows the dialogue (RFC 5321 §4.3.2): content stands between 354 and the lone dot, a
line behind 334 belongs to the exchange, a reply answers the oldest command that has none. It is generous where a text
has been cut: a multi-line reply that never ends ends at CLIENT's next line, and a verdict without a dot before it
says that the content was left out.

What may be shown of a line is settled here, too: of a command what `Command.redacted` says, of a reply to a command
whose argument is not shown only the code, since it may quote it. Content is counted, never kept.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from smtpguard.evidence.transcripts.shapes import Kind, Written
from smtpguard.smtp import Command, Side, Verb, parse_command


class Part(Enum):
    """What a line is in the dialogue."""

    COMMAND = auto()
    SASL = auto()
    CONTENT = auto()
    DOT = auto()
    CHUNK = auto()
    REPLY = auto()
    TLS = auto()
    LEFT = auto()
    """A side has closed."""


@dataclass(slots=True)
class Said:
    """One line, and what it is."""

    place: int
    part: Part
    side: Side
    octets: bytes = b""
    piece: int = 0
    shown: str = ""
    """What may be printed of it."""
    verb: Verb | None = None
    """Of a command; of a reply, the command that it answers."""
    made_up: bool = False
    """It was left out of the text; the octets stand in for it."""


_SECRET: Final = frozenset({Verb.UNKNOWN, Verb.SASL, Verb.AUTH})
_HELLOS: Final = frozenset({Verb.GREETING, Verb.EHLO, Verb.HELO})
_SHORTEST_SECRET: Final = 3
_WORD: Final = re.compile(rb"[^\s\"'<>()]+")
_REPLY: Final = re.compile(rb"[2-5][0-9][0-9](?:[ -]|$)")
# The commands whose arguments may be shown, and what has none.
_QUOTES: Final = frozenset(
    {Verb.EHLO, Verb.HELO, Verb.MAIL, Verb.RCPT, Verb.BDAT, Verb.GREETING, Verb.DATA, Verb.CONTENT}
)
_BARE_ONLY: Final = frozenset({Verb.RSET, Verb.NOOP, Verb.QUIT, Verb.HELP, Verb.STARTTLS})
_CODE: Final = re.compile(r"[2-5][0-9][0-9][ -]?(?:[245]\.[0-9]{1,3}\.[0-9]{1,3}(?: |$))?")
_STAND_IN: Final = b"x\r\n"
GREETING: Final = Command(b"", Verb.GREETING)
_CONTENT: Final = Command(b"", Verb.CONTENT, last=True)
_SASL: Final = Command(b"", Verb.SASL)
_UNKNOWN: Final = Command(b"", Verb.UNKNOWN)


class Dialogue:
    """Follows one text."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        # Commands without a reply, oldest first.
        self._owed: list[Command] = [GREETING]
        self._content = False
        self._sasl = False
        self._left = 0
        # Lines of a reply that has not ended.
        self._open: list[Said] = []

    def take(self, written: Iterable[Written]) -> list[Said]:
        """Take all lines of a text and return what they are."""
        for one in written:
            _TAKE[one.kind](self, one)
        self._close_reply()
        self._hide_secrets()
        return self.said

    def _hide_secrets(self) -> None:
        """Hide every reply that quotes what may not be shown, wherever it stands: a text may have lost lines."""
        secret = {word for one in self.said if one.side is Side.CLIENT for word in _secrets(one)}
        for one in self.said:
            may_quote = one.side is Side.UPSTREAM and one.verb not in _HELLOS
            if may_quote and any(word in secret for word in _WORD.findall(one.octets)):
                one.shown = _without_text(one.shown)

    # --- a line of nobody yet ----------------------------------------------------------------------------------------

    def _take_either(self, one: Written) -> None:
        text = one.octets.rstrip()
        if not self._content and _REPLY.match(text):
            self._take_upstream(one._replace(octets=text + b"\r\n"))
        elif self._content or self._sasl or self._is_typed(text):
            self._take_client(one)

    def _is_typed(self, text: bytes) -> bool:
        """Tell whether a line is a command: anything once the session is under way, a known verb before."""
        if not text.strip():
            return False
        known = parse_command(text + b"\r\n").verb is not Verb.UNKNOWN
        return known or any(one.part is Part.REPLY for one in self.said)

    def _take_loose(self, one: Written) -> None:
        if self._content:
            self._take_client(one)

    # --- CLIENT ------------------------------------------------------------------------------------------------------

    def _take_client(self, one: Written) -> None:
        self._close_reply()
        if self._content:
            self._take_content(one)
        elif self._left > 0:
            taken = one.octets[: self._left]
            self._left -= len(taken)
            self._add(one, Part.CHUNK, taken)
        elif self._sasl:
            self._sasl = False
            self._owed.append(_SASL)
            self._add(one, Part.SASL, one.octets, "[redacted]", Verb.SASL)
        else:
            self._take_command(one)

    def _take_command(self, one: Written) -> None:
        command = parse_command(one.octets if one.octets.endswith(b"\n") else one.octets + b"\r\n")
        self._owed.append(command)
        self._left = command.size
        self._add(one, Part.COMMAND, one.octets, printable(command.redacted), command.verb)

    def _take_content(self, one: Written) -> None:
        if one.octets in (b".\r\n", b".\n"):
            self._content = False
            self._owed.append(_CONTENT)
            # A text does not tell how a line ended; smtplib's does, and there a bare LF hides the end.
            self._add(one, Part.DOT, one.octets, ".", Verb.CONTENT)
        else:
            self._add(one, Part.CONTENT, one.octets)

    def _take_hidden(self, one: Written) -> None:
        self._close_reply()
        if self._left > 0:
            self._add(one, Part.CHUNK, b"x" * min(self._left, _LARGEST), made_up=True)
            self._left = 0
        elif self._content:
            self._add(one, Part.CONTENT, _STAND_IN, made_up=True)

    def _fill(self, place: int) -> None:
        """Stand in for what must have been sent before a reply could be given, and was left out of the text."""
        here = Written(place, Kind.HIDDEN)
        if self._left > 0:
            self._take_hidden(here)
        if self._content and not self._owed:
            self._take_hidden(here)
            self._content = False
            self._owed.append(_CONTENT)
            self._add(here, Part.DOT, b".\r\n", ".", Verb.CONTENT, made_up=True)

    def _add(  # noqa: PLR0913 - a line has as many sides as it has
        self, one: Written, part: Part, octets: bytes, shown: str = "", verb: Verb | None = None, made_up: bool = False
    ) -> None:
        self.said.append(Said(one.place, part, Side.CLIENT, octets, one.piece, shown, verb, made_up))

    # --- UPSTREAM ----------------------------------------------------------------------------------------------------

    def _take_upstream(self, one: Written) -> None:
        line = one.octets.rstrip(b"\r\n") + b"\r\n"
        if not _REPLY.match(line.rstrip()):
            return
        if self._open and self._open[-1].octets[:3] != line[:3]:
            self._close_reply()
        if not self._open and not line.startswith(b"421"):
            self._fill(one.place)
        said = Said(one.place, Part.REPLY, Side.UPSTREAM, line)
        self.said.append(said)
        self._open.append(said)
        if line[3:4] != b"-":
            self._end_reply()

    def _close_reply(self) -> None:
        """End a reply whose last lines are missing."""
        if self._open:
            last = self._open[-1]
            last.octets = last.octets[:3] + b" " + last.octets[4:]
            self._end_reply()

    def _end_reply(self) -> None:
        lines, self._open = self._open, []
        code = int(lines[-1].octets[:3])
        command = self._answered(code)
        for line in lines:
            line.verb, line.shown = command.verb, _reply_shown(command, line.octets)
        if command.verb is Verb.DATA and code == 354:
            self._begin_content()
        self._sasl = code == 334 and command.verb in (Verb.AUTH, Verb.SASL)
        if self._sasl:
            self._claim_exchange()

    def _answered(self, code: int) -> Command:
        wanted = {354: (Verb.DATA,), 334: (Verb.AUTH, Verb.SASL)}.get(code)
        if wanted is not None:
            # These answer nothing else: what stands before has lost its reply.
            while self._owed and any(one.verb in wanted for one in self._owed) and self._owed[0].verb not in wanted:
                del self._owed[0]
        elif self._owed and self._owed[0] is GREETING and len(self._owed) > 1 and code != 220:
            # The text begins behind the greeting.
            del self._owed[0]
        return self._owed.pop(0) if self._owed else _UNKNOWN

    def _begin_content(self) -> None:
        """Content begins: what stood behind DATA already was content, up to a lone dot."""
        self._content = True
        behind = [one for one in self.said if one.side is Side.CLIENT][-len(self._owed) :] if self._owed else []
        for one in behind:
            del self._owed[0]
            dot = one.octets in (b".\r\n", b".\n")
            one.part, one.shown = (Part.DOT, ".") if dot else (Part.CONTENT, "")
            one.verb = Verb.CONTENT
            if dot:
                self._content = False
                self._owed.insert(0, _CONTENT)
                break

    def _claim_exchange(self) -> None:
        """The line behind AUTH, if it stands there already, belongs to the exchange."""
        if self._owed:
            line = [one for one in self.said if one.side is Side.CLIENT][-len(self._owed)]
            line.part, line.shown, line.verb = Part.SASL, "[redacted]", Verb.SASL
            self._owed[0] = _SASL
            self._sasl = False

    # --- what happens ------------------------------------------------------------------------------------------------

    def _take_event(self, one: Written) -> None:
        self._close_reply()
        if one.kind is Kind.TLS:
            # Behind TLS everything is asked anew.
            self._owed = [owed for owed in self._owed if owed is GREETING]
        part = Part.TLS if one.kind is Kind.TLS else Part.LEFT
        side = Side.UPSTREAM if one.kind is Kind.UPSTREAM_LEFT else Side.CLIENT
        self.said.append(Said(one.place, part, side))


_LARGEST: Final = 64 * 1024 * 1024
_TAKE: Final = {
    Kind.CLIENT: Dialogue._take_client,
    Kind.UPSTREAM: Dialogue._take_upstream,
    Kind.EITHER: Dialogue._take_either,
    Kind.LOOSE: Dialogue._take_loose,
    Kind.HIDDEN: Dialogue._take_hidden,
    Kind.TLS: Dialogue._take_event,
    Kind.CLIENT_LEFT: Dialogue._take_event,
    Kind.UPSTREAM_LEFT: Dialogue._take_event,
}


def _secrets(one: Said) -> list[bytes]:
    """Return the words of a line that no other line may repeat."""
    if one.verb not in _SECRET:
        return []
    # The verb and its mechanism are none.
    words = one.octets.split()[2:] if one.verb is Verb.AUTH else one.octets.split()
    return [word for word in words if len(word) >= _SHORTEST_SECRET]


def printable(octets: bytes) -> str:
    """Spell octets in printable ASCII, and `\\xNN` for the rest."""
    return "".join(chr(octet) if 0x20 <= octet < 0x7F else f"\\x{octet:02x}" for octet in octets)


def _reply_shown(command: Command, octets: bytes) -> str:
    text = printable(octets.rstrip(b"\r\n"))
    bare = command.verb in _BARE_ONLY and command.redacted == command.word
    return text if command.verb in _QUOTES or bare else _without_text(text)


def _without_text(shown: str) -> str:
    code = _CODE.match(shown)
    kept = code[0] if code else ""
    return shown if len(kept) >= len(shown) else kept + "[redacted]"

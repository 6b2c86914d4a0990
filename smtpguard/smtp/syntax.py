"""One line -> Command, one reply -> Reply. Never raises, never changes an octet.

A Command keeps `raw`, the octets as they came, which is what is forwarded, and offers `redacted`, which is all that
an event may hold. Lines are read generously, because servers do: leading blanks and any letter case, words split at
SP and HT only. BDAT is the exception (RFC 3030 §2): a size that we and UPSTREAM read differently is smuggling, so a
BDAT line has exactly one lawful shape.

All work is on octets: `bytes.upper` and the patterns below touch ASCII only.
"""

import re
from typing import Final, NamedTuple

from smtpguard.smtp import rules
from smtpguard.smtp.verdicts import Rule
from smtpguard.smtp.vocabulary import CHUNK_MAXIMUM, FORBIDDEN_WORDS, SPELLINGS, ReplyClass, Verb

# The whole of a line with nothing to object to: word, anything but control octets, CRLF. HT is no control octet
# here, and 0x80-0xFF never is (SMTPUTF8, RFC 6531). The quantifiers are possessive: no input can make them backtrack.
_CLEAN: Final = re.compile(rb"[ \t]*+([^\0-\x20\x7f]*+)[^\0-\x08\x0a-\x1f\x7f]*+\r\n")
_WORD: Final = re.compile(rb"[ \t]*+([^ \t\r\n]*+)")
_BDAT: Final = re.compile(rb"BDAT ([0-9]{1,10})( LAST)?\r\n", re.IGNORECASE)
_LAST: Final = re.compile(rb"[ \t]LAST[ \t]*\r?\n\Z", re.IGNORECASE)
_BINARYMIME: Final = re.compile(rb"[ \t]BODY=BINARYMIME(?=[ \t\r\n])", re.IGNORECASE)
_CONTROLS: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])

SHOWN: Final = frozenset({Verb.EHLO, Verb.HELO, Verb.MAIL, Verb.RCPT, Verb.BDAT})
"""The commands whose arguments an event may hold."""

_REDACTED: Final = b"[redacted]"


class Command(NamedTuple):
    """One line from CLIENT, line end included."""

    raw: bytes
    verb: Verb
    word: bytes = b""
    """The first word in upper case."""
    flaw: Rule | None = None
    """The framing rule that the line breaks, if any: SG302 or SG306."""
    bare_lf: bool = False
    """The line ends in a bare LF."""
    size: int = 0
    """BDAT: octets of the chunk."""
    last: bool = False
    """BDAT and BURL: the last chunk."""

    @property
    def redacted(self) -> bytes:
        """The line as an event may hold it, without line end.

        Arguments stay for EHLO, HELO, MAIL, RCPT and BDAT only. Of a word outside the vocabulary only the length is
        kept: a mistyped AUTH, or a password sent as a line of its own, looks like that.
        """
        line = self.raw.rstrip(b"\r\n")
        if self.verb in SHOWN and (self.verb is not Verb.BDAT or self.word == b"BDAT"):
            return line
        if self.verb is Verb.SASL:
            return _REDACTED
        if self.verb in (Verb.UNKNOWN, Verb.BDAT):
            # No octets at all: nothing was read as a line, as in another protocol.
            return b"[%d octets]" % len(line) if self.raw else b""
        return self.word if line.strip(b" \t").upper() == self.word else self.word + b" " + _REDACTED

    @property
    def argument(self) -> bytes:
        """What stands behind the first word, without the blanks around it."""
        return self.raw.strip(b" \t\r\n")[len(self.word) :].strip(b" \t")

    @property
    def binarymime(self) -> bool:
        """True for a MAIL with BODY=BINARYMIME (RFC 3030 §3)."""
        return _BINARYMIME.search(self.raw) is not None


GREETING: Final = Command(b"", Verb.GREETING)
"""Stands in flight from the start: the reply that UPSTREAM owes without being asked."""

END_OF_CONTENT: Final = Command(b"", Verb.CONTENT, last=True)
"""Stands in flight behind the dot, for UPSTREAM's verdict."""


def parse_command(raw: bytes) -> Command:
    """Read one command line, which ends in LF."""
    clean = _CLEAN.fullmatch(raw)
    if clean is None:
        return _parse_flawed(raw)
    word = clean[1].upper()
    verb = SPELLINGS.get(word)
    if verb is None:
        if word.startswith(b"BDAT"):
            return Command(raw, Verb.BDAT, word, rules.SG306)
        return Command(raw, Verb.FORBIDDEN if word in FORBIDDEN_WORDS else Verb.UNKNOWN, word)
    if verb is Verb.BDAT:
        return _parse_bdat(raw, word)
    return Command(raw, verb, word, last=verb is Verb.BURL and _LAST.search(raw) is not None)


def parse_overlong(head: bytes) -> Command:
    """Read what can be read of a line that is too long: its first word, from at most 64 octets."""
    return parse_command(_first_word(head[:64]) + b"\r\n")


def may_be_long(head: bytes) -> bool:
    """Tell whether a line begins with a word that lawfully takes a SASL initial response (RFC 4954 §4)."""
    return parse_overlong(head).verb is Verb.AUTH


def parse_sasl(raw: bytes) -> Command:
    """Read one line of an authentication exchange: opaque, whatever it spells."""
    return Command(raw, Verb.SASL, flaw=_control_flaw(raw), bare_lf=not raw.endswith(b"\r\n"))


def _parse_bdat(raw: bytes, word: bytes) -> Command:
    shape = _BDAT.fullmatch(raw)
    # int() sees nothing but the ten ASCII digits that the pattern let through.
    if shape is None or (size := int(shape[1])) > CHUNK_MAXIMUM:
        return Command(raw, Verb.BDAT, word, rules.SG306)
    return Command(raw, Verb.BDAT, word, size=size, last=shape[2] is not None)


def _parse_flawed(raw: bytes) -> Command:
    """Read a line with a control octet inside, a bare LF at its end, or both."""
    word = _first_word(raw)
    if raw.translate(None, _CONTROLS).lstrip(b" \t").upper().startswith(b"BDAT"):
        # Also where a control octet hides in the word: some reader skips it and runs the chunk.
        return Command(raw, Verb.BDAT, word, rules.SG306, bare_lf=not raw.endswith(b"\r\n"))
    verb = SPELLINGS.get(word) or (Verb.FORBIDDEN if word in FORBIDDEN_WORDS else Verb.UNKNOWN)
    last = verb is Verb.BURL and _LAST.search(raw) is not None
    return Command(raw, verb, word, _control_flaw(raw), bare_lf=not raw.endswith(b"\r\n"), last=last)


def _first_word(line: bytes) -> bytes:
    found = _WORD.match(line)
    return found[1].upper() if found else b""


def _control_flaw(raw: bytes) -> Rule | None:
    text = raw[: _end_of_text(raw)]
    return None if len(text.translate(None, _CONTROLS)) == len(text) else rules.SG302


def _end_of_text(raw: bytes) -> int:
    """Return where the line end begins: CRLF, or a bare LF."""
    return len(raw) - (2 if raw.endswith(b"\r\n") else 1)


class Reply(NamedTuple):
    """One whole reply from UPSTREAM, all lines of it, line ends included."""

    raw: bytes
    code: int

    @property
    def reply_class(self) -> ReplyClass:
        """The meaning of the first digit."""
        return _CLASSES[self.code // 100]


_CLASSES: Final = {reply_class.value: reply_class for reply_class in ReplyClass}


def keywords(raw: bytes) -> frozenset[bytes]:
    """Return the extension keywords of an EHLO reply in upper case.

    The first line is the greeting of the domain and no keyword (RFC 5321 §4.1.1.1), whatever it says.
    """
    return frozenset(word for line in raw.split(b"\r\n")[1:-1] if (word := keyword_of(line)))


def without_starttls(raw: bytes) -> bytes:
    """Return an EHLO reply without STARTTLS and X-ANONYMOUSTLS, whichever lines they stand in.

    If the last line goes, the line before it becomes the last and gets its blank (RFC 5321 §4.2.1).
    """
    first, *rest = raw.split(b"\r\n")[:-1]
    kept = [first, *(line for line in rest if SPELLINGS.get(keyword_of(line)) is not Verb.STARTTLS)]
    if len(kept) == len(rest) + 1:
        return raw
    kept[-1] = kept[-1][:3] + b" " + kept[-1][4:]
    return b"\r\n".join(kept) + b"\r\n"


def keyword_of(line: bytes) -> bytes:
    """Return the keyword of one line of an EHLO reply, in upper case."""
    return _first_word(line[4:])

"""A session's tale -> lines of text, in one of three hands.

    plain      times, who, brackets around what was sent in one packet, and beneath an offending line what it means
    swaks      as swaks prints a session: ` -> ` said by the client, `<-  ` heard, `<** ` heard an error; `~` within TLS
    gateway    as mail gateways used to log: `[rx] ` received from the client, `[tx] ` transmitted to it

In all of them an offending line can be found without colour: `!` in its first column and its rule beneath, `*** ` lines
as swaks has them, `<-- ` behind the line. A line that a rule fired for and that nobody is blamed for has `-` instead.

A line of a plain transcript is `^([ !-]) +(\\d+\\.\\d{3}) ([CUG]) ([ /|\\\\:]) (.*)$`; nothing else in it looks so.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import Enum, auto
from typing import Final, NamedTuple

from smtpguard.evidence.explain import Speaker
from smtpguard.evidence.show.tale import Charge, Said, Tale
from smtpguard.evidence.wording import counted, moment


class Look(Enum):
    """What a row is, for whoever colours it."""

    HEADING = auto()
    FACT = auto()
    CLIENT = auto()
    UPSTREAM = auto()
    GUARD = auto()
    AT_FAULT = auto()
    NOTE = auto()
    """What is said about an offending line."""
    FAINT = auto()


class Row(NamedTuple):
    """One line of a screen, without colour and line end."""

    look: Look
    text: str


WIDTH: Final = 100
"""Columns that notes are wrapped at; lines of the wire are never wrapped."""

_LOOKS: Final = {
    Speaker.CLIENT: Look.CLIENT,
    Speaker.UPSTREAM: Look.UPSTREAM,
    Speaker.GUARD: Look.GUARD,
    Speaker.NOBODY: Look.FAINT,
}

_VIA: Final[Mapping[str, str]] = {
    "redirect": "the kernel turned the connection to us",
    "tproxy": "the kernel turned the connection to us",
    "proxy-v1": "told by a PROXY header (v1)",
    "proxy-v2": "told by a PROXY header (v2)",
}
_VISIBLE: Final = {
    "full": "inspected in full",
    "until-starttls": "inspected until STARTTLS, behind which it is opaque",
    "none": "another protocol, not SMTP",
    "": "",
}


# --- the head, the same in all hands ----------------------------------------------------------------------------------


def head(told: Tale, zone: tzinfo) -> Iterator[Row]:
    """Say who, when, how and how much."""
    yield Row(Look.HEADING, f"Session {told.id} of {told.client.ip}")
    for name, text in _facts(told, zone):
        if text:
            yield Row(Look.FACT, f"  {name:10}{text}")


def _facts(told: Tale, zone: tzinfo) -> Iterator[tuple[str, str]]:
    yield "client", f"{told.client}, " + (f"HELO name {told.helo}" if told.helo else "no HELO name")
    if told.via != "direct" or told.peer:
        through = f"; connected from {told.peer}" if told.peer else ""
        yield "address", f"{_VIA.get(told.via, told.via)}{through}"
    yield "listener", told.listener
    yield "upstream", told.upstream
    yield "guard", told.guard
    yield "began", moment(told.began, zone)
    yield "ended", _end(told, zone)
    tls = "; encrypted up to the balancer" if told.tls_before else ""
    protocol = "" if told.visible == "none" else told.protocol
    yield "protocol", ", ".join(filter(None, (protocol, _VISIBLE[told.visible]))) + tls
    yield "counts", _counts(told)
    if told.counts:
        yield "octets", f"{told.counts['octets_in']} from the client, {told.counts['octets_out']} to it"
    yield "findings", findings(told)


def _end(told: Tale, zone: tzinfo) -> str:
    if told.ended is None:
        return "not in the audit: the session is not over, or the guard ended before it"
    return f"{moment(told.ended, zone)}, {told.ended - told.began:.3f} s later: {told.close}"


def _counts(told: Tale) -> str:
    if not (counts := told.counts):
        return ""
    return (
        f"{counted(counts['commands_said'], 'command')}, {counts['commands_accepted']} accepted by the upstream; "
        f"messages: {counts['messages_accepted']} accepted, {counts['messages_refused']} refused"
    )


def findings(told: Tale) -> str:
    """Return the findings of a session in a few words: `2 violations (SG104 1, SG105 1), 1 that blames nobody`."""
    by_rule = told.against_client
    words = ", ".join(f"{rule_id} {count}" for rule_id, count in sorted(by_rule.items()))
    others = sum(not charge.blames_client for charge in told.findings)
    parts = [counted(by_rule.total(), "violation") + f" ({words})"] if by_rule else []
    if more := told.only_counted.total():
        parts.append(f"{more} of them counted, and not kept one by one")
    if others:
        parts.append(f"{others} that {'blames' if others == 1 else 'blame'} nobody")
    return ", ".join(parts) or "none"


# --- plain ------------------------------------------------------------------------------------------------------------

_NOTE: Final = " " * 16


@dataclass(slots=True)
class Teller:
    """Says about a rule and a cause all there is the first time, and refers to that later."""

    width: int
    told: set[tuple[str, str]] = field(default_factory=set)

    def notes(self, charge: Charge) -> Iterator[Row]:
        """Yield what stands beneath an offending line."""
        name = f"{charge.rule_id} {charge.name}".rstrip()
        key = (charge.rule_id, charge.cause)
        if key in self.told:
            yield from self._wrapped(f"{name}, as above: {charge.done or 'the finding is not in the audit'}")
            return
        self.told.add(key)
        source = f" ({charge.reference})" if charge.reference else ""
        yield from self._wrapped(f"{name}{source}")
        yield from self._wrapped(charge.situation)
        for word, text in self._parts(charge):
            yield from self._wrapped(text, f"{word:7}")

    @staticmethod
    def _parts(charge: Charge) -> Iterator[tuple[str, str]]:
        cause = f"{charge.meaning} [{charge.cause}]" if charge.cause else ""
        parts = {"done": charge.done, "detail": charge.detail, "cause": cause, "cure": charge.cure}
        yield from ((word, text) for word, text in parts.items() if text)

    def _wrapped(self, text: str, word: str = "") -> Iterator[Row]:
        behind = _NOTE + " " * len(word)
        for line in textwrap.wrap(
            text, self.width, initial_indent=_NOTE + word, subsequent_indent=behind, break_on_hyphens=False
        ):
            yield Row(Look.NOTE, line)


def plain(told: Tale, zone: tzinfo, width: int = WIDTH) -> Iterator[Row]:
    """Lay a session out in our own hand."""
    teller = Teller(width)
    yield from head(told, zone)
    yield Row(Look.FAINT, "")
    yield from _omitted(told, "      ")
    for said, bracket in zip(told.lines, brackets(told.lines), strict=True):
        mark = mark_of(said)
        look = Look.AT_FAULT if mark == "!" else _LOOKS[said.speaker]
        text = f"{mark} {said.after:9.3f} {said.speaker.value} {bracket} {said.text}"
        yield Row(look, text)
        for charge in said.charges:
            yield from teller.notes(charge)
    yield from _rest(told, teller)


def _omitted(told: Tale, before: str) -> Iterator[Row]:
    if told.omitted:
        yield Row(Look.FAINT, f"{before}... {counted(told.omitted, 'earlier line')} not kept ...")


def _rest(told: Tale, teller: Teller) -> Iterator[Row]:
    if told.why_no_transcript:
        yield Row(Look.FAINT, told.why_no_transcript)
    if told.unplaced:
        title = "Found, and not charged to one of these lines:" if told.lines else "What was found:"
        yield Row(Look.HEADING, title)
        for charge in told.unplaced:
            yield from _when(told, charge)
            yield from teller.notes(charge)
    if told.lines:
        yield Row(Look.FAINT, "")
        yield Row(Look.FAINT, f"  {legend(told)}")


def _when(told: Tale, charge: Charge) -> Iterator[Row]:
    mark = "!" if charge.blames_client else "-"
    after = max(0.0, (charge.at or told.began) - told.began)
    yield Row(Look.AT_FAULT if mark == "!" else Look.FAINT, f"{mark} {after:9.3f} s")


def mark_of(said: Said) -> str:
    """Return `!` for a line that counts against who said it, `-` where a rule fired and nobody is blamed, else a blank.

    A line of the upstream, or an answer of ours, is never the client's fault; what is wrong with it is marked all the
    same.
    """
    if not said.charges:
        return " "
    own_fault = said.speaker is Speaker.UPSTREAM and any(charge.rule_id != _FACT for charge in said.charges)
    at_fault = any(charge.blames_client or charge.at is None for charge in said.charges)
    return "!" if at_fault or own_fault else "-"


_FACT: Final = "SG505"
_BODY: Final = re.compile(r"\[[0-9]+ octets of (?:content|chunk)\]")


def brackets(lines: tuple[Said, ...]) -> list[str]:
    """Return a character for each line: `/`, `|` and `\\` around what was sent in one packet, `:` in between.

    CLIENT's packets of two lines and more have one, but for a message and its dot; UPSTREAM's only where a line in it
    is at fault: several replies in one packet are the rule there.
    """
    drawn = [" "] * len(lines)
    pieces: dict[tuple[Speaker, int], list[int]] = {}
    for place, said in enumerate(lines):
        if said.piece:
            pieces.setdefault((said.speaker, said.piece), []).append(place)
    for (speaker, _), places in pieces.items():
        first, last = places[0], places[-1]
        of_note = any(lines[place].charges for place in places) or (
            speaker is Speaker.CLIENT and not all(_of_content(lines[place].text) for place in places)
        )
        if first == last or not of_note or any(drawn[place] != " " for place in range(first, last + 1)):
            continue
        for place in range(first, last + 1):
            drawn[place] = "|" if place in places else ":"
        drawn[first], drawn[last] = "/", "\\"
    return drawn


def _of_content(text: str) -> bool:
    return text == "." or _BODY.fullmatch(text) is not None


def legend(told: Tale) -> str:
    """Return what the signs of this transcript mean."""
    names = {Speaker.CLIENT: "C client", Speaker.UPSTREAM: "U upstream", Speaker.GUARD: "G smtpguard's own answer"}
    speakers = {said.speaker for said in told.lines}
    parts = ["seconds since the session began", *(name for who, name in names.items() if who in speakers)]
    marks = {mark_of(said) for said in told.lines} | {"!" if charge.blames_client else "-" for charge in told.unplaced}
    parts += ["! at fault"] if "!" in marks else []
    parts += ["- a rule fired, nobody is blamed"] if "-" in marks else []
    if any(bracket != " " for bracket in brackets(told.lines)):
        parts.append("/ | \\ sent in one packet")
    return "; ".join(parts)


# --- swaks ------------------------------------------------------------------------------------------------------------

_ERROR: Final = re.compile(r"[45][0-9]{2}[ -]")
_STARTTLS: Final = re.compile(r"STARTTLS\s*", re.IGNORECASE)


def swaks(told: Tale, zone: tzinfo, width: int = WIDTH) -> Iterator[Row]:
    """Lay a session out as swaks prints one; what is ours to say stands behind `===` and `***`."""
    for row in head(told, zone):
        yield Row(row.look, f"=== {row.text.strip()}")
    if told.why_no_transcript:
        yield Row(Look.FAINT, f"=== {told.why_no_transcript}")
    yield from _omitted(told, "=== ")
    line, asked = "-", False
    for said in told.lines:
        yield Row(_look(said), f"{_arrow(said, line)} {said.text}")
        for charge in said.charges:
            yield from _stars(charge, width)
        if said.speaker is Speaker.CLIENT:
            asked = _STARTTLS.fullmatch(said.text) is not None
        elif asked:
            line, asked = ("~" if said.text.startswith("220") else line), False
    for charge in told.unplaced:
        yield from _stars(charge, width)


def _look(said: Said) -> Look:
    return Look.AT_FAULT if mark_of(said) == "!" else _LOOKS[said.speaker]


def _arrow(said: Said, line: str) -> str:
    if said.speaker is Speaker.CLIENT:
        return f" {line}>"
    error = _ERROR.match(said.text) is not None
    return (f"<{line}*" if line == "~" else "<**") if error else f"<{line} "


def _stars(charge: Charge, width: int) -> Iterator[Row]:
    cause = f" Cause: {charge.meaning}" if charge.meaning else ""
    cure = f" Cure: {charge.cure}" if charge.cure else ""
    text = f"{charge.rule_id} {charge.name}: {charge.situation}; {charge.done}.{cause}{cure}"
    for part in textwrap.wrap(text, width, initial_indent="*** ", subsequent_indent="***   ", break_on_hyphens=False):
        yield Row(Look.NOTE, part)


# --- gateway ----------------------------------------------------------------------------------------------------------


def gateway(told: Tale, zone: tzinfo, width: int = WIDTH) -> Iterator[Row]:
    """Lay a session out as a mail gateway's protocol log; what is ours to say stands behind `#` and `<--`."""
    for row in head(told, zone):
        yield Row(row.look, f"# {row.text.strip()}")
    if told.why_no_transcript:
        yield Row(Look.FAINT, f"# {told.why_no_transcript}")
    yield from _omitted(told, "# ")
    for said in told.lines:
        way = "[rx]" if said.speaker is Speaker.CLIENT else "[tx]"
        text = "...message body..." if _BODY.fullmatch(said.text) else said.text
        note = ", ".join(f"{charge.rule_id} {charge.name}".rstrip() for charge in said.charges)
        yield Row(_look(said), f"{way} {text}" + (f"  <-- {note}" if note else ""))
    for charge in told.unplaced:
        yield Row(Look.NOTE, f"# {charge.rule_id} {charge.name}: {charge.situation}"[:width])


STYLES: Final = {"plain": plain, "swaks": swaks, "gateway": gateway}

"""A pasted transcript, judged line by line: what `smtpguard explain FILE` has to say, as values.

Nothing here is about screens. A `Row` is one line that may be shown, with what was found about it; `notes` say what
could not be seen or judged, in whole sentences, so that no silence is taken for a verdict.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from smtpguard.evidence.judge.judge import Found, Judged, judge
from smtpguard.evidence.judge.pieces import Lost, Piece
from smtpguard.evidence.transcripts import Part, Recorded, Said, Transcript, read, record
from smtpguard.evidence.wording import counted
from smtpguard.smtp import Finding, Profile, Section, Side, Verb, Verdict, policy_for

_NOBODY: Final = frozenset({Section.UPSTREAM, Section.LIMITS})
NO_VALID_RECIPIENTS: Final = "554 5.5.1 No valid recipients"


@dataclass(slots=True)
class Row:
    """One line of the transcript, or several of content."""

    place: int
    """Number of its line in the text."""
    voice: str
    """`C` client, `S` what it heard, `*` what happened."""
    text: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def mark(self) -> str:
        """`!` where somebody is blamed, `-` where a rule fired and nobody is, else a blank."""
        if not self.findings:
            return " "
        return "!" if any(map(blames_client, self.findings)) else "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What there is to say about a transcript."""

    transcript: Transcript
    judged: Judged
    profile: Profile
    rows: tuple[Row, ...]
    findings: tuple[tuple[int, Finding], ...]
    """Each with the number of its line, in the order of the text."""
    notes: tuple[str, ...]
    """What could not be seen or judged."""
    items: int
    """Of the record that was judged."""

    @property
    def summary(self) -> str:
        """How much was read and found, in one or two sentences."""
        sent = sum(one.part in (Part.COMMAND, Part.SASL) for one in self.transcript.said)
        heard = sum(one.part is Part.REPLY and one.octets[3:4] != b"-" for one in self.transcript.said)
        read_ = f"{counted(len(self.rows), 'line')} with {counted(sent, 'command')} and "
        read_ += ("1 reply" if heard == 1 else f"{heard} replies") + " were read"
        blamed = Counter(one.rule.id for _, one in self.findings if blames_client(one))
        others = len(self.findings) - blamed.total()
        if self.judged.judged_from >= self.items and not self.judged.gaps:
            return f"{read_}. None of it could be judged."
        if not self.findings:
            return f"{read_}. Nothing is out of order in what could be judged."
        words = ", ".join(f"{rule} {count}" if count > 1 else rule for rule, count in sorted(blamed.items()))
        against = counted(blamed.total(), "finding") if blamed else "No finding"
        told = f"{read_}. {against} against the client" + (f" ({words})" if words else "")
        return told + (f", {others} that {'blames' if others == 1 else 'blame'} nobody." if others else ".")


def explain_transcript(octets: bytes, form: str | None = None, profile: Profile = Profile.STANDARD) -> Account:
    """Judge the transcript in a text.

    Args:
        octets: the text as it is.
        form: the name of its form; None: find it out.
        profile: whose verdicts count.

    Raises:
        NoTranscriptError: there is none in it.
    """
    transcript = read(octets, form)
    made = record(transcript)
    judged = judge(made.items, policy_for(profile), start=transcript.start, tls=transcript.tls)
    rows, of_line = _rows(transcript.said)
    placed = []
    for found in judged.findings:
        line = _line_of(found, made)
        placed.append((line.place if line else 0, found.finding))
        if line is not None:
            of_line[id(line)].findings.append(found.finding)
    placed.sort(key=lambda pair: pair[0])
    return Account(
        transcript=transcript,
        judged=judged,
        profile=profile,
        rows=tuple(rows),
        findings=tuple(placed),
        notes=tuple(_notes(transcript, made, judged)),
        items=len(made.items),
    )


def blames_client(finding: Finding) -> bool:
    """Tell whether a finding counts against the client."""
    return not finding.consequence and finding.rule.section not in _NOBODY


def enforcement(finding: Finding) -> str:
    """Say what a guard in mode enforce does."""
    answer = finding.rule.answer
    said = f"{answer.code} {answer.enhanced} {answer.text}" if answer is not None else ""
    if finding.consequence:
        said = NO_VALID_RECIPIENTS if finding.rule.id == "SG104" else said
        if finding.enforced is Verdict.NOTE:
            return "passed on, and nobody is blamed: it may have been sent before the refusal was read"
        return f"answered {said}, and nobody is blamed: it may have been sent before the refusal was read"
    match finding.enforced:
        case Verdict.REFUSE:
            return f"refused, and not passed on: {said}"
        case Verdict.CLOSE:
            return f"answered {said}, and the session closed"
        case _:
            return "recorded, and passed on"


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows(said: tuple[Said, ...]) -> tuple[list[Row], dict[int, Row]]:
    """Lay the lines out, content in one row; also find the row of a line."""
    rows: list[Row] = []
    of_line: dict[int, Row] = {}
    streamed: list[Said] = []
    for one in said:
        if one.part in (Part.CONTENT, Part.CHUNK):
            if streamed and streamed[-1].part is one.part:
                rows.pop()
            else:
                streamed = []
            streamed.append(one)
            rows.append(Row(streamed[0].place, "C", _streamed(streamed)))
            of_line.update({id(line): rows[-1] for line in streamed})
            continue
        streamed = []
        if (row := _row(one)) is not None:
            rows.append(row)
            of_line[id(one)] = row
    return rows, of_line


def _streamed(lines: list[Said]) -> str:
    what = "content" if lines[0].part is Part.CONTENT else "chunk"
    if all(line.made_up for line in lines):
        return f"[{what}, left out of the text]"
    return f"[{counted(len(lines), 'line')} of {what}]"


def _row(one: Said) -> Row | None:
    if one.part is Part.TLS:
        return Row(one.place, "*", "(TLS came up)")
    if one.part is Part.LEFT:
        return Row(one.place, "*", f"(the {'client' if one.side is Side.CLIENT else 'server'} closed)")
    if one.made_up:
        return None
    return Row(one.place, "C" if one.side is Side.CLIENT else "S", one.shown)


def _line_of(found: Found, made: Recorded) -> Said | None:
    return made.line_at(found.octet)


# --- what could not be seen ------------------------------------------------------------------------------------------


def _notes(transcript: Transcript, made: Recorded, judged: Judged) -> Iterator[str]:
    yield from _about_beginning(made, judged)
    if judged.judged_from >= len(made.items) and not judged.gaps:
        return
    yield from _about_what_is_hidden(transcript, judged)
    yield from _about_gaps(made, judged)
    yield from _about_end(transcript, made, judged)


def _about_beginning(made: Recorded, judged: Judged) -> Iterator[str]:
    if judged.began == "greeting":
        return
    hello = next((one for one in _lines(made, judged.judged_from) if one.verb in (Verb.EHLO, Verb.HELO)), None)
    if hello is None:
        yield (
            "The text begins in the middle of a session, and no EHLO or HELO with its reply follows, so nothing could "
            "be judged: the state before the first line is unknown. Paste it from the greeting (220) on."
        )
    elif judged.judged_from:
        yield (
            f"The text begins in the middle of a session. It was judged from line {hello.place}, the first EHLO or "
            "HELO that has a reply: the state before it is unknown."
        )
    else:
        yield "The text begins behind the greeting; it was judged from its EHLO or HELO on."


def _lines(made: Recorded, first: int) -> Iterator[Said]:
    """Yield the lines of CLIENT from an item of the record on."""
    octet = 0
    for place, item in enumerate(made.items):
        if not isinstance(item, Piece) or item.side is not Side.CLIENT:
            continue
        if place >= first and (line := made.line_at(octet)) is not None:
            yield line
        octet += len(item.octets)


def _about_what_is_hidden(transcript: Transcript, judged: Judged) -> Iterator[str]:
    said, at_server = transcript.said, transcript.form.at_server
    last = next((one for one in reversed(said) if one.part is Part.REPLY), None)
    if judged.opaque_from is not None or (last and last.verb is Verb.STARTTLS and last.octets.startswith(b"220")):
        yield "Not visible: what was said behind STARTTLS."
    if any(one.made_up and one.part is Part.CONTENT for one in said):
        yield "Not visible: message content, which the text leaves out; so it was not judged."
    elif any(one.part is Part.CONTENT for one in said) and not (
        transcript.form.whole or transcript.form.name == "smtplib"
    ):
        yield "A text does not tell how lines ended, so bare LF and CR, in commands and in content, were not judged."
    if not transcript.form.timed and len(said) > 1:
        doubt = "; what may have been pipelined behind a refused command blames nobody" if at_server else ""
        yield f"This form does not tell what was sent without waiting for replies, so timing was not judged{doubt}."


def _about_gaps(made: Recorded, judged: Judged) -> Iterator[str]:
    if judged.gaps:
        lost = (place for item, place in zip(made.items, made.places, strict=True) if isinstance(item, Lost))
        place = next(lost, made.places[-1])
        yield (
            f"What was redacted at line {place} decides the state behind it; from there to the next EHLO or HELO with "
            "its reply nothing was judged."
        )


def _about_end(transcript: Transcript, made: Recorded, judged: Judged) -> Iterator[str]:
    last = transcript.said[-1].place
    if judged.parted is not None:
        yield (
            f"The reply at line {made.places[judged.parted]} does not fit what was sent: lines are missing, or what "
            "answered is no SMTP server. What follows was not judged."
        )
    elif judged.unjudged and judged.ended.close.value == "violation":
        closing = max((found.octet for found in judged.findings), default=0)
        line = made.line_at(closing)
        place = f" at line {line.place}" if line is not None else ""
        yield f"smtpguard would have closed the session{place}; what follows in the text was not judged."
    elif judged.unjudged:
        yield "The text goes on behind the end of the session; that was not judged. One session at a time."
    elif made.unsent:
        yield f"{counted(made.unsent, 'line')} of the client could not be judged: replies before are missing."
    elif not judged.complete:
        yield f"The text ends, at line {last}, before the session does."

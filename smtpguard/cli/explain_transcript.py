"""`smtpguard explain FILE`: a pasted transcript, line by line, with the verdict beside the lines that earn one.

What is said comes from `smtpguard.evidence`; here it is laid out. Lines of the wire are wrapped, never cut; what is
said about one stands beneath it, and each rule's own story once, behind the last line.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smtpguard.cli.screen import Style, as_json, fail, say, styled

if TYPE_CHECKING:
    from smtpguard.evidence.judge.explained import Account, Row
    from smtpguard.smtp import Finding

NO_TRANSCRIPT: Final = 65
"""EX_DATAERR of sysexits.h."""

CANNOT_READ: Final = 74
"""EX_IOERR."""

LARGEST: Final = 16 * 1024 * 1024
"""Octets of a text; a transcript of a person has a thousandth of that."""

_STDIN: Final = "-"


def is_transcript(word: str) -> bool:
    """Tell whether a word names a transcript: `-`, or a file that is there, and no rule of that name."""
    if word == _STDIN:
        return True
    from smtpguard.smtp import CATALOGUE  # noqa: PLC0415 - `--help` needs none

    wanted = word.strip().casefold()
    if any(wanted in (rule.id.casefold(), rule.name) for rule in CATALOGUE.values()):
        return False
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def explain_transcript(word: str, form: str | None, profile: str, *, json_wanted: bool, width: int) -> None:
    """Judge the transcript in a file, or on standard input, and print what came of it."""
    from smtpguard.evidence.judge.explained import explain_transcript as judged  # noqa: PLC0415 - `--help` needs none
    from smtpguard.evidence.transcripts import NoTranscriptError  # noqa: PLC0415 - as above
    from smtpguard.smtp import Profile  # noqa: PLC0415 - as above

    try:
        account = judged(_octets(word), form, Profile(profile))
    except NoTranscriptError as error:
        fail(f"{_name(word)}: {error}", NO_TRANSCRIPT)
    if json_wanted:
        as_json(as_object(account))
        return
    for line in screen(account, width):
        say(line)


def _name(word: str) -> str:
    return "standard input" if word == _STDIN else word


def _octets(word: str) -> bytes:
    try:
        if word == _STDIN:
            if sys.stdin.isatty():
                say("paste the transcript, then press Ctrl-D", err=True)
            octets = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(word).open("rb") as file:
                octets = file.read(LARGEST + 1)
    except OSError as error:
        fail(f"{_name(word)} cannot be read: {error.strerror or error}", CANNOT_READ)
    if len(octets) > LARGEST:
        fail(
            f"{_name(word)}: over {LARGEST >> 20} MiB, which is no transcript of one session; `smtpguard replay` "
            "judges captures and audits of any size",
            NO_TRANSCRIPT,
        )
    return octets


# --- the screen -------------------------------------------------------------------------------------------------------

_NOTE: Final = " " * 11


def screen(account: "Account", width: int) -> Iterator[str]:
    """Lay an account out.

    Args:
        account: what is to be said.
        width: columns of the screen.
    """
    form = account.transcript.form
    title = f"{form.what[0].upper()}{form.what[1:]}, judged by profile {account.profile.value}"
    yield from (styled(line, Style.HEADING) for line in textwrap.wrap(title, width))
    yield ""
    told: set[tuple[str, str]] = set()
    for row in account.rows:
        yield from _row(row, width)
        for finding in row.findings:
            yield from _notes(finding, told, width)
    yield ""
    yield from _legend(account, width)
    yield from _rules(account, width)
    yield from _hidden(account, width)
    looks = Style.BAD if any(row.mark == "!" for row in account.rows) else Style.GOOD
    yield ""
    yield from (styled(line, looks) for line in textwrap.wrap(account.summary, width))


def _row(row: "Row", width: int) -> Iterator[str]:
    looks = {"!": Style.BAD, "-": Style.WARNING}.get(row.mark) or (Style.FAINT if row.voice == "*" else None)
    head = f"{row.mark} {row.place:5} {row.voice} "
    lines = _wire(row.text, width - len(head)) or [""]
    for number, line in enumerate(lines):
        text = ((head if number == 0 else " " * len(head)) + line).rstrip()
        yield styled(text, looks) if looks else text


def _wire(text: str, width: int) -> list[str]:
    """Cut a line of the wire at the screen's edge; its blanks stay what they are."""
    return [text[at : at + width] for at in range(0, len(text), width)]


def _notes(finding: "Finding", told: set[tuple[str, str]], width: int) -> Iterator[str]:
    from smtpguard.evidence.judge.explained import blames_client, enforcement  # noqa: PLC0415 - `--help` needs none

    looks = Style.WARNING if blames_client(finding) else Style.FAINT
    rule, cause = finding.rule, finding.cause
    key = (rule.id, cause.value)
    if key in told:
        pairs = [("", f"{rule.id} {rule.name}, as above: {enforcement(finding)}")]
    else:
        pairs = [("", f"{rule.id} {rule.name}: {rule.situation}"), ("enforce", enforcement(finding))]
        if cause.value != "unknown":
            pairs.append(("cause", f"{cause.meaning} [{cause.value}]"))
        pairs.append(("cure", cause.cure if cause.value != "unknown" else rule.cure))
    told.add(key)
    for name, text in pairs:
        first = _NOTE + (f"{name:8}" if name else "")
        for line in textwrap.wrap(
            text, width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
        ):
            yield styled(line, looks)


def _legend(account: "Account", width: int) -> Iterator[str]:
    marks = {row.mark for row in account.rows}
    parts = ["line of the text; C client, S what it heard"]
    parts += ["! at fault"] if "!" in marks else []
    parts += ["- a rule fired, nobody is blamed"] if "-" in marks else []
    yield from (styled(line, Style.FAINT) for line in textwrap.wrap("; ".join(parts), width))


def _rules(account: "Account", width: int) -> Iterator[str]:
    from smtpguard.evidence import explanation  # noqa: PLC0415 - `--help` needs none

    for rule_id in sorted({finding.rule.id for _, finding in account.findings}):
        told = explanation(rule_id)
        yield ""
        yield f"{styled(rule_id, Style.CODE)} {styled(told.rule.name, Style.HEADING)}"
        for text in (told.happened, told.says, f"More: smtpguard explain {rule_id}"):
            yield from textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _hidden(account: "Account", width: int) -> Iterator[str]:
    if account.notes:
        yield ""
        yield styled("What this does not show", Style.HEADING)
    for note in account.notes:
        yield from textwrap.wrap(note, width, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)


# --- JSON -------------------------------------------------------------------------------------------------------------

_VOICES: Final = {"C": "client", "S": "server", "*": "event"}
_MARKS: Final = {"!": "at-fault", "-": "nobody-blamed", " ": None}


def as_object(account: "Account") -> dict[str, Any]:
    """Return an account as JSON has it."""
    from smtpguard.evidence import explanation  # noqa: PLC0415 - `--help` needs none

    rules = sorted({finding.rule.id for _, finding in account.findings})
    return {
        "form": account.transcript.form.name,
        "profile": account.profile.value,
        "begins": account.judged.began,
        "complete": account.judged.complete,
        "lines": [
            {
                "line": row.place,
                "speaker": _VOICES[row.voice],
                "text": row.text,
                "mark": _MARKS[row.mark],
                "rules": [finding.rule.id for finding in row.findings],
            }
            for row in account.rows
        ],
        "findings": [_finding(place, finding) for place, finding in account.findings],
        "rules": [
            {"id": each.rule.id, "name": each.rule.name, "happened": each.happened, "says": each.says}
            for each in map(explanation, rules)
        ],
        "not_shown": list(account.notes),
        "summary": account.summary,
    }


def _finding(place: int, finding: "Finding") -> dict[str, Any]:
    from smtpguard.evidence.judge.explained import blames_client, enforcement  # noqa: PLC0415 - `--help` needs none

    cause = finding.cause
    return {
        "line": place,
        "rule": finding.rule.id,
        "name": finding.rule.name,
        "blames_client": blames_client(finding),
        "consequence": finding.consequence,
        "enforced": finding.enforced.value,
        "done": enforcement(finding),
        "state": finding.state.value,
        "command_number": finding.sequence,
        "expected": [verb.value for verb in finding.expected],
        "cause": {"id": cause.value, "text": cause.meaning, "cure": cause.cure},
        "cure": finding.rule.cure,
    }

"""One session of the audit -> the lines that the page shows, the line at fault marked by a sign and in words.

Of a long session the beginning and what is around the line at fault is shown. Mail addresses are masked, unless they
are asked for. Where the audit holds no transcript, the finding tells the command before, its reply, and the line.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from smtpguard.evidence.mask import masked_all
from smtpguard.evidence.report.words import named, several
from smtpguard.evidence.store import StoredSession, blamed
from smtpguard.evidence.wording import shown
from smtpguard.record import FindingRecord

WHO: Final = {"C": "client", "U": "upstream", "G": "smtpguard"}

HEAD: Final = 4
"""Lines of a session's beginning that are shown: who it is, and what it said first."""

BEFORE: Final = 12
AFTER: Final = 6
"""Lines around a line at fault."""


class Line(NamedTuple):
    """One line, or, in `left_out`, that some are not shown."""

    time: str = ""
    who: str = ""
    text: str = ""
    why: str = ""
    """Of a line at fault: the rule, and what it broke."""
    left_out: str = ""


class Shown(NamedTuple):
    """What the page shows of a session."""

    session: str
    about: str
    lines: tuple[Line, ...] = ()


class _Said(NamedTuple):
    time: str
    who: str
    text: str
    rules: tuple[str, ...] = ()


def transcript(stored: StoredSession | None, session_id: str, rule_id: str, *, full: bool = False) -> Shown:
    """Return the session with the lines at fault marked.

    Args:
        stored: the session; None: it is gone from the audit.
        session_id: its id.
        rule_id: the rule that it is shown for.
        full: show mail addresses.
    """
    if stored is None:
        return Shown(session_id, f"Session {session_id} is not in the audit any more.")
    said, where = _said(stored, rule_id)
    texts = [text for _, _, text, _ in said]
    texts = list(map(shown, texts)) if full else masked_all((who == "C", text) for _, who, text, _ in said)
    lines = [Line(each.time, WHO[each.who], text, _why(each)) for each, text in zip(said, texts, strict=True)]
    return Shown(session_id, f"Session {session_id}, {where}", tuple(_part(lines, _omitted(stored))))


def _said(stored: StoredSession, rule_id: str) -> tuple[list[_Said], str]:
    """Return the lines, and what is to be said of where they come from."""
    lines = stored.end.smtp.transcript if stored.end else ()
    if lines:
        return [_Said(f"{each.t:.3f}", each.dir, each.line, each.rules) for each in lines], (
            "seconds since it began; what smtpguard answered itself is marked as its own."
        )
    finding = next((each for each in stored.findings if blamed(each) and each.rule and each.rule.id == rule_id), None)
    if finding is None:
        return [], "of which the audit holds no line."
    return list(_of_finding(finding)), "of which no transcript was kept (audit.transcript): the finding alone."


def _of_finding(finding: FindingRecord) -> Iterator[_Said]:
    smtp = finding.smtp
    if smtp.previous:
        yield _Said("", "C", smtp.previous.command)
        yield _Said("", "U", f"{smtp.previous.reply_code} {smtp.previous.reply_text}")
    yield _Said("", "C", smtp.line or smtp.command, (finding.rule.id,) if finding.rule else ())
    if smtp.response:
        yield _Said("", "G", f"{smtp.response.code} {smtp.response.enhanced} {smtp.response.text}")


def _why(said: _Said) -> str:
    """Say what is wrong with a line; our own answers carry the rule too, and are not at fault."""
    if not said.rules or said.who == "G":
        return ""
    verb = "breaks" if said.who == "C" else "is"
    return f"this line {verb} {' and '.join(map(named, said.rules))}"


def _omitted(stored: StoredSession) -> int:
    return stored.end.smtp.omitted if stored.end else 0


def _part(lines: Sequence[Line], omitted: int) -> Iterator[Line]:
    """Yield the beginning and what is around each line at fault; say what is not shown."""
    near = set(range(HEAD))
    for place, line in enumerate(lines):
        if line.why:
            near |= set(range(place - BEFORE, place + AFTER + 1))
    if not any(line.why for line in lines):
        near |= set(range(BEFORE + AFTER))
    left = omitted
    for place, line in enumerate(lines):
        if place in near:
            if left:
                yield Line(left_out=several(left, "line"))
            left = 0
            yield line
        else:
            left += 1
    if left:
        yield Line(left_out=several(left, "line"))

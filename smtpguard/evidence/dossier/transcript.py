"""The session that a letter shows: an excerpt for the body, and all of it for the attachment.

Both tell the postmaster what went over his own wire and no more of us than he saw himself: no address of the upstream,
of the listener, or of a balancer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from smtpguard.evidence.dossier.case import Shown
from smtpguard.evidence.explain import Speaker
from smtpguard.evidence.show.styles import Teller, brackets, mark_of
from smtpguard.evidence.show.tale import Said, Tale
from smtpguard.evidence.wording import COLUMNS, counted, moment, shortened, shown

_WHO: Final = "C your host, U our mail server, G our guard before it"
_MARKS: Final = "! out of place; / | \\ sent in one packet"


# --- the excerpt ------------------------------------------------------------------------------------------------------


def excerpt(rule_id: str, example: Shown, room: int) -> Iterator[str]:
    """Yield a heading and the lines around the first one that broke a rule: how it came to that is seen best there.

    Args:
        rule_id: the rule.
        example: the session.
        room: how many lines there may be below the heading.
    """
    when = moment(example.told.began, UTC, digits=0)[:19]
    yield f"Session {example.told.id}, {when} UTC (C you, U and G our side):"
    rows = _rows(example.told)
    fault = next((place for place, row in enumerate(rows) if rule_id in row.rules), 0)
    first, last = _window(len(rows), fault, room)
    yield from (shortened(row.text, COLUMNS) for row in rows[first:last])


@dataclass(frozen=True, slots=True)
class _Excerpted:
    text: str
    rules: frozenset[str]


def _rows(told: Tale) -> list[_Excerpted]:
    """Return the lines, those of one reply as one."""
    rows: list[_Excerpted] = []
    marked = list(zip(told.lines, brackets(told.lines), strict=True))
    place = 0
    while place < len(marked):
        said, bracket = marked[place]
        behind = place + 1
        while behind < len(marked) and _same_reply(marked[behind - 1][0], marked[behind][0]):
            behind += 1
        left_out = behind - place - 1
        charges = [charge for each, _ in marked[place:behind] for charge in each.charges]
        mark = "!" if any(mark_of(each) == "!" for each, _ in marked[place:behind]) else " "
        more = f"  (and {counted(left_out, 'more line')})" if left_out else ""
        text = f"{mark} {said.speaker.value} {bracket} {said.text}{more}"
        rows.append(_Excerpted(text, frozenset(charge.rule_id for charge in charges)))
        place = behind
    return rows


_CONTINUED: Final = re.compile(r"[0-9]{3}-")


def _same_reply(line: Said, behind: Said) -> bool:
    return (
        line.speaker is behind.speaker
        and line.speaker is not Speaker.CLIENT
        and _CONTINUED.match(line.text) is not None
        and line.text[:3] == behind.text[:3]
    )


def _window(length: int, fault: int, room: int) -> tuple[int, int]:
    """Return which lines to show: the one at fault, two behind it, and as many before it as there is room for."""
    last = min(length, fault + 3)
    first = max(0, last - room)
    return first, min(length, first + room)


# --- all of it --------------------------------------------------------------------------------------------------------


def whole(example: Shown) -> Iterator[str]:
    """Yield the lines of the attachment."""
    told, teller = example.told, Teller(COLUMNS + 8)
    yield f"Session {told.id} of {told.client}, HELO name {told.helo or 'none'}"
    yield f"began {moment(told.began, UTC)}; the first column of numbers is seconds since then"
    yield f"{_WHO}; {_MARKS}"
    if not example.whole:
        yield "No transcript was kept; this is what was recorded with the finding."
    yield ""
    if told.omitted:
        yield f"... {counted(told.omitted, 'earlier line')} not kept ..."
    for said, bracket in zip(told.lines, brackets(told.lines), strict=True):
        yield f"{mark_of(said)} {said.after:9.3f} {said.speaker.value} {bracket} {said.text}"
        for charge in said.charges:
            yield from (shown(row.text.replace("§", "section ")) for row in teller.notes(charge))

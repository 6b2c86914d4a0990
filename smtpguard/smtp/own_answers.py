"""A guard's own answers, known by their words: those of the catalogue, and the session's id at the end.

A reply that only looks so comes from another guard behind, which says the same of the same lines.
"""

import re
from typing import Final

from smtpguard.smtp.replies import NO_VALID_RECIPIENTS, Answer
from smtpguard.smtp.rules import CATALOGUE, SG104
from smtpguard.smtp.verdicts import Rule

_SPOKEN: Final = re.compile(
    rb"([45][0-9][0-9] [0-9.]{5} [^\r\n]*?) \[(?:(SG[0-9]{3}) [0-9A-Z]{12}|(SG[0-9]{3})|[0-9A-Z]{12})\]\r\n"
)


def _said(answer: Answer) -> bytes:
    return answer.spoken("", "").removesuffix(b"\r\n")


_RULES: Final[dict[bytes, frozenset[Rule]]] = {}
for _rule in CATALOGUE.values():
    if _rule.answer is not None:
        _RULES[_said(_rule.answer)] = _RULES.get(_said(_rule.answer), frozenset()) | {_rule}
_RULES[_said(NO_VALID_RECIPIENTS)] = frozenset({SG104})


def spoken_by_guard(raw: bytes) -> frozenset[Rule]:
    """Return the rules that a reply can be a guard's own answer to; empty where it is none."""
    if raw[:1] not in (b"4", b"5") or (spoken := _SPOKEN.fullmatch(raw)) is None:
        return frozenset()
    rules = _RULES.get(spoken[1], frozenset())
    named = spoken[2] or spoken[3]
    return frozenset(rule for rule in rules if rule.id.encode() == named) if named else rules

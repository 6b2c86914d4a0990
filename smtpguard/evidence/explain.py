"""Rule id or name -> `Explanation`: the catalogue's row, joined with the rule's file in `explanations/`.

A file holds `happened`, `transcript`, `says` (the RFC), `causes`, `cure`, `[relax]`, and `[answers]` where other
servers were measured in the same situation. A transcript is read line by line:

    U: 250 Ok       the upstream's reply, handed on        G: SG102   our own answer to a finding of that rule
    C: NOOP         the client's line                      *: text    what happens besides
    ! C: NOOP       the line at fault; it was stopped      ~ C: NOOP  the line at fault; it was passed on

Client's lines with nothing between them were sent in one write. A line ends in CRLF, unless it ends in <LF>; <CR>,
<NUL>, <0x16> and <5000 times x> stand for those octets. The tests play every transcript to the engine.

A cause that is a word of `smtp.causes` stands for its sentences there; any other is a sentence of its own. A file that
breaks these rules is a bug of ours and raises KeyError or ValueError.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import Any, Final

from smtpguard.smtp import CATALOGUE, Cause, Profile, Rule, Verdict

SESSION_ID: Final = "1M856DF92690"
"""Stands in the answers of every transcript, where a running guard puts the session's own."""

VERSIONS: Final[Mapping[str, str]] = {
    "Postfix": "3.7, 3.10",
    "Exim": "4.96, 4.98",
    "OpenSMTPD": "7.6",
    "Sendmail": "8.17, 8.18",
    "Haraka": "3.3.4",
}
"""The servers that were measured, in the order of the screen: on loopback, in a stock set-up or near to it."""


class Speaker(Enum):
    """Whose line of a transcript it is."""

    CLIENT = "C"
    UPSTREAM = "U"
    GUARD = "G"
    NOBODY = "*"
    """Something that happens: a deadline, a lost connection."""


class Mark(Enum):
    """What a line of a transcript has to do with the finding."""

    NONE = " "
    STOPPED = "!"
    """At fault, and not passed on to the other side."""
    PASSED = "~"
    """At fault, recorded, and passed on all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a transcript; `text` without its line end, octets in angle brackets still spelt out."""

    mark: Mark
    speaker: Speaker
    text: str
    rule_id: str = ""
    """The rule that an answer of ours belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What other servers answered in the same situation; measured, never guessed."""

    situation: str
    answers: Mapping[str, str]
    """Server -> its answer, in the order of `VERSIONS`."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """A usual cause."""

    text: str
    cause: Cause | None = None
    """The pattern that events name, where the engine can tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that is known about one rule, for a person."""

    rule: Rule
    happened: str
    transcript: tuple[Line, ...]
    says: str
    """What the RFC says: the section and at most one short quotation."""
    measured: Measured | None
    """None where nothing was measured: a limit of our own, a fact about UPSTREAM."""
    causes: tuple[Likely, ...]
    cure: str
    """What stands behind `rule.cure`: more for the sending side, or, of a fact about UPSTREAM, what we can do."""
    relax: str
    """How to relax the rule, or why that cannot be done."""
    settings: tuple[str, ...]
    """Lines for the configuration file, each of which relaxes the rule; empty where nothing does."""

    @property
    def verdict(self) -> Verdict:
        """The verdict of profile standard, which the transcript shows."""
        return self.rule.verdicts[Profile.STANDARD]


class UnknownRuleError(ValueError):
    """There is no such rule; the text says which one may have been meant."""


def explanation(word: str) -> Explanation:
    """Explain the rule that is called so; see `rule_called`.

    Raises:
        UnknownRuleError: no rule has this id or name.
    """
    rule = rule_called(word)
    file = resources.files("smtpguard.evidence") / "explanations" / f"{rule.id}.toml"
    return _read(rule, tomllib.loads(file.read_text(encoding="utf-8")))


def rule_called(word: str) -> Rule:
    """Return the rule with this id or name, in any letter case.

    Raises:
        UnknownRuleError: no rule has this id or name.
    """
    wanted = word.strip().casefold()
    for rule in CATALOGUE.values():
        if wanted in (rule.id.casefold(), rule.name):
            return rule
    raise UnknownRuleError(f"no rule is called {word!r};{_meant(wanted)} `smtpguard rules` lists them")


def _meant(wanted: str) -> str:
    by_name = {rule.name: rule for rule in CATALOGUE.values()}
    by_id = {rule.id.casefold(): rule for rule in CATALOGUE.values()}
    # Ids are all alike, any two share three characters of five, so for them the digits must be right.
    digits = wanted.replace("o", "0").replace("l", "1")[-3:]
    near = [f"sg{digits}"] if f"sg{digits}" in by_id else difflib.get_close_matches(wanted, by_name, n=1)
    if not near:
        return ""
    rule = by_id.get(near[0]) or by_name[near[0]]
    return f" did you mean {rule.id} ({rule.name})?"


def _read(rule: Rule, file: Mapping[str, Any]) -> Explanation:
    return Explanation(
        rule=rule,
        happened=_flowing(file["happened"]),
        transcript=tuple(map(_line, file["transcript"].splitlines())),
        says=_flowing(file["says"]),
        measured=_measured(file["answers"]) if "answers" in file else None,
        causes=tuple(map(_likely, file["causes"])),
        cure=_flowing(file["cure"]),
        relax=_flowing(file["relax"]["text"]),
        settings=tuple(file["relax"]["settings"]),
    )


def _flowing(text: str) -> str:
    """Join the lines of a file: where lines break is the screen's business."""
    return " ".join(text.split())


_LINE: Final = re.compile(r"([ !~]) ([CUG*]):(?: (.*))?")


def _line(source: str) -> Line:
    read = _LINE.fullmatch(source)
    if read is None:
        raise ValueError(f"no line of a transcript: {source!r}")
    mark, speaker, text = Mark(read[1]), Speaker(read[2]), read[3] or ""
    if speaker is not Speaker.GUARD:
        return Line(mark=mark, speaker=speaker, text=text)
    answer = CATALOGUE[text].answer
    if answer is None:
        raise ValueError(f"{text} has no answer of ours")
    spoken = answer.spoken(text, SESSION_ID).decode("ascii").rstrip("\r\n")
    return Line(mark=mark, speaker=speaker, text=spoken, rule_id=text)


def _measured(table: Mapping[str, str]) -> Measured:
    return Measured(
        situation=_flowing(table["situation"]),
        answers={server: table[server] for server in VERSIONS},
        note=_flowing(table.get("note", "")),
    )


_CAUSES: Final[Mapping[str, Cause]] = {cause.value: cause for cause in Cause}


def _likely(entry: str) -> Likely:
    if " " in entry:
        return Likely(text=_flowing(entry))
    cause = _CAUSES[entry]
    return Likely(text=cause.meaning, cause=cause)

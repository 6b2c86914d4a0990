"""`smtpguard rules`: the catalogue as a table, or as JSON with every column of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from smtpguard.cli.screen import Style, as_json, say, styled

if TYPE_CHECKING:
    from smtpguard.smtp import Rule

# The names of `smtp.Section`, in the order of the catalogue; written out, so that `--help` imports no room.
SECTIONS: Final = ("order", "timing", "framing", "foreign", "upstream", "limits")

_LOOKS: Final = {"off": Style.FAINT, "refuse": Style.WARNING, "close": Style.BAD}


@click.command()
@click.option(
    "--section",
    "sections",
    type=click.Choice(SECTIONS, case_sensitive=False),
    multiple=True,
    help="Only this part of the catalogue; may be given again.",
)
@click.option("--json", "json_wanted", is_flag=True, help="Print a list of objects, with situation, RFC and cure.")
def rules(sections: tuple[str, ...], json_wanted: bool) -> None:
    """List the rules and what each leads to.

    Verdicts: off, note (forward and record), refuse (answer it ourselves, go on), close (answer, end the session).
    A safe rule's verdict holds in every mode and profile.
    """
    from smtpguard.smtp import CATALOGUE  # noqa: PLC0415 - `--help` needs none

    wanted = [rule for rule in CATALOGUE.values() if not sections or rule.section.name.lower() in sections]
    if json_wanted:
        as_json([as_object(rule) for rule in wanted])
        return
    for line in _table(wanted):
        say(line)


def as_object(rule: "Rule") -> dict[str, Any]:
    """Return a row of the catalogue as JSON tells it."""
    answer = rule.answer
    return {
        "id": rule.id,
        "name": rule.name,
        "section": rule.section.name.lower(),
        "situation": rule.situation,
        "reference": rule.reference,
        "verdicts": {profile.value: verdict.value for profile, verdict in rule.verdicts.items()},
        "safe": rule.safe,
        "answer": {"code": answer.code, "enhanced": answer.enhanced, "text": answer.text} if answer else None,
        "cure": rule.cure,
    }


def _table(rules: Sequence["Rule"]) -> list[str]:
    lines: list[str] = []
    for place, rule in enumerate(rules):
        if place == 0 or rule.section is not rules[place - 1].section:
            lines += ["", *_head(rule.section.value)] if lines else _head(rule.section.value)
        lines.append(_row(rule))
    return [*lines, "", *_FOOT]


def _head(title: str) -> list[str]:
    columns = f"{'':38}{'strict':8}{'standard':10}{'lenient':9}{'answer':11}safe"
    return [styled(title, Style.HEADING) + styled(columns[len(title) :], Style.FAINT)]


def _row(rule: "Rule") -> str:
    strict, standard, lenient = (verdict.value for verdict in rule.verdicts.values())
    answer = f"{rule.answer.code} {rule.answer.enhanced}" if rule.answer else "-"
    row = styled(rule.id, Style.CODE) + f" {rule.name:32}"
    row += _verdict(strict, 8) + _verdict(standard, 10) + _verdict(lenient, 9)
    return row + (f"{answer:11}{styled('safe', Style.GOOD)}" if rule.safe else answer)


def _verdict(word: str, width: int) -> str:
    looks = _LOOKS.get(word)
    return (styled(word, looks) if looks else word) + " " * (width - len(word))


_FOOT: Final = (
    "off: forward. note: forward and record. refuse: answer it ourselves, go on.",
    "close: answer, end the session. safe: in every mode and profile.",
    'Change one: policy.rules.SG105 = "note".  About one: smtpguard explain SG105',
)

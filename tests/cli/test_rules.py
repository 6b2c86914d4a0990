"""The verb `rules`: a table that fits any terminal, and the catalogue as JSON."""

import json
from itertools import groupby

import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from smtpguard.cli.rules import SECTIONS
from smtpguard.smtp import CATALOGUE, Profile


def rules(*arguments: str, color: bool = False) -> Result:
    """Run the verb."""
    return CliRunner().invoke(main, ["rules", *arguments], color=color)


def test_every_rule_has_a_row() -> None:
    """Each rule stands in its section's part of the table, with its verdicts, its answer and whether it is safe."""
    done = rules()
    assert done.exit_code == 0
    parts = done.stdout.split("\n\n")
    catalogue = [list(part) for _, part in groupby(CATALOGUE.values(), key=lambda rule: rule.section)]
    assert len(parts) == len(catalogue) + 1
    for part, wanted in zip(parts, catalogue, strict=False):
        head, *rows = part.splitlines()
        assert head.split() == [*wanted[0].section.value.split(), "strict", "standard", "lenient", "answer", "safe"]
        assert [row.split() for row in rows] == [
            [
                rule.id,
                rule.name,
                *(rule.verdicts[profile].value for profile in Profile),
                *([str(rule.answer.code), rule.answer.enhanced] if rule.answer else ["-"]),
                *(["safe"] if rule.safe else []),
            ]
            for rule in wanted
        ]


def test_columns_stand_below_their_heads() -> None:
    """Every verdict, answer and mark begins below the head of its column, and a row fits 80 columns."""
    lines = rules().stdout.splitlines()
    head = next(line for line in lines if line.startswith("Order"))
    rows = [line for line in lines if line.startswith("SG")]
    assert len(rows) == len(CATALOGUE)
    for title in ("strict", "standard", "lenient", "answer"):
        column = head.index(title)
        assert all(row[column - 1] == " " != row[column] for row in rows)
    assert {row.index("safe", 60) for row in rows if row.endswith("safe")} == {head.index("safe")}
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("section", SECTIONS)
def test_one_section(section: str) -> None:
    """`--section` shows one part of the catalogue; its words are those of the protocol room, in order."""
    shown = [row.split()[0] for row in rules("--section", section.upper()).stdout.splitlines() if row.startswith("SG")]
    assert shown == [rule.id for rule in CATALOGUE.values() if rule.section.name.lower() == section]
    assert shown


def test_the_sections_are_those_of_the_catalogue() -> None:
    """The words of `--section` are written out, and none is missing."""
    assert list(SECTIONS) == [name for name, _ in groupby(rule.section.name.lower() for rule in CATALOGUE.values())]


def test_an_unknown_section() -> None:
    """A wrong section is a usage error that lists the right ones."""
    done = rules("--section", "ordre")
    assert done.exit_code == 2
    assert all(section in done.stderr for section in SECTIONS)


def test_json() -> None:
    """`--json` gives a list of objects with every column of the catalogue."""
    done = rules("--json", "--section", "order", "--section", "timing", color=True)
    objects = json.loads(done.stdout)
    assert [each["id"] for each in objects] == [
        rule.id for rule in CATALOGUE.values() if rule.section.name in ("ORDER", "TIMING")
    ]
    assert objects[0] == {
        "id": "SG101",
        "name": "mail-before-hello",
        "section": "order",
        "situation": "MAIL with no accepted EHLO or HELO, or none since TLS came up",
        "reference": "RFC 5321 §4.1.1.1, §4.1.4; RFC 3207 §4.2",
        "verdicts": {"strict": "refuse", "standard": "refuse", "lenient": "note"},
        "safe": False,
        "answer": {"code": 503, "enhanced": "5.5.1", "text": "Bad sequence of commands: send EHLO first"},
        "cure": "Send EHLO (or HELO) and wait for its 250 before MAIL, again after STARTTLS.",
    }
    assert objects[-1]["answer"] is None


def test_colours() -> None:
    """There is colour where it can be shown, and the same text without it."""
    coloured, plain = rules(color=True).stdout, rules().stdout
    assert "\x1b[" in coloured
    assert "\x1b" not in plain

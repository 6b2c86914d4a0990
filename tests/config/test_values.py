"""Single values: durations, words, rules."""

import math
from pathlib import Path

import pytest

from smtpguard.config.values import (
    parse_duration,
    parse_forbidden_word,
    parse_path,
    parse_size,
    parse_target,
    parse_verdict,
    rule_to_change,
    similar,
    verdicts_of,
    with_rule_ids,
)
from smtpguard.smtp import CATALOGUE, FORBIDDEN_WORDS, Rule, Verdict

DURATIONS: dict[object, float] = {
    "30s": 30.0,
    "5m": 300.0,
    "1h": 3600.0,
    "1d": 86400.0,
    "250ms": 0.25,
    "1.5h": 5400.0,
    "90": 90.0,
    90: 90.0,
    0.5: 0.5,
}


@pytest.mark.parametrize("value", DURATIONS)
def test_durations(value: object) -> None:
    """A number is seconds; a text may name its unit."""
    assert parse_duration(value) == pytest.approx(DURATIONS[value])


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        0.0,
        math.nan,
        math.inf,
        "0s",
        "inf",
        "nan",
        "-5s",
        "5 m",
        "5M",
        "m",
        "",
        "5m\n",
        "1e3",
        "٣s",
        True,
        None,
        [],
    ],
    ids=ascii,
)
def test_no_durations(value: object) -> None:
    """Nothing else is a duration: no sign, no blank, no other digits, nothing without an end."""
    with pytest.raises(ValueError, match="seconds above 0"):
        parse_duration(value)


SIZES: dict[object, int] = {
    0: 0,
    4096: 4096,
    "4096": 4096,
    "0": 0,
    "500MB": 500_000_000,
    "2GB": 2_000_000_000,
    "1GiB": 1_073_741_824,
    "1.5KiB": 1536,
    "0.1TB": 100_000_000_000,
    "999999999999999999TiB": 999999999999999999 * 1024**4,
}


@pytest.mark.parametrize("value", SIZES)
def test_sizes(value: object) -> None:
    """A number is octets; a text may name its unit, of 1000 or of 1024."""
    assert parse_size(value) == SIZES[value]


@pytest.mark.parametrize(
    "value", [-1, 1.0, "-1", "1.5", "2 GB", "2gb", "2G", "GB", "", "2GB\n", "1e3", "٣MB", True, None, []], ids=ascii
)
def test_no_sizes(value: object) -> None:
    """Nothing else is a size."""
    with pytest.raises(ValueError, match="octets, or text such as '500MB'"):
        parse_size(value)


def test_forbidden_words() -> None:
    """Every verb of SG405 can be named, in any case, and nothing else."""
    assert {parse_forbidden_word(word.decode().lower()) for word in FORBIDDEN_WORDS} == FORBIDDEN_WORDS
    with pytest.raises(ValueError, match=r"one of .*; did you mean 'XCLIENT'"):
        parse_forbidden_word("XCLEINT")
    with pytest.raises(ValueError, match="one of 'ATRN'"):
        parse_forbidden_word("MAIL")
    with pytest.raises(ValueError, match="one of 'ATRN'"):
        parse_forbidden_word(7)


def test_paths() -> None:
    """A path is text without NUL."""
    assert parse_path("audit/events") == Path("audit/events")
    broken: tuple[object, ...] = ("", "a\0b", 7, None, [])
    for value in broken:
        with pytest.raises(ValueError, match="a path in quotes"):
            parse_path(value)


def test_log_targets() -> None:
    """A stream by name, or a file by a path that cannot be taken for a name."""
    assert [parse_target(each) for each in ("stdout", "stderr", "journal", "syslog", "./a.log")] == [
        "stdout", "stderr", "journal", "syslog", "./a.log",
    ]  # fmt: skip
    for value in ("sysloq", "mail.log", "", 3, "/a\0"):
        with pytest.raises(ValueError, match=r"^one of 'stdout', 'stderr', 'journal', 'syslog', or the path"):
            parse_target(value)


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=str)
def test_every_rule(row: Rule) -> None:
    """A rule takes exactly the verdicts it can carry out; a safe one takes none, and says why."""
    for verdict in Verdict:
        if row.safe:
            with pytest.raises(ValueError, match=f"{row.id} .* is safe"):
                parse_verdict((row.id, verdict.value))
        elif verdict in verdicts_of(row):
            assert parse_verdict((row.id, verdict.value)) is parse_verdict((row.id, verdict)) is verdict
        else:
            with pytest.raises(ValueError, match="one of 'off', 'note'"):
                parse_verdict((row.id, verdict.value))


def test_default_verdicts_can_be_written() -> None:
    """No rule's own default is a verdict that the configuration would refuse."""
    assert not [row.id for row in CATALOGUE.values() if not set(row.verdicts.values()) <= set(verdicts_of(row))]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("SG0104", "'SG104'"), ("sg104", "'SG104'"), ("nested-mail", "'SG105' (nested-mail)"), ("early-taker", "'SG201'")],
)
def test_meant_rule(word: str, hint: str) -> None:
    """A rule that does not exist is led to the one that was meant, by id or by name."""
    with pytest.raises(ValueError) as caught:
        rule_to_change(word)
    assert str(caught.value).startswith(f"no such rule; did you mean {hint}")


def test_unknown_rule() -> None:
    """Where nothing is near nothing is suggested."""
    with pytest.raises(ValueError, match=r"^no such rule$"):
        rule_to_change("X")


def test_pairing() -> None:
    """Entries are paired with their keys; what is no table is left for pydantic to refuse."""
    assert with_rule_ids({"SG101": "off"}) == {"SG101": ("SG101", "off")}
    assert with_rule_ids(["SG101"]) == ["SG101"]
    with pytest.raises(ValueError, match="a verdict"):
        parse_verdict("off")


def test_similar() -> None:
    """The nearest word is found whatever its case; a far one is not."""
    assert similar("UPSTREM", ["listen", "upstream"]) == "upstream"
    assert similar("zzz", ["listen", "upstream"]) is None

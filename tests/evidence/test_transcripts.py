"""Every transcript of an explanation is what the engine does, in profile standard."""

import tomllib
from dataclasses import replace
from typing import Final

import pytest

from smtpguard.evidence import Explanation, Line, Mark, Speaker, explanation
from smtpguard.smtp import CATALOGUE, Limits, Policy, Profile, Verdict, policy_for, table
from smtpguard.smtp.desk import UNNAMED
from smtpguard.smtp.syntax import parse_command, parse_overlong
from tests.evidence.player import Turn, found, octets, play

NOT_OF_THE_ENGINE: Final = {
    "SG606": "said by the gate, before there is a session",
    "SG607": "no client is put under penalty",
}
"""Rules whose transcript cannot be played to a Session, with the reason."""

PLAYED: Final = [rule_id for rule_id in CATALOGUE if rule_id not in NOT_OF_THE_ENGINE]
EVERY = pytest.mark.parametrize("rule_id", PLAYED)


def names_of(rule_id: str, marked: Line) -> set[bytes]:
    """Return what an event may say of a marked line of CLIENT."""
    line = octets(marked.text)
    match rule_id:
        case "SG204":
            return {b"DATA"}  # content is never stored, so the event names the command that it came ahead of
        case "SG201" | "SG206" | "SG304" | "SG305" | "SG401" | "SG402" | "SG403" | "SG404":
            return {b"", UNNAMED.redacted}  # no command, so nothing of it is kept
        case "SG303":
            return {parse_overlong(line).redacted}
        case _:
            return {parse_command(line).redacted}


def marked_line(told: Explanation) -> Line:
    """Return the one line of a transcript that is marked."""
    (line,) = [line for line in told.transcript if line.mark is not Mark.NONE]
    return line


def played(told: Explanation) -> tuple[list[Turn], int]:
    """Play a transcript in profile standard; return its turns, and the number of the marked one."""
    came = play(told.transcript, policy_for(Profile.STANDARD))
    marked = marked_line(told)
    return came, next(number for number, turn in enumerate(came) if any(line is marked for line in turn.lines))


@pytest.mark.parametrize("rule_id", CATALOGUE)
def test_one_line_is_marked(rule_id: str) -> None:
    """A transcript has exactly one marked line, of CLIENT where CLIENT is to blame, and ends soon behind it."""
    told = explanation(rule_id)
    line = marked_line(told)
    assert len(told.transcript) - told.transcript.index(line) <= 7
    if line.mark is Mark.PASSED:
        assert line.speaker in (Speaker.CLIENT, Speaker.UPSTREAM)


@EVERY
def test_what_the_client_hears(rule_id: str) -> None:
    """Turn by turn, CLIENT hears the replies handed on and our own answers, octet for octet, and nothing else."""
    came, _ = played(explanation(rule_id))
    assert [turn.down for turn in came] == [turn.expected_down for turn in came]


@EVERY
def test_what_the_upstream_gets(rule_id: str) -> None:
    """UPSTREAM gets CLIENT's lines as they were sent, less the one that was stopped and what stood behind it."""
    came, _ = played(explanation(rule_id))
    expected = b"".join(turn.expected_up for turn in came)
    assert b"".join(turn.up for turn in came) == expected


@EVERY
def test_the_finding_is_on_the_marked_line(rule_id: str) -> None:
    """The rule fires once, for the marked line, with the verdict of profile standard, and was passed on as marked."""
    told = explanation(rule_id)
    came, number = played(told)
    marked = marked_line(told)
    ((where, finding),) = found(came, rule_id)
    assert where == number or (where > number and finding.sent_ahead)
    assert finding.verdict is told.rule.verdicts[Profile.STANDARD]
    assert not finding.consequence
    if marked.speaker is Speaker.CLIENT:
        assert finding.forwarded is (marked.mark is Mark.PASSED)
        assert finding.line in names_of(rule_id, marked)


@EVERY
def test_no_other_rule_fires(rule_id: str) -> None:
    """A transcript shows one thing, so no other finding disturbs it; SG601 counts those that it is about."""
    came, _ = played(explanation(rule_id))
    others = {finding.rule.id for turn in came for finding in turn.findings} - {rule_id}
    assert others == ({"SG102"} if rule_id == "SG601" else set())


@pytest.mark.parametrize("rule_id", NOT_OF_THE_ENGINE)
def test_what_the_engine_does_not_say(rule_id: str) -> None:
    """The transcript of a rule outside the engine is one event and the catalogue's answer."""
    event, answer = explanation(rule_id).transcript
    assert event.speaker is Speaker.NOBODY
    assert answer.rule_id == rule_id


# --- how to relax it --------------------------------------------------------------------------------------------------


def relaxed(setting: str) -> Policy | None:
    """Return the policy that one line of configuration makes, None where it is not about the engine's policy."""
    read = tomllib.loads(setting)
    match read:
        case {"policy": {"rules": dict(changes)}}:
            rulings = table(
                Profile.STANDARD, observing=False, changes={name: Verdict(word) for name, word in changes.items()}
            )
            return Policy(before_auth=rulings, after_auth=rulings)
        case {"policy": {"unsafe-forwarded-verbs": list(words)}}:
            return replace(policy_for(), forwarded_words=frozenset(word.encode("ascii") for word in words))
        case {"limits": {"violations": int(count)}}:
            return replace(policy_for(), limits=Limits(violations=count))
        case {"limits": {"empty-commands": int(count)}}:
            return replace(policy_for(), limits=Limits(empty_commands=count))
        case {"limits": {"command-line": int(count)}}:
            return replace(policy_for(), limits=Limits(command_line=count))
        case _:
            return None


RELAXED: Final = [
    (rule_id, setting) for rule_id in PLAYED for setting in explanation(rule_id).settings if relaxed(setting)
]


@pytest.mark.parametrize(("rule_id", "setting"), RELAXED)
def test_a_setting_relaxes_the_rule(rule_id: str, setting: str) -> None:
    """With the setting that an explanation names, the same lines are noted at most, and nothing of ours is said."""
    policy = relaxed(setting)
    assert policy is not None
    told = explanation(rule_id)
    came = play(told.transcript, policy)
    verdicts = {finding.verdict for _, finding in found(came, rule_id)}
    assert all(verdict.severity < told.verdict.severity for verdict in verdicts)
    assert verdicts == ({Verdict.NOTE} if '"note"' in setting else set())
    if told.rule.section.name != "UPSTREAM":
        assert not any(f"[{rule_id} ".encode() in turn.down for turn in came)


def test_what_cannot_be_relaxed() -> None:
    """No setting is named where none works: five safe rules, and SG607 that never fires."""
    assert [rule_id for rule_id in CATALOGUE if not explanation(rule_id).settings] == [
        "SG107", "SG205", "SG302", "SG304", "SG306", "SG607",
    ]  # fmt: skip

"""The files of explanations: one per rule, whole, true to the catalogue, to the causes and to the settings."""

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest

from smtpguard.config import Config, load
from smtpguard.config.wording import settings
from smtpguard.evidence import Explanation, Speaker, UnknownRuleError, explanation, rule_called
from smtpguard.evidence.explain import VERSIONS
from smtpguard.smtp import CATALOGUE
from smtpguard.smtp.causes import PATTERNS

FOLDER: Final = resources.files("smtpguard.evidence") / "explanations"
EVERY = pytest.mark.parametrize("rule_id", CATALOGUE)

NOT_MEASURED: Final = [
    "SG115",  # none of the servers was set up to greet with a refusal
    "SG501", "SG502", "SG503",  # about the upstream itself
    "SG601", "SG602", "SG603", "SG604", "SG605", "SG606", "SG607",  # limits of our own; theirs were raised
]  # fmt: skip
"""Rules without a table of other servers' answers."""

CODE: Final = re.compile(r"\b[0-9]{3}\b")


def file_of(rule_id: str) -> dict[str, Any]:
    """Read a rule's file as it stands."""
    return tomllib.loads((FOLDER / f"{rule_id}.toml").read_text(encoding="utf-8"))


def test_one_file_per_rule() -> None:
    """Every rule of the catalogue has a file, and no file is left over."""
    assert sorted(file.name for file in FOLDER.iterdir()) == sorted(f"{rule_id}.toml" for rule_id in CATALOGUE)


KEY = r"\b(?:policy|limits|timeouts|tls|identity)\.[a-z-]*[a-z]"


@EVERY
def test_every_field_is_there(rule_id: str) -> None:
    """A file has each field, none that the catalogue owns, and nothing else."""
    file = file_of(rule_id)
    assert list(file) == [
        "happened",
        "transcript",
        "says",
        "causes",
        "cure",
        *(["answers"] * ("answers" in file)),
        "relax",
    ]
    assert list(file["relax"]) == ["settings", "text"]
    texts = [file["happened"], file["says"], file["cure"], file["relax"]["text"], *file["causes"]]
    assert all(text.strip() for text in texts)
    assert file["causes"]


@EVERY
def test_a_colleague_speaks(rule_id: str) -> None:
    """What happened is told in two to five sentences of moderate length, and each text ends with a full stop."""
    told = explanation(rule_id)
    sentences = re.findall(r"[^.!?]+[.!?](?:\s|$)", told.happened)
    assert 2 <= len(sentences) <= 5
    assert max(len(sentence.split()) for sentence in sentences) <= 45
    ends = [told.happened, told.says, told.cure, told.relax, *(each.text for each in told.causes)]
    assert [text[-2:] for text in ends if not re.search(r"""[.][")]?$""", text)] == []


@EVERY
def test_the_catalogue_owns_its_facts(rule_id: str) -> None:
    """A file repeats neither the cure nor the answer of the catalogue."""
    rule, text = CATALOGUE[rule_id], (FOLDER / f"{rule_id}.toml").read_text(encoding="utf-8")
    assert rule.cure not in text
    assert rule.answer is None or rule.answer.text not in text


def test_who_was_not_measured() -> None:
    """Only these rules have no table of answers; nothing is invented for them."""
    assert [rule_id for rule_id in CATALOGUE if explanation(rule_id).measured is None] == NOT_MEASURED


@EVERY
def test_answers_are_reply_codes(rule_id: str) -> None:
    """Each server's answer holds a reply code, and only codes that SMTP has (RFC 5321 §4.2)."""
    measured = explanation(rule_id).measured
    if measured is None:
        assert rule_id in NOT_MEASURED
        return
    assert list(measured.answers) == list(VERSIONS)
    for answer in measured.answers.values():
        codes = CODE.findall(answer)
        assert codes
        assert all(re.fullmatch(r"[2-5][0-5][0-9]", code) for code in codes)


@EVERY
@pytest.mark.parametrize("server", ["Postfix", "Exim"])
def test_answers_begin_with_a_code(rule_id: str, server: str) -> None:
    """Postfix's and Exim's answers begin with a reply code, behind the version where versions differ."""
    measured = explanation(rule_id).measured
    if measured is not None:
        answer = measured.answers[server].removeprefix("3.10: ")
        assert re.match(r"[2-5][0-5][0-9]\b", answer) or answer == "closes without the 250"


@EVERY
def test_causes_are_those_of_the_engine(rule_id: str) -> None:
    """The causes that the engine can name for a rule are told, and no other of its causes."""
    possible = {cause for rules, _, cause in PATTERNS if CATALOGUE[rule_id] in rules}
    assert {each.cause for each in explanation(rule_id).causes if each.cause} == possible


SETTINGS: Final = [setting for rule_id in CATALOGUE for setting in explanation(rule_id).settings]


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_exist(setting: str, tmp_path: Path) -> None:
    """Each setting that an explanation names is accepted in a configuration file."""
    file = tmp_path / "smtpguard.toml"
    file.write_text(f'listen = ["127.0.0.1:2525"]\nupstream = "127.0.0.1:25"\n{setting}\n')
    load(file)


@EVERY
def test_settings_named_in_the_text(rule_id: str) -> None:
    """A key that a text names by its table is a key of the settings."""
    told = explanation(rule_id)
    known = {".".join(map(str, path)) for path in settings(Config)}
    assert set(re.findall(KEY, f"{told.happened} {told.relax}")) <= known


@EVERY
def test_answers_of_ours_are_the_catalogue_s(rule_id: str) -> None:
    """Our own lines are the catalogue's answers, with rule id and session id as a running guard says them."""
    for line in explanation(rule_id).transcript:
        if line.speaker is Speaker.GUARD:
            answer = CATALOGUE[line.rule_id].answer
            assert answer is not None
            assert line.text == f"{answer.code} {answer.enhanced} {answer.text} [{line.rule_id} 1M856DF92690]"


@pytest.mark.parametrize("word", ["SG105", "sg105", " Sg105 ", "nested-mail", "Nested-Mail"])
def test_rules_by_id_and_by_name(word: str) -> None:
    """A rule is found by its id and by its name, in any letter case."""
    assert rule_called(word) is CATALOGUE["SG105"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("nestd-mail", " did you mean SG105 (nested-mail)?"),
        ("SG1O5", " did you mean SG105 (nested-mail)?"),
        ("105", " did you mean SG105 (nested-mail)?"),
        ("S105", " did you mean SG105 (nested-mail)?"),
        ("999", ""),
        ("greylisting", ""),
        ("", ""),
    ],
)
def test_unknown_rules(word: str, meant: str) -> None:
    """An unknown word tells which rule was meant, where one is near, and where the list is."""
    with pytest.raises(UnknownRuleError) as caught:
        explanation(word)
    assert str(caught.value) == f"no rule is called {word!r};{meant} `smtpguard rules` lists them"


def test_explanations_are_values() -> None:
    """The same rule gives the same explanation, and nothing of it can be changed."""
    told = explanation("SG101")
    assert told == explanation("mail-before-hello")
    assert isinstance(told, Explanation)
    with pytest.raises(AttributeError):
        told.happened = "nothing"  # type: ignore[misc]

"""README says what the code does: the tables of rules and settings, its sample, the commands, the verbs."""

import re
from pathlib import Path

import pytest

from smtpguard.cli.command import VERBS
from smtpguard.config import load
from smtpguard.config.describe import Setting, sections
from smtpguard.config.written import value_text
from smtpguard.smtp import CATALOGUE, Profile

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rule_table() -> str:
    """Print the catalogue as README shows it."""
    lines = ["| id | name | situation | strict / standard / lenient | answer |", "|---|---|---|---|---|"]
    for rule in CATALOGUE.values():
        verdicts = " / ".join(rule.verdicts[profile].value for profile in Profile)
        safe = "**safe** " if rule.safe else ""
        answer = f"{rule.answer.code} {rule.answer.enhanced}" if rule.answer else ""
        lines.append(f"| {rule.id} | {rule.name} | {rule.situation} | {safe}{verdicts} | {answer} |")
    return "\n".join(lines)


def settings_table() -> str:
    """Print the settings as README shows them; a listener's own tables have the keys of the common ones."""
    lines = ["| key | default | what |", "|---|---|---|"]
    for section in sections():
        if section.path[:1] != ("listener",):
            lines += [f"| `{_key(each)}` | {_default(each)} | {_cell(each.description)} |" for each in section.settings]
    return "\n".join(lines)


def _key(setting: Setting) -> str:
    return ".".join(map(str, setting.path))


def _default(setting: Setting) -> str:
    if setting.default in (None, [], {}):
        return "required" if setting.required else ""
    return f"`{value_text(setting.default, lasting=setting.lasting)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def printed(name: str) -> str:
    """Return what stands between README's marks of that name."""
    return re.split(rf"<!-- {name}: .* -->\n|\n?<!-- /{name} -->", README)[1]


def test_the_settings_table_is_the_model() -> None:
    """README's table of settings is printed from the models, key by key."""
    assert printed("settings") == settings_table()


def test_the_sample_is_a_configuration(tmp_path: Path) -> None:
    """README's sample file is taken as it stands."""
    (sample,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "smtpguard.toml").write_text(sample, encoding="utf-8")
    assert load(tmp_path / "smtpguard.toml").config.listener


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_told(verb: str) -> None:
    """Each verb has its row."""
    assert re.search(rf"^\| `smtpguard {verb}\b", README, re.MULTILINE)


def test_the_rule_table_is_the_catalogue() -> None:
    """README's table of rules is printed from the code, row by row."""
    assert printed("rules") == rule_table()


def test_ci_runs_readmes_test_command() -> None:
    """`.ci/run` runs the command of README, word for word."""
    command = next(line for line in README.splitlines() if line.endswith("-m pytest"))
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")

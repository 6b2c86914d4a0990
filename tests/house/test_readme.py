"""README says what the code does: the rule table, the test command."""

from pathlib import Path

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


def test_the_rule_table_is_the_catalogue() -> None:
    """README's table of rules is printed from the code, row by row."""
    shown = README.split("tests/house/test_readme.py -->\n", 1)[1].split("\n<!-- /rules -->", 1)[0]
    assert shown == rule_table()


def test_ci_runs_readmes_test_command() -> None:
    """`.ci/run` runs the command of README, word for word."""
    command = next(line for line in README.splitlines() if line.endswith("-m pytest"))
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")

"""`smtpguard events schema`: what it prints is the schema that the tests go by."""

import json

from click.testing import CliRunner

from smtpguard.cli import main
from smtpguard.record import audit_schema


def test_schema() -> None:
    """One JSON document: the published schema, whole."""
    result = CliRunner().invoke(main, ["events", "schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(json.dumps(audit_schema()))
    assert json.loads(result.stdout)["$schema"].endswith("/2020-12/schema")


def test_what_it_has() -> None:
    """Without a word it says which there are; a wrong one is a mistake of usage, with the right one."""
    runner = CliRunner()
    assert "schema  Print the JSON Schema of one line" in runner.invoke(main, ["events", "--help"]).stdout
    result = runner.invoke(main, ["events", "shema"])
    assert result.exit_code == 2
    assert "did you mean 'schema'?" in result.stderr

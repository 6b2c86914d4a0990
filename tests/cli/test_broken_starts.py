"""Whatever is broken: `run` and `check` refuse with exit code 78, say what and how to mend it, and show no stack."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from smtpguard.cli import main
from tests.cli.broken_starts import FILES, MACHINES, STARTS, Start

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory that every account may enter, as pytest's own may not be."""
    with TemporaryDirectory() as name:
        monkeypatch.chdir(name)
        yield Path(name)


def ended(start: Start, *words: str) -> Ended:
    """Run the command to its end."""
    environment = {"COLUMNS": "1000", **start.environment}
    if start.alone is None:
        runner = CliRunner(env=environment)
        result = runner.invoke(main, words, catch_exceptions=False, prog_name="smtpguard")
        return Ended(result.exit_code, result.stdout, result.stderr)
    prefix = start.alone if os.geteuid() == 0 else ()
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "smtpguard", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def skip_what_needs_root(start: Start) -> None:
    """An account can only be changed by root."""
    if "nobody" in "".join(start.said) and os.geteuid() != 0:
        pytest.skip("needs root: only root can become another account")


def test_there_are_forty() -> None:
    """And many are of the machine, not of the file."""
    assert len(STARTS) >= 40
    assert len(MACHINES) >= 15
    assert not set(FILES) & set(MACHINES)


@pytest.mark.parametrize("name", STARTS)
def test_run(name: str, folder: Path) -> None:
    """`run` says it on standard error, and nothing else; nothing was served."""
    start = STARTS[name]
    skip_what_needs_root(start)
    with ExitStack() as stack:
        result = ended(start, "run", *start.prepare(folder, stack))
    assert (result.code, result.stdout) == (78, "")
    for said in start.said:
        assert said in result.stderr
    assert "Traceback" not in result.stderr
    if name in FILES:
        assert result.stderr.splitlines() == list(start.said)


@pytest.mark.parametrize("name", STARTS)
def test_check(name: str, folder: Path) -> None:
    """`check` finds all that `run` refuses: mistakes on standard error in the same words, the machine in its report."""
    start = STARTS[name]
    skip_what_needs_root(start)
    with ExitStack() as stack:
        result = ended(start, "check", *start.prepare(folder, stack), *start.check)
    assert result.code == 78
    # In the report the cure has a line of its own.
    told = result.stderr if start.mistake else re.sub(r"\n +> ", "; ", result.stdout)
    assert (result.stdout if start.mistake else result.stderr) == ""
    for said in start.said:
        assert said in told
    assert "Traceback" not in told

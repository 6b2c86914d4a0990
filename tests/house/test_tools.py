"""The house rules that a tool can check, as tests, so that the one test command checks all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


PYTHON = (sys.executable, "-m")


def run(*command: str, **environment: str) -> None:
    """Run a tool of this virtual environment in the checkout; its output is the failure."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"


def test_ruff_format() -> None:
    """Every file is formatted."""
    run(*PYTHON, "ruff", "format", "--check", "--no-cache", ".")


def test_ruff_check() -> None:
    """The chosen list of lint rules holds."""
    run(*PYTHON, "ruff", "check", "--no-cache", ".")


@pytest.mark.timeout(300)
def test_mypy() -> None:
    """Every line, tests included, is typed strictly."""
    run(*PYTHON, "mypy", "--no-incremental")


def test_floors() -> None:
    """No import climbs a floor, and the protocol room stays sans-IO."""
    run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo")


@pytest.mark.timeout(1200)
def test_protocol_room_is_covered(tmp_path: Path) -> None:
    """Each branch of the protocol room is reached by that room's own tests."""
    data = {"COVERAGE_FILE": str(tmp_path / "coverage")}
    pytest_options = ("-q", "-p", "no:cacheprovider", "--hypothesis-profile=coverage")
    run(*PYTHON, "coverage", "run", "-m", "pytest", *pytest_options, "tests/smtp", **data)
    run(*PYTHON, "coverage", "report", **data)

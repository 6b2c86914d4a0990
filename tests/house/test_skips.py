"""A skip fails where `TEST_FAIL_ON_SKIP` says so, and only there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPPING = """
import pytest

def test_of_a_program():
    pytest.skip("apt-get install program")
"""


@pytest.mark.parametrize("source", [SKIPPING, 'import pytest\npytest.skip("no program", allow_module_level=True)\n'])
@pytest.mark.parametrize(("value", "skips_pass"), [("1", False), ("", True)])
def test_skips(tmp_path: Path, source: str, value: str, skips_pass: bool) -> None:
    """Both a test and a whole file that skip are failures in continuous integration."""
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEST_FAIL_ON_SKIP": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("nothing may be skipped here" not in done.stdout) is skips_pass
    assert ("1 skipped" in done.stdout) is skips_pass

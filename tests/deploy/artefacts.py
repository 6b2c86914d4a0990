"""Where the files of deploy/ are, and how the programs of the system that look at them are run."""

import subprocess
import sys
from pathlib import Path

from tests.against.programs import program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SAMPLE = DEPLOY / "smtpguard.toml"


def run(name: str, *arguments: object, code: int = 0) -> str:
    """Run a program of the system, or our own, and return all that it prints; it must end with this exit code."""
    command = [sys.executable, "-m", "smtpguard"] if name == "smtpguard" else [program(name)]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{name} ended with {done.returncode}\n{done.stdout}"
    return done.stdout

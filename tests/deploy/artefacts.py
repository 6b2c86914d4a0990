"""Where the files of deploy/ are, and the programs of the system that look at them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.against.programs import SYSTEM_PATH

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SAMPLE = DEPLOY / "smtpguard.toml"

INSTALL = {
    "systemd-analyze": "systemd",
    "systemd-socket-activate": "systemd",
    "systemd-tmpfiles": "systemd",
    "logrotate": "logrotate",
    "fail2ban-regex": "fail2ban",
    "fail2ban-client": "fail2ban",
    "postconf": "postfix",
}


def program(name: str) -> str:
    """Return the path of a program of the system, or skip the test."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {INSTALL[name]}")
    return found


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

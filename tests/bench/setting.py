"""What a bench ran on: figures without it say nothing."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.bench.peers import ROOT

INTERPRETER: Final = """
import importlib.metadata, json, platform, sysconfig
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
print(json.dumps({
    "python": platform.python_implementation() + " " + platform.python_version() + ", " + platform.python_compiler(),
    "build": sysconfig.get_config_var("CONFIG_ARGS") or "",
    "packages": {name: version(name) for name in ("trio", "msgspec", "loguru")},
}))
"""


def setting(python: str, arguments: Sequence[str]) -> dict[str, str]:
    """Describe machine, interpreter and programs, in the order of print. `python` is the interpreter of the relays."""
    return dict(_setting(python, arguments))


def _setting(python: str, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    about = json.loads(_said(python, "-c", INTERPRETER))
    yield "date", datetime.now(UTC).isoformat(timespec="seconds")
    yield "command", " ".join(("python -m tests.bench", *arguments))
    yield "kernel", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "processors", f"{os.cpu_count()}, {_processor()}"
    yield "interpreter", about["python"]
    yield "interpreter build", f"{_optimised(about['build'])} (CONFIG_ARGS: {about['build']})"
    yield from about["packages"].items()
    yield "smtpguard", _said(python, "-c", "import smtpguard; print(smtpguard.__version__)") or "not here"
    yield "revision", _said("git", "describe", "--always", "--dirty") or "not a checkout"
    for name, *command in (("haproxy", "haproxy", "-v"), ("compiler", "cc", "--version")):
        yield name, (_said(*command) or "not installed").splitlines()[0]


def _optimised(configured: str) -> str:
    """Tell a profile-guided build. Some distributions (Debian) build so by other means, which leave no trace there."""
    return "PGO" if "--enable-optimizations" in configured else "no PGO by its configure line"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _said(*command: str) -> str:
    """Return what a command prints; nothing if it is missing or fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

"""The sample configuration and the runbook."""

import re
from pathlib import Path

from tests.against.deadline import free_port
from tests.deploy.artefacts import DEPLOY, SAMPLE, run

RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")


def test_check(tmp_path: Path) -> None:
    """`smtpguard check` takes the sample; port and directory are those of a test, not of this machine."""
    places = (f'listen=["127.0.0.1:{free_port()}"]', f"audit.directory={tmp_path}")
    run("smtpguard", "check", "--config", SAMPLE, "--set", places[0], "--set", places[1])


def test_it_is_short() -> None:
    """A first configuration fits on a screen; the whole list is `smtpguard config example`."""
    settings = [line for line in SAMPLE.read_text().splitlines() if re.match(r"[a-z]", line)]
    assert len(settings) < 10


def test_the_runbook_knows_every_file() -> None:
    """Each artefact has its row in the runbook's table, and each row its artefact."""
    named = set(re.findall(r"^\| `([^`]+)` \|", RUNBOOK.split("## 1.")[0], re.MULTILINE))
    there = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file()} - {"README.md"}
    folders = {name for name in named if name.endswith("/")}
    assert {name for name in named - folders if name not in there} == set()
    assert all((DEPLOY / name).is_dir() for name in folders)
    assert {name for name in there - named if not name.startswith(tuple(folders))} == set()

"""The manual pages are those that the code makes, they are valid, and they tell everything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from smtpguard.cli import main
from smtpguard.config.describe import sections
from tests.against.programs import program
from tests.deploy.artefacts import DEPLOY, ROOT

MAN = DEPLOY / "man"
PAGES = sorted(page.name for page in MAN.iterdir() if page.suffix in {".1", ".5"})


def lint(name: str, *arguments: str | Path) -> list[str]:
    """Return what a checker says."""
    command = [program(name), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.splitlines()


def plain(page: str) -> str:
    """Return a page's text, more or less, without what roff needs."""
    text = (MAN / page).read_text(encoding="utf-8")
    return re.sub(r"\\f[BIPR]", "", text).replace("\\-", "-").replace("\\(aq", "'").replace("\\(ga", "`")


def test_pages_are_built_from_the_code(tmp_path: Path) -> None:
    """Building them again gives the same: `python deploy/man/build.py` after a change of a help text or a setting."""
    subprocess.run(
        [sys.executable, MAN / "build.py", tmp_path], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    assert sorted(page.name for page in tmp_path.iterdir()) == PAGES
    for page in PAGES:
        assert (tmp_path / page).read_text() == (MAN / page).read_text(), page


@pytest.mark.parametrize("page", PAGES)
def test_groff_has_nothing_to_say(page: str) -> None:
    """All warnings on, none is given."""
    assert lint("groff", "-man", "-ww", "-z", MAN / page) == []


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_has_nothing_to_say(page: str) -> None:
    """Only the date is missed, which a page that is built from the code does not have."""
    said = lint("mandoc", "-T", "lint", "-W", "warning", MAN / page)
    assert [line for line in said if 'WARNING: missing date, using "": TH' not in line] == []
    assert len(said) == 1


@pytest.mark.parametrize("page", [page for page in PAGES if page.endswith(".1")])
def test_a_verbs_page_tells_its_options(page: str) -> None:
    """Each option of the verb, and its first sentence under NAME."""
    ctx, command = click.Context(main), main
    for name in page.removesuffix(".1").split("-")[1:]:
        found = command.get_command(ctx, name)
        assert found is not None
        command = found  # type: ignore[assignment]  # the last of them is no group, and nobody asks it for a verb
    text = plain(page)
    assert f"\n{page.removesuffix('.1')} - {command.get_short_help_str(limit=200).removesuffix('.')}\n" in text
    options = [word for option in command.params if isinstance(option, click.Option) for word in option.opts]
    assert all(option in text for option in options)


def test_the_files_page_tells_every_setting() -> None:
    """Each key with its description and what is allowed; a listener's own tables have those of the common ones."""
    text = plain("smtpguard.toml.5").replace("\n", " ")
    for section in sections():
        for setting in section.settings if len(section.path) < 3 else ():
            assert f".B {setting.key} {setting.description} .br Allowed: {setting.allowed}. Default: " in text

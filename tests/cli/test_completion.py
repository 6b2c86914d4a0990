"""The shells complete: their own programs ask ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from smtpguard.cli import main
from smtpguard.cli.command import VERBS
from smtpguard.cli.completion import SHELLS

ROOT = Path(__file__).parents[2]

SCRIPTS = {
    # What bash does at a TAB: it calls the function with the words so far.
    "bash": (
        'eval "$(smtpguard completion bash)"\nCOMP_WORDS=({words})\nCOMP_CWORD={place}\n'
        '_smtpguard_completion smtpguard\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    ),
    "fish": "smtpguard completion fish | source; complete -C 'smtpguard {typed}'",
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path on which `smtpguard` is this checkout's."""
    command = tmp_path / "smtpguard"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m smtpguard "$@"\n')
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def completed(shell: str, path: str, home: Path, *words: str) -> list[str]:
    """Return what a shell offers for the last of the words behind `smtpguard`."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"apt-get install {shell}")
    quoted = " ".join(f"'{word}'" for word in ("smtpguard", *words))
    script = SCRIPTS[shell].format(words=quoted, place=len(words), typed=" ".join(words))
    bare = {"bash": ["--norc", "--noprofile"], "fish": ["--no-config"]}[shell]
    environment = {**os.environ, "PATH": path, "HOME": str(home)}
    done = subprocess.run([program, *bare, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", SCRIPTS)
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("ex",), ["explain"]),
        (("co",), ["config", "completion"]),
        (("config", "s"), ["show", "schema"]),
        (("completion", ""), list(SHELLS)),
        (("explain", "SG10"), [f"SG10{digit}" for digit in range(1, 10)]),
        (("run", "--obs"), ["--observe"]),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_tab(shell: str, path: str, tmp_path: Path, words: tuple[str, ...], offered: list[str]) -> None:
    """A TAB offers verbs, the verbs of `config`, shells, rule ids and options."""
    assert sorted(completed(shell, path, tmp_path, *words)) == sorted(offered)


def test_all_verbs(path: str, tmp_path: Path) -> None:
    """Nothing typed yet: all verbs, in the order of the help."""
    assert completed("bash", path, tmp_path, "") == list(VERBS)


def test_zsh_takes_the_script(path: str, tmp_path: Path) -> None:
    """zsh, whose completion wants a terminal, knows the function for the command."""
    program = shutil.which("zsh")
    if program is None:
        pytest.skip("apt-get install zsh")
    script = (
        f'autoload -U compinit; compinit -u -d "{tmp_path}/dump"\n'
        'eval "$(smtpguard completion zsh)"\nprint $_comps[smtpguard]'
    )
    done = subprocess.run(
        [program, "-fc", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("_smtpguard_completion\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_help_says_how_to_install(shell: str) -> None:
    """Each shell's own line stands in the help, not folded."""
    told = CliRunner().invoke(main, ["completion", "--help"], prog_name="smtpguard").stdout
    assert f"smtpguard completion {shell}" in told

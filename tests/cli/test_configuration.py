"""`smtpguard config`: what is in force and why, the sample file, the schema."""

import json
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from smtpguard.cli import main
from smtpguard.config import load
from smtpguard.config.describe import schema
from smtpguard.config.written import example

ADDRESSES = ("--listen", "127.0.0.1:2525", "--upstream", "127.0.0.1:25")


def config(*arguments: str, colours: bool = False) -> Result:
    """Run the verb in this process."""
    return CliRunner().invoke(
        main, ["config", *arguments], catch_exceptions=False, prog_name="smtpguard", color=colours
    )


def test_example() -> None:
    """The sample file, as it stands, is a good file."""
    result = config("example")
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", example())


def test_schema() -> None:
    """The schema is one JSON document."""
    result = config("schema")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == schema()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file, and a fragment beside it."""
    file = tmp_path / "smtpguard.toml"
    file.write_text("listen = '127.0.0.1:2525'\nupstream = '127.0.0.1:25'\n[limits]\nviolations = 4\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-site.toml").write_text("[tls]\nmode = 'hide'\n")
    return file


def test_show(file: Path, tmp_path: Path) -> None:
    """What is shown can be loaded again."""
    result = config("show", "-c", str(file))
    assert (result.exit_code, result.stderr) == (0, "")
    again = tmp_path / "again.toml"
    again.write_text(result.stdout)
    assert load(again).config == load(file).config
    assert result.stdout.splitlines()[0].endswith(f"; read: {file}, {tmp_path / 'conf.d' / '10-site.toml'}")


def test_show_changed(file: Path) -> None:
    """Only what differs from the defaults."""
    result = config("show", "-c", str(file), "--changed", "--set", "limits.violations=20", "--observe")
    assert tomllib.loads(result.stdout) == {
        "listen": ["127.0.0.1:2525"],
        "upstream": ["127.0.0.1:25"],
        "policy": {"mode": "observe"},
        "tls": {"mode": "hide"},
    }


def test_show_origin(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source is named behind the key that it set."""
    monkeypatch.setenv("SMTPGUARD_LOG__LEVEL", "debug")
    result = config("show", "-c", str(file), "--origin", "--observe", "--set", "limits.sessions=3")
    origins = dict(line.rsplit("  # ", 1) for line in result.stdout.splitlines() if "  # " in line)
    told = {key.partition(" =")[0].strip(): origin for key, origin in origins.items()}
    assert told["listen"] == f"{file}:1"
    assert told["violations"] == f"{file}:4"
    assert origins['mode = "hide"'.ljust(44)] == f"{tmp_path / 'conf.d' / '10-site.toml'}:2"
    assert told["level"] == "SMTPGUARD_LOG__LEVEL"
    assert origins['mode = "observe"'.ljust(44)] == "--observe"
    assert told["sessions"] == "--set"
    assert told["format"] == "default"


def test_show_json(file: Path) -> None:
    """A machine reads values, not spellings: durations are seconds, what is unset is null."""
    document = json.loads(config("show", "-c", str(file), "--json", "--set", "timeouts.reply=1h").stdout)
    settings = {row["key"]: row for row in document["settings"]}
    assert document["files"][0] == str(file)
    assert settings["timeouts.reply"] == {
        "key": "timeouts.reply", "value": 3600, "default": 330, "origin": "--set",
    }  # fmt: skip
    assert (settings["user"]["value"], settings["user"]["origin"]) == (None, "default")
    changed = json.loads(config("show", "-c", str(file), "--json", "--changed").stdout)
    assert [row["key"] for row in changed["settings"]] == ["listen", "upstream", "tls.mode", "limits.violations"]


def test_show_with_colours(file: Path) -> None:
    """Tables are bold, defaults faint; without the colours it is the same text."""
    plain = config("show", "-c", str(file), "--origin").stdout
    coloured = config("show", "-c", str(file), "--origin", colours=True).stdout
    assert "\x1b[1m[policy]\x1b[0m" in coloured
    assert '\x1b[2mprofile = "standard"' in coloured
    assert click.unstyle(coloured) == plain


def test_show_a_broken_one() -> None:
    """Mistakes are told as `run` tells them."""
    result = config("show", *ADDRESSES, "--set", "policy.mod=observe")
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr == "--set: policy.mod = 'observe': unknown key; did you mean 'mode'?\n"

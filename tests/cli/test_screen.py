"""How the verbs print: colours where they are wanted, JSON that any program reads, no traceback for a letter."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from smtpguard.cli.screen import LOOKS, Style, as_json, fail, say, styled

ROOT = Path(__file__).parents[2]


def on_a_terminal(source: str, **environment: str) -> str:
    """Return what a program prints whose standard output and error are a terminal."""
    ours, theirs = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "TERM"}}
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "wb", buffering=0) as terminal:
            subprocess.run(
                [sys.executable, "-c", f"from smtpguard.cli.screen import *\n{source}"],
                cwd=ROOT,
                env={**plain, "TERM": "xterm", **environment},
                stdout=terminal,
                stderr=terminal,
                check=False,
            )
        return screen.read(65536).decode()


BAD = "say(styled('bad', Style.BAD)); say(styled('worse', Style.FAINT), err=True)"


def test_colours_on_a_terminal() -> None:
    """A terminal sees colours, on both streams."""
    assert on_a_terminal(BAD) == "\x1b[31m\x1b[1mbad\x1b[0m\r\n\x1b[2mworse\x1b[0m\r\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"NO_COLOR": "0"}, {"TERM": "dumb"}])
def test_no_colours_where_nobody_wants_them(environment: dict[str, str]) -> None:
    """NO_COLOR counts by being there, whatever it says."""
    assert on_a_terminal(BAD, **environment) == "bad\r\nworse\r\n"


def test_an_empty_no_color_is_none() -> None:
    """no-color.org: "when present and not an empty string"."""
    assert on_a_terminal(BAD, NO_COLOR="").startswith("\x1b[31m")


def test_no_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no terminal sees plain text."""
    say(styled("bad", Style.BAD))
    say(styled("worse", Style.WARNING), err=True, nl=False)
    assert capsys.readouterr() == ("bad\n", "worse")


def test_every_style_has_a_look() -> None:
    """The table is whole, and no two styles look the same; nothing styled is nothing."""
    assert set(LOOKS) == set(Style)
    assert len({styled("x", style) for style in Style}) == len(Style)
    assert styled("", Style.BAD) == ""


def test_json_is_utf_8_whatever_the_locale(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Keys keep their order, letters stand as they are, and a lone surrogate does no harm."""
    value = {"z": "né", "a": [1, None, True], "odd": "\udcff"}
    as_json(value)
    octets = capfdbinary.readouterr().out
    assert octets.decode("utf-8").startswith('{\n  "z": "né",\n  "a": [')
    assert json.loads(octets) == value


def test_json_is_never_coloured() -> None:
    """A terminal sees the same document."""
    assert on_a_terminal("as_json(['x'])") == '[\r\n  "x"\r\n]\r\n'


def test_a_letter_that_the_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes a question mark; there is no traceback."""
    octets = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(octets, encoding="ascii"))
    say("… is 1 §")
    sys.stdout.flush()
    assert octets.getvalue() == b"? is 1 ?\n"


def test_fail(capsys: pytest.CaptureFixture[str]) -> None:
    """The message is on standard error, the code is the exit code."""
    with pytest.raises(SystemExit) as exit_:
        fail("no such thing; make one", 69)
    assert exit_.value.code == 69
    assert capsys.readouterr() == ("", "no such thing; make one\n")

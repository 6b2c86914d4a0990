"""What the verbs print, and how: words, colours, JSON.

Colour is a hint, never the only sign of anything: each coloured word says the same without it. There is colour only on
a terminal, where NO_COLOR is unset or empty (no-color.org) and TERM is not `dumb`; never in JSON. What a terminal's
encoding lacks is printed as `?`, so that no screen ends in a traceback.
"""

import os
import sys
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, NoReturn

import click


class Style(Enum):
    """What a piece of text is."""

    HEADING = auto()
    GOOD = auto()
    WARNING = auto()
    BAD = auto()
    FAINT = auto()
    """Less important than its surroundings."""
    CODE = auto()
    """What one types, or what stands on the wire."""


# The eight colours that every terminal has, none of them for plain text: light and dark backgrounds both read well.
LOOKS: Final[Mapping[Style, Mapping[str, Any]]] = {
    Style.HEADING: {"bold": True},
    Style.GOOD: {"fg": "green"},
    Style.WARNING: {"fg": "yellow"},
    Style.BAD: {"fg": "red", "bold": True},
    Style.FAINT: {"dim": True},
    Style.CODE: {"fg": "cyan"},
}


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text on standard output, or on standard error; its colours only where they are wanted."""
    click.echo(_encodable(text, err=err), err=err, nl=nl, color=None if _colours_wanted() else False)


def styled(text: str, style: Style) -> str:
    """Return a text with the colours of its style; `say` takes them out again where nobody wants them."""
    return click.style(text, **LOOKS[style]) if text else text


def as_json(value: object) -> None:
    """Print one JSON document on standard output, UTF-8 whatever the locale is, keys in the order given."""
    import json  # noqa: PLC0415 - `--help` needs none

    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A lone surrogate has no UTF-8; its backslash form is JSON's own way to write it.
    click.echo(text.encode("utf-8", "backslashreplace"))


def fail(text: str, code: int) -> NoReturn:
    """Print a message on standard error, and exit."""
    say(text, err=True)
    sys.exit(code)


def _colours_wanted() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _encodable(text: str, *, err: bool) -> str:
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)

"""`smtpguard check`: would `run` start, and what to mend if not."""

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final, NoReturn

import click

from smtpguard.cli.screen import Style, as_json, say, styled
from smtpguard.cli.settings import BAD_CONFIG, Settings, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smtpguard.config import Loaded
    from smtpguard.service.check import Examined

LOOKS: Final = {"good": Style.GOOD, "warning": Style.WARNING, "bad": Style.BAD}

COLUMNS: Final = (8, 14)
"""Characters of the verdict and of what was looked at, the blank behind each included."""


@click.command()
@with_settings
@click.option("--live", is_flag=True, help="Dial each upstream: greeting, extensions, the open-relay probe.")
@click.option("--json", "machine", is_flag=True, help="One JSON list of {check, verdict, text, cure}.")
def check(settings: Settings, *, live: bool, machine: bool) -> NoReturn:
    """Tell whether `run` would start, and what to mend if not.

    Looks at configuration, ports, account, audit directory, log and descriptor limit, with the same settings and
    options as `run`. Needs no rights but those that `run` needs, changes nothing, and sends no message.

    Exit codes: 0 good (warnings allowed), 2 usage, 69 an upstream cannot be reached (--live), 78 `run` would refuse.
    """
    if machine:
        _as_json(settings, live=live)
    loaded = settings.load()
    rows = []
    for row in _rows(loaded, live=live):
        rows.append(row)
        _print(row)
    say()
    say(_summary(rows))
    if not live:
        say(styled("The upstream was not asked; --live does that.", Style.FAINT))
    sys.exit(_exit_code(rows))


def _rows(loaded: "Loaded", *, live: bool) -> "Iterator[Examined]":
    import trio  # noqa: PLC0415 - only this verb and `run` need it

    from smtpguard.service import check as checks  # noqa: PLC0415 - the same, and behind the reading of mistakes

    yield from checks.examine(loaded)
    if live:
        yield from trio.run(checks.examine_upstreams, loaded.config)


def _exit_code(rows: "list[Examined]") -> int:
    return max(row.exit_code for row in rows)


def _print(row: "Examined") -> None:
    verdict, check_width = COLUMNS
    indent = " " * (verdict + check_width)
    width = max(shutil.get_terminal_size().columns - 1, 60)
    first = styled(f"{row.verdict.value:<{verdict}}", LOOKS[row.verdict.value]) + f"{row.check:<{check_width}}"
    for line in _folded(row.text, width - len(indent)):
        say(first + line)
        first = indent
    for place, line in enumerate(_folded(row.cure, width - len(indent) - 2)):
        say(indent + (styled("> ", Style.FAINT) if not place else "  ") + line)


def _folded(text: str, width: int) -> "Iterator[str]":
    """Give out the lines of a text, no wider than asked for; what is indented already stays as it is."""
    for line in text.splitlines():
        yield from [line] if line.startswith(" ") else textwrap.wrap(line, width, break_on_hyphens=False)


def _summary(rows: "list[Examined]") -> str:
    found = [row.verdict.value for row in rows]
    bad, warnings = found.count("bad"), found.count("warning")
    told = f" ({warnings} warning{'s' * (warnings > 1)})" if warnings else ""
    if BAD_CONFIG in {row.exit_code for row in rows}:
        return styled(f"`smtpguard run` would not start: {bad} bad{told}.", Style.BAD)
    if bad:
        return styled(f"`smtpguard run` would start, but clients would hear 421{told}.", Style.BAD)
    return styled(f"`smtpguard run` would start{told}.", Style.WARNING if warnings else Style.GOOD)


def _as_json(settings: Settings, *, live: bool) -> NoReturn:
    from smtpguard.config import ConfigError  # noqa: PLC0415 - pydantic
    from smtpguard.service.check import bad  # noqa: PLC0415 - trio

    try:
        rows = list(_rows(settings.read(), live=live))
    except ConfigError as error:
        rows = [bad("configuration", str(mistake)) for mistake in error.mistakes]
    as_json(
        [{"check": row.check, "verdict": row.verdict.value, "text": row.text, "cure": row.cure or None} for row in rows]
    )
    sys.exit(_exit_code(rows))
